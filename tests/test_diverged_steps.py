"""Trainings after the search that diverge: the student that was chosen is there, so the run goes on without them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgedistill.aware_step import Candidates, tune_for_int8
from edgedistill.distill.search.trial import Diagnosis
from edgedistill.errors import TrainingDivergedError
from edgedistill.int8_settings import Quantization
from edgedistill.quantize.stage import VERDICT_FILE
from edgedistill.results import Coverage, QuantizationVerdict
from edgedistill.trials import train_baseline


def line_that_diverges() -> Any:
    def do(step: str, work: object) -> None:
        raise TrainingDivergedError("the training diverged at step 7", hint="lower distillation.learning_rate")

    return SimpleNamespace(
        recipe=SimpleNamespace(distillation=SimpleNamespace(baseline=True), quantization=Quantization(aware="always")),
        task=SimpleNamespace(train_baseline=lambda *given, **named: "work", tune_for_int8=lambda *given, **named: "work"),
        workspace=SimpleNamespace(do=do), note=lambda step, done: done,
    )


def test_baseline_when_it_diverges_then_none_and_a_decision_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    done: Any = SimpleNamespace(folder=Path("x"))
    common: Any = SimpleNamespace(prepared=done)
    plan: Any = SimpleNamespace(shape=SimpleNamespace(id="small"))
    made, told = train_baseline(line_that_diverges(), common, plan, done)
    assert made is None
    assert [decision.why for decision in told] == ["the training diverged at step 7"]
    assert "diverged at step 7" in caplog.text


def test_baseline_when_it_is_not_wanted_then_none_and_no_word() -> None:
    line: Any = SimpleNamespace(recipe=SimpleNamespace(distillation=SimpleNamespace(baseline=False)))
    nothing: Any = None
    assert train_baseline(line, nothing, nothing, nothing) == (None, ())


def test_tune_for_int8_when_it_diverges_then_the_student_ships_as_it_was_with_the_reason(tmp_path: Path) -> None:
    coverage = Coverage(weight_bytes_share=1, nodes_share=1, float_nodes=(), bytes_by_part={})
    verdict = QuantizationVerdict(scheme="dynamic_wi8_afp32", candidates={}, coverage=coverage, decision="")
    (tmp_path / VERDICT_FILE).write_text(verdict.to_json())
    done: Any = SimpleNamespace(folder=tmp_path)
    found: Any = SimpleNamespace(chosen=SimpleNamespace(is_met=True, diagnosis=Diagnosis(finding="none", text="")))
    common: Any = SimpleNamespace(prepared=done, teacher=done, soft_labels=done)
    plan: Any = SimpleNamespace(target=SimpleNamespace(cpu=SimpleNamespace(saturates_u8s8=False)))
    tuning = tune_for_int8(line_that_diverges(), common, plan, Candidates(done, done, done, done, found))
    assert tuning.shipped is done
    assert (tuning.curve, tuning.gain, dict(tuning.variants)) == (None, None, {})
    assert [decision.why for decision in tuning.decisions] == ["the training diverged at step 7"]
