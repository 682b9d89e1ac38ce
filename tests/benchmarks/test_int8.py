"""int8 against float: each row is made once, the summary knows what is missing, and the table says what the rows say."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import int8
import int8_selections
import int8_timing
import pytest
from int8_subjects import ONNX_FILE, Places, picture_subject, wanted_students
from int8_table import BLOCK, PAGE, block_of
from resumable_rows import RowFile
from script_options import RESULTS, ScriptOptions
from student_line import Line, NotTrainedError
from students_table import filled
from suite_files import StudentsSuite, read_suite_file

from edgedistill.artifact import sha256_of_file
from edgedistill.catalog import load_target
from edgedistill.errors import UsageError
from edgedistill.quantize import stage as quantize_stage
from edgedistill.quantize import timing as quantize_timing
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.stage import Workspace

ASKED = ("a", "b")
SHORT = BenchmarkProtocol(warmup_runs=1, min_runs=16, min_duration_s=0.01, rounds=2, processes=2, pinned=False)


def row(loss: float, *, task: str = "a", coverage: float = 1.0, ratio: float = 0.26, scheme: str = "dynamic_wi8_afp32") -> dict[str, Any]:
    return {"float_test": 0.9, "int8_test": 0.9 - loss, "weight_bytes_share": coverage, "size_ratio": ratio, "scheme": scheme, "task": task}


@pytest.fixture
def options(tmp_path: Path) -> ScriptOptions:
    return ScriptOptions(tmp_path, tmp_path / "work", tmp_path / "results" / "int8", None, None, (), False, "python benchmarks/int8.py")


def test_summary_takes_the_mean_and_the_worst_of_the_losses() -> None:
    found = int8.summary([row(0.002), row(0.007, coverage=0.96), row(-0.003, ratio=0.265, task="b")], ASKED)
    assert found["mean_loss"] == {"found": pytest.approx(0.002), "asked": 0.003}
    assert found["worst_loss"] == {"found": pytest.approx(0.007), "asked": 0.008}
    assert (found["least_coverage"]["found"], found["largest_ratio"]["found"]) == (0.96, 0.265)
    assert found["all_met"]
    assert all(found["met"].values())


def test_summary_when_a_task_is_missing_then_names_it_and_nothing_is_met() -> None:
    found = int8.summary([row(0.0)], ASKED)
    assert found["missing_tasks"] == ["b"]
    assert not any(found["met"].values())
    assert not found["all_met"]


def test_summary_says_which_figure_is_missed() -> None:
    found = int8.summary([row(0.009, coverage=0.0, ratio=1.0, scheme="float"), row(0, task="b")], ASKED)
    assert not any(found["met"].values())
    assert found["schemes"] == {"dynamic_wi8_afp32": 1, "float": 1}


def test_summary_of_no_rows_is_refused() -> None:
    with pytest.raises(UsageError, match="no rows"):
        int8.summary([], ASKED)


def test_wanted_students_are_six_text_tasks_and_one_of_pictures(tmp_path: Path) -> None:
    found = list(wanted_students(Places(tmp_path, tmp_path, tmp_path)))
    assert len({wanted.task for wanted in found}) == 7
    assert {wanted.job.seed for wanted in found if wanted.job} == {13}
    assert [wanted.task for wanted in found if wanted.job is None] == ["fashion_mnist"]
    assert {w.task for w in wanted_students(Places(tmp_path, tmp_path, tmp_path, tasks=("cifar10_jpg", "trec6")))} == {"cifar10_jpg", "trec6"}
    with pytest.raises(UsageError, match="no task 'trec7'"):
        list(wanted_students(Places(tmp_path, tmp_path, tmp_path, tasks=("trec7",))))


def test_line_when_a_step_may_not_start_then_refused_before_any_work(tmp_path: Path) -> None:
    line = Line(read_suite_file(StudentsSuite, "students"), "trec6", tmp_path, tmp_path / "work", may_not_start=("teach",))
    with pytest.raises(NotTrainedError, match="trec6: teach is not done"):
        line.workspace.on_step("teach", "started", 0.0)
    line.workspace.on_step("teach", "skipped", 0.0)


def test_picture_subject_of_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotTrainedError, match="no finished run"):
        picture_subject("fashion_mnist", tmp_path / "run", tmp_path / "work", target="raspberry-pi")


def test_measure_accuracy_then_makes_the_row_once(int8_subject: Any, options: ScriptOptions) -> None:
    int8.measure_accuracy(options, int8_subject)
    (found,) = int8.accuracy_rows(options.results)
    assert (found["n_test"], found["n_validation"], found["task"]) == (50, 40, "trec6")
    assert found["float_bytes"] == (int8_subject.exported / ONNX_FILE).stat().st_size
    int8.measure_accuracy(options, int8_subject)
    assert len(RowFile(options.results / "trec6.json").rows()) == 1
    assert "trec6, 1/80, tiny" in block_of(options.results.parent)
    assert "Not measured yet: sst2_sentence, clinc150, snips, agnews_10k, sst2_glue, fashion_mnist." in block_of(options.results.parent)


@pytest.mark.slow
def test_plain_export_then_has_standard_operators_alone_and_the_fused_one_does_not(
    int8_subject: Any, model_folder: Any, tmp_path: Path
) -> None:
    import onnx

    bert = replace(int8_subject, model=model_folder("bert"), workspace=Workspace(tmp_path))
    plain, fused = (onnx.load(folder / ONNX_FILE) for folder in (bert.plain, bert.exported))
    assert {node.domain for node in plain.graph.node} <= {"", "ai.onnx"}
    assert any(node.domain == "com.microsoft" for node in fused.graph.node)


def test_measure_timing_then_times_all_candidates_and_a_rivals_file_once(
    int8_subject: Any, options: ScriptOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_timing, "PROTOCOL", SHORT)
    once = SHORT.model_copy(update={"processes": 1})
    monkeypatch.setattr(quantize_stage, "BenchmarkProtocol", lambda: once)
    monkeypatch.setattr(quantize_timing, "AGAIN", once)
    target = load_target("local")
    rivals = int8_timing.rivals_folder(options.work, int8_subject)
    rivals.mkdir(parents=True)
    (rivals / "nncf@plain.onnx").write_bytes((int8_subject.plain / ONNX_FILE).read_bytes())
    int8_timing.measure_timing(options, target, int8_subject)
    (found,) = RowFile(options.results / "trec6.json").rows()
    expected = {"float", *int8_subject.schemes(target), "nncf@plain"}
    assert expected <= set(found["p50_s"]) <= expected | {int8_timing.CHOICE}
    assert found["chosen"] in found["p50_s"]
    assert found["slowdown"]["low"] <= found["slowdown"]["value"] <= found["slowdown"]["high"]
    assert found["fastest"] != "nncf@plain"
    assert set(found["speed_to_rivals"]) == {"nncf@plain"}
    assert all(len(processes) == 2 and len(processes[0]) == 2 for processes in found["rounds_p50_s"].values())
    int8_timing.measure_timing(options, target, int8_subject)
    assert len(RowFile(options.results / "trec6.json").rows()) == 1
    assert "Within 5 % in" in block_of(options.results.parent)


def test_measure_timing_for_a_target_with_other_instructions_is_refused(int8_subject: Any, options: ScriptOptions) -> None:
    import platform

    other = "laptop-vnni" if platform.machine() not in ("x86_64", "AMD64") else "raspberry-pi"
    with pytest.raises(UsageError, match="other instructions"):
        int8_timing.measure_timing(options, load_target(other), int8_subject)


def test_judged_then_compares_with_the_fastest_candidate_and_not_with_a_rival() -> None:
    def processes(p50_s: float) -> list[list[float]]:
        return [[p50_s * (1 + 0.001 * i)] * 3 for i in range(8)]

    times = {"float": processes(2.0), "a": processes(1.0), "b": processes(1.04), "c": processes(1.2), "nncf@fused": processes(0.5)}
    near, far = int8_timing.judged(times, "b"), int8_timing.judged(times, "c")
    assert (near["fastest"], near["is_within_5_percent"], far["is_within_5_percent"]) == ("a", True, False)
    assert far["slowdown"]["value"] == pytest.approx(1.2)
    assert near["speed_to_float"]["value"] == pytest.approx(2 / 1.04)
    assert near["speed_to_rivals"]["nncf@fused"]["value"] == pytest.approx(0.5 / 1.04)
    assert not near["is_slower_than_float"]
    assert int8_timing.judged({"float": processes(1.0), "a": processes(1.2)}, "a")["is_slower_than_float"]
    assert int8_timing.judged({"float": processes(1.0), "a": processes(1.01)}, "a")["is_slower_than_float"]


def test_measure_selections_then_each_draw_has_a_row(int8_subject: Any, options: ScriptOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_selections, "CALIBRATION_ROWS", 16)
    int8_selections.measure_selections(options, int8_subject)
    found = RowFile(options.results / "trec6.json").rows()
    assert [(row["selection"], row["draw"]) for row in found] == [
        ("random", 13), ("random", 14), ("random", 15), ("class-balanced", 13), ("class-balanced", 14), ("class-balanced", 15),
        ("informative", 13),
    ]
    assert {row["calibration_rows"] for row in found} == {16}
    assert {(row["n_validation"], row["n_test"]) for row in found} == {(40, 50)}
    int8_selections.measure_selections(options, int8_subject)
    assert RowFile(options.results / "trec6.json").rows() == found
    assert block_of(options.results.parent).count("class-balanced") == 1


def test_dry_run_then_makes_nothing(int8_subject: Any, options: ScriptOptions, capsys: pytest.CaptureFixture[str]) -> None:
    dry = replace(options, is_dry=True)
    int8.measure_accuracy(dry, int8_subject)
    int8_selections.measure_selections(dry, int8_subject)
    int8_timing.measure_timing(dry, load_target("local"), int8_subject)
    assert capsys.readouterr().out.count("trec6, seed 13, 1/80, tiny: ") == 1 + 7 + 1
    assert not options.results.exists()


def test_block_without_rows_is_one_sentence(tmp_path: Path) -> None:
    assert block_of(tmp_path) == "Not measured yet: `make bench-int8`."


def test_published_page_then_is_what_the_rows_say() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert filled(text, {BLOCK: block_of(RESULTS)}) == text


def test_picture_subject_then_is_the_published_student_with_the_data_it_was_quantized_on(
    int8_subject: Any, tmp_path: Path
) -> None:
    """The run folder is made of the text student's steps: what is found is found by hashes, whatever the task."""
    run = tmp_path / "run"
    target, stages = load_target("raspberry-pi"), Workspace(run / ".stages")
    twin = replace(int8_subject, workspace=stages)
    vars(twin)["exported"] = int8_subject.exported
    vars(twin)["exported_for"] = lambda target: int8_subject.exported
    chosen = twin.court(target)
    (run / ".stages" / "quantize").rename(run / ".stages" / "quantize-student")
    chosen = run / ".stages" / "quantize-student" / chosen.name
    _write_steps(run, int8_subject, chosen)
    found = picture_subject("fashion_mnist", run, tmp_path / "work", target="raspberry-pi")
    assert found.data == run / ".stages" / "prepare" / "right"
    assert found.soft_labels.is_file()
    assert sha256_of_file(found.model / "model.safetensors") == sha256_of_file(int8_subject.model / "model.safetensors")
    assert not (found.model / "onnx").exists()
    assert found.known_by["student"] == sha256_of_file(int8_subject.model / "model.safetensors")


def _write_steps(run: Path, subject: Any, int8_folder: Path) -> None:
    """Lay out a run folder: two prepared data, of which one is the student's, soft labels, the published student."""
    import shutil

    template = json.loads((int8_folder / "manifest.json").read_text(encoding="utf-8")) | {"outputs": []}
    student = run / "raspberry-pi" / "student"
    shutil.copytree(subject.model, student)
    (student / "onnx").mkdir()
    shutil.copyfile(int8_folder / ONNX_FILE, student / "onnx" / "model_quantized.onnx")
    for name, validation in (("another", "test"), ("right", "validation")):
        shutil.copytree(subject.data, run / ".stages" / "prepare" / name)
        shutil.copyfile(subject.data / f"{validation}.arrow", run / ".stages" / "prepare" / name / "validation.arrow")
        (run / ".stages" / "prepare" / name / "manifest.json").write_text(json.dumps(template), encoding="utf-8")
    (run / ".stages" / "soft-labels" / "one").mkdir(parents=True)
    shutil.copyfile(subject.soft_labels, run / ".stages" / "soft-labels" / "one" / "soft_labels.arrow")
    (run / ".stages" / "soft-labels" / "one" / "manifest.json").write_text(json.dumps(template), encoding="utf-8")
    (run / "recipe.lock.yaml").write_text(subject.recipe.to_json(), encoding="utf-8")
