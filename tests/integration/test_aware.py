"""Fine-tuning for int8 in the line: a variant of its own, decided on validation; and nothing at all when it is not wanted."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jsonschema
import pytest

import edgedistill
from edgedistill import pipeline
from edgedistill.artifact import sha256_of_file
from edgedistill.report.model import RunReport
from edgedistill.results import QuantizationVerdict
from edgedistill.shape import StudentShape

from .conftest import write_classifier
from .tiny import write_recipe

LADDER = (StudentShape(id="tiny-1x32", layers=1, hidden=32, heads=1, intermediate=64, vocabulary=110),)
QUICK = {"distillation": {"rows_seen": 200, "batch_size": 16, "baseline": False, "transfer_set": {"rows": 100, "copies": 2}},
         "student": {}, "teacher": {"name": "classifier", "max_tokens": 32}, "search": {"trials": 1},
         "parity": {"int8_min_agreement": 0}, "quantization": {"max_accuracy_loss": 1}, "goals": []}
ALWAYS = ("quantization.aware=always", "quantization.aware_steps=24", "quantization.aware_learning_rate=0.002")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A recipe whose student nobody packs or times; its finished run lies beside it, in `run`."""
    path = write_recipe(tmp_path_factory.mktemp("aware"), **QUICK)
    write_classifier(path.parent / "classifier", path.parent / "teacher")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgedistill.tasks.text_classification.task.ladder", lambda: LADDER)
        patch.setattr(pipeline, "_package", lambda *arguments: None)
        patch.setattr(pipeline, "_benchmark", lambda *arguments: None)
        yield path


@dataclass(frozen=True)
class Finished:
    """A report, and the steps that were done for it, in order."""

    report: RunReport
    steps: list[str]


def run(recipe: Path, *settings: str) -> Finished:
    done: list[str] = []
    report = edgedistill.run(
        edgedistill.load_recipe(recipe, overrides=settings), [edgedistill.load_target("raspberry-pi")], recipe.parent / "run",
        on_step=lambda step, state, seconds: done.append(step) if state == "done" else None,
    ).report
    return Finished(report, done)


@pytest.fixture(scope="module")
def always(recipe: Path) -> Finished:
    return run(recipe, *ALWAYS)


def test_run_when_fine_tuning_is_always_wanted_then_its_steps_come_after_the_court_and_before_the_test_split(
    always: Finished
) -> None:
    steps = always.steps
    assert steps.count("distill-aware") == 1
    assert steps.index("quantize-student") < steps.index("distill-aware") < steps.index("quantize-student-aware")
    assert steps.index("validate-student-int8-aware") < steps.index("evaluate-student-int8-aware")


def test_run_when_fine_tuning_is_always_wanted_then_a_variant_of_its_own_and_what_it_bought(
    recipe: Path, always: Finished
) -> None:
    report, target = always.report, always.report.targets["raspberry-pi"]
    jsonschema.validate(report.model_dump(mode="json"), RunReport.model_json_schema(mode="serialization"))
    gain = target.aware
    assert gain is not None
    assert (gain.steps, gain.learning_rate) == (24, 0.002)
    (verdict,) = (recipe.parent / "run" / ".stages" / "quantize-student").glob("*/verdict.json")
    assert gain.scheme == QuantizationVerdict.read_json(verdict).scheme
    assert gain.is_shipped == (gain.aware_accuracy > gain.post_training_accuracy)
    assert ("student_int8_post_training" in target.variants) == gain.is_shipped
    tuned, shipped = (target.variants[name] for name in ("student_int8_aware", "student_int8"))
    assert (tuned.model_sha256 == shipped.model_sha256) == gain.is_shipped
    assert "student_int8_aware" in target.curves
    told = [decision for decision in report.decisions if decision.step == "distill-aware"]
    assert any(decision.why == "quantization.aware is always" for decision in told)
    assert any(decision.why == gain.text for decision in told)
    assert "student_int8_aware" in (recipe.parent / "run" / "report.html").read_text(encoding="utf-8")
    file = recipe.parent / "run" / "raspberry-pi" / "student" / "onnx" / "model_quantized.onnx"
    assert sha256_of_file(file) == shipped.model_sha256


def test_run_when_fine_tuned_and_repeated_then_nothing_is_done_again(recipe: Path, always: Finished) -> None:
    assert run(recipe, *ALWAYS) == Finished(always.report, [])


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(("settings", "why"), [
    (("quantization.aware=never",), "quantization.aware is never"),
    (("quantization.aware=auto", "quantization.aware_steps=99"), "int8 keeps what the float student has, within quantization.max_accuracy_loss on validation, without it"),
])
def test_run_when_fine_tuning_is_not_called_for_then_no_step_is_done_and_the_reason_is_told(
    recipe: Path, settings: tuple[str, ...], why: str
) -> None:
    found = run(recipe, *settings)
    assert found.steps == []  # the court does not sit again for settings that it does not read
    told = [decision for decision in found.report.decisions if decision.step == "distill-aware"]
    assert [(d.what, d.why) for d in told] == [("did not fine-tune the student for int8", why)]
    target = found.report.targets["raspberry-pi"]
    assert target.aware is None
    assert list(target.variants) == ["teacher", "teacher_int8", "student", "student_onnx", "student_int8"]
