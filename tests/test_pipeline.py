"""The order of the last steps: a bundle is packed only when every gate holds, that of a device too."""

import contextlib
import importlib
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgedistill import pipeline
from edgedistill.catalog import load_recipe
from edgedistill.device.stage import DEVICE_FILE
from edgedistill.errors import ParityError, TeacherError
from edgedistill.search_job import Found
from tests.report.test_device import measurement

STEPS_BEFORE = {
    "edgedistill.pipeline": ("export_model", "quantize_model", "evaluate_models", "_prove_reading", "_verify"),
    "edgedistill.trials": ("distil_trial",),
    "edgedistill.emulated_step": ("emulate",),
}


class Steps:
    """Stands in for the steps of one target: each gives a folder, and the last ones say when they were done."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_parity_kept: bool) -> None:
        self.done: list[str] = []
        self.result: Any = SimpleNamespace(folder=folder, trial=None)
        found = Found(trial=None, rows=(), decisions=())  # type: ignore[arg-type] # nobody looks at it
        tuning = SimpleNamespace(shipped=self.result, variants={}, curve=None, floating=None)
        for module, names in STEPS_BEFORE.items():
            for name in names:
                monkeypatch.setattr(f"{module}.{name}", lambda *given, **named: self.result)
        monkeypatch.setattr("edgedistill.trials.search_line", lambda *given: found)
        monkeypatch.setattr("edgedistill.trials.train_baseline", lambda *given: (self.result, ()))
        monkeypatch.setattr("edgedistill.trials.varied", lambda line, common, plan, trial: (line, common, plan))
        monkeypatch.setattr("edgedistill.aware_step.tune_for_int8", lambda *given: tuning)
        monkeypatch.setattr(pipeline, "evaluate_models", lambda *given: dict.fromkeys(("teacher", "student_int8"), self.result))
        monkeypatch.setattr(pipeline, "_parity_passed", lambda parity: is_parity_kept)
        for name in ("_benchmark", "_measure_on", "_package"):
            monkeypatch.setattr(pipeline, name, lambda *given, name=name: self._note(name))

    def _note(self, name: str) -> Any:
        self.done.append(name)
        return self.result


def steps_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_parity_kept: bool, device: object) -> tuple[list[str], Any]:
    steps = Steps(tmp_path, monkeypatch, is_parity_kept=is_parity_kept)
    common: Any = SimpleNamespace(prepared=steps.result, teacher=steps.result)
    result = pipeline._for_target(SimpleNamespace(), common, SimpleNamespace(target=None), device)  # type: ignore[arg-type] # fakes
    return steps.done, result


@pytest.mark.parametrize("passed", [True, False])
def test_target_when_a_device_answers_then_it_is_asked_before_anything_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed: bool
) -> None:
    gate = measurement().against_host.model_copy(update={"passed": passed})
    (tmp_path / DEVICE_FILE).write_text(measurement(against_host=gate).to_json(), encoding="utf-8")
    done, result = steps_of(tmp_path, monkeypatch, is_parity_kept=True, device=object())
    assert done == ["_benchmark", "_measure_on", *(["_package"] if passed else [])]
    assert (result.package is None) == (not passed)
    assert result.device is not None
    assert result.benchmark is not None


def test_target_when_there_is_no_device_then_packs_after_timing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, result = steps_of(tmp_path, monkeypatch, is_parity_kept=True, device=None)
    assert done == ["_benchmark", "_package"]
    assert result.device is None


def test_target_when_a_file_of_the_bundle_answers_otherwise_then_the_run_goes_on_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Steps(tmp_path, monkeypatch, is_parity_kept=True)

    def refuse(*given: Any) -> Any:
        raise ParityError("model.ort flips 2 of 24 golden rows", hint="none")

    monkeypatch.setattr(pipeline, "_package", refuse)
    common: Any = SimpleNamespace(prepared=steps.result, teacher=steps.result)
    result = pipeline._for_target(SimpleNamespace(), common, SimpleNamespace(target=None), None)  # type: ignore[arg-type] # fakes
    assert (result.package, result.refused) == (None, "model.ort flips 2 of 24 golden rows")


def test_target_when_a_conversion_failed_then_neither_times_nor_asks_nor_packs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, _ = steps_of(tmp_path, monkeypatch, is_parity_kept=False, device=object())
    assert done == []


@pytest.mark.parametrize("families", [(), ("bert",), ("bert", "fnet")])
def test_require_exporter_when_only_others_were_taught_here_then_the_teacher_is_asked_about(
    tmp_path: Path, families: tuple[str, ...]
) -> None:
    for folder, family in {"teacher": "fnet", **{f"out/.stages/teach/{name}": name for name in families}}.items():
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "config.json").write_text(f'{{"model_type": "{family}"}}')
        (tmp_path / folder / "manifest.json").touch()
    refused = contextlib.nullcontext() if "fnet" in families else pytest.raises(TeacherError, match="'fnet' cannot be exported")
    with refused:
        pipeline._require_exporter(load_recipe("home-intents"), tmp_path / "teacher", tmp_path / "out")


def test_require_exporter_when_a_teacher_that_was_made_ready_is_damaged_then_asks_as_if_it_were_not_there(tmp_path: Path) -> None:
    (teacher := tmp_path / "teacher").mkdir()
    (teacher / "config.json").write_text('{"model_type": "bert"}')
    for name, content in (("cut", '{"model_ty'), ("gone", None)):
        (folder := tmp_path / "out" / ".stages" / "teach" / name).mkdir(parents=True)
        (folder / "manifest.json").touch()
        if content is not None:
            (folder / "config.json").write_text(content)
    pipeline._require_exporter(load_recipe("home-intents"), teacher, tmp_path / "out")


def test_publish_when_an_earlier_run_left_another_target_then_report_and_terminal_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone" / "bundle.zip").touch()
    settled: list[Any] = []
    monkeypatch.setattr("edgedistill.run_report.collect_report", lambda *given, **named: settled.extend(named["settled"]))
    for name in ("edgedistill.run_report.misses_of", "edgedistill.run_report.parity_problems_of"):
        monkeypatch.setattr(name, lambda report: ())
    monkeypatch.setattr(importlib.import_module("edgedistill.report.stage"), "write_report", lambda *given: None)
    monkeypatch.setattr(pipeline, "_publish_target", lambda *given: None)
    line: Any = SimpleNamespace(recipe=None, steps={}, settled=("first",))
    common: Any = SimpleNamespace(prepared=SimpleNamespace(folder=tmp_path))
    with caplog.at_level(logging.WARNING):
        pipeline._publish(line, common, {"pi": SimpleNamespace()}, tmp_path, recipe="id: mine\n")  # type: ignore[dict-item] # a fake
    assert settled[0] == "first"
    assert settled[1].what.startswith("phone/: left as an earlier run wrote it")
    assert settled[1].what in caplog.text
