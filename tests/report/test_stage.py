"""Reading the results of a run and writing its report."""

import dataclasses
import json
import os
import stat

import numpy as np
import pytest

import edgedistill
from edgedistill.decisions import problem_of_labels
from edgedistill.errors import ArtifactError, StorageError, UsageError
from edgedistill.examples import write_examples
from edgedistill.report.build import build_report
from edgedistill.report.stage import (
    REPORT_HTML,
    REPORT_JSON,
    REPORT_MARKDOWN,
    Inputs,
    Settings,
    TargetInputs,
    TargetSettings,
    read_parts,
    read_report,
    write_report,
)
from edgedistill.results import Labels
from edgedistill.run_report import parity_advice_of, parity_problems_of


@pytest.fixture
def settings(parts, target_parts):
    return Settings(
        recipe=parts.recipe, task=parts.task, created=parts.created, host=parts.host, tools=dict(parts.tools),
        decisions=parts.decisions, steps=parts.steps,
        targets={"made-up-board": TargetSettings(
            name=target_parts.name, predictions=target_parts.predictions, budgets=target_parts.budgets,
            goals=target_parts.goals, frontier=target_parts.frontier, advice=target_parts.advice,
        )},
    )


@pytest.fixture
def inputs(parts, tmp_path):
    return files_of(parts, tmp_path)


def files_of(parts, tmp_path):
    """The parts as the files that the stages write."""
    target_parts = parts.targets["made-up-board"]

    def document(name, value):
        (tmp_path / name).write_text(value.to_json(), encoding="utf-8")
        return tmp_path / name

    logits = {}
    for name, values in target_parts.logits.items():
        logits[name] = tmp_path / f"{name}.npy"
        np.save(logits[name], values)
    measurements = [m.model_dump(mode="json") for m in target_parts.measurements.values()]
    (tmp_path / "measurements.json").write_text(json.dumps({"sequence_tokens": 9, "measurements": measurements}))
    (tmp_path / "data_report.json").write_text(json.dumps(parts.data))
    ids = [str(i) for i in range(len(target_parts.texts))]
    write_examples(tmp_path / "test.arrow", ids, target_parts.texts, target_parts.gold)
    return Inputs(
        targets={"made-up-board": TargetInputs(
            evaluations={n: document(f"{n}.json", e) for n, e in target_parts.evaluations.items()},
            logits=logits,
            measurements=tmp_path / "measurements.json",
            parity=document("parity.json", target_parts.parity),
            verdict=document("verdict.json", target_parts.quantization),
            test=tmp_path / "test.arrow",
            labels=document("labels.json", Labels(
                labels=target_parts.labels, problem_type=problem_of_labels(target_parts.gold))),
            curves={n: document(f"{n}_log.json", log) for n, log in target_parts.curves.items()},
        )},
        data_report=tmp_path / "data_report.json",
    )


def test_read_parts_when_files_hold_the_parts_gives_the_same_report(parts, settings, inputs):
    assert build_report(read_parts(settings, inputs)) == build_report(parts)


def test_read_parts_when_several_labels_may_apply_gives_the_same_report(several_parts, settings, tmp_path):
    report = build_report(read_parts(settings, files_of(several_parts, tmp_path)))
    assert report == build_report(several_parts)
    assert report.targets["made-up-board"].problem_type == "multi_label_classification"


def test_read_parts_when_other_int8_variants_have_verdicts_then_the_report_has_their_coverage(settings, inputs, tmp_path, target_parts):
    verdict = target_parts.quantization.model_copy(update={"scheme": "static_wi8_ai8"})
    (tmp_path / "teacher_verdict.json").write_text(verdict.to_json(), encoding="utf-8")
    own = dataclasses.replace(inputs.targets["made-up-board"], verdicts={"teacher_int8": tmp_path / "teacher_verdict.json"})
    report = build_report(read_parts(settings, dataclasses.replace(inputs, targets={"made-up-board": own})))
    variants = report.targets["made-up-board"].variants
    assert {name: v.int8.scheme for name, v in variants.items() if v.int8 is not None} == {
        "teacher_int8": "static_wi8_ai8", "student_int8": "dynamic_wi8_afp32"}
    assert variants["teacher_int8"].int8.coverage == verdict.coverage


def test_read_parts_when_no_bundle_was_packed_then_the_gate_of_int8_fails_and_says_why(settings, inputs):
    target = settings.targets["made-up-board"].model_copy(update={"bundle_refused": "model.ort flips 2 of 24 golden rows"})
    report = build_report(read_parts(settings.model_copy(update={"targets": {"made-up-board": target}}), inputs))
    found = report.targets["made-up-board"]
    assert (found.verdict, found.parity.int8.passed, found.parity.onnx.passed) == ("fail", False, True)
    assert "model.ort flips 2 of 24 golden rows" in found.summary
    assert parity_problems_of(report)[0].endswith(
        "the bundle does not answer as the int8 student does: model.ort flips 2 of 24 golden rows")
    assert "docs/package.md" in parity_advice_of(report)


def test_read_parts_when_logits_are_missing_names_the_file(settings, inputs):
    inputs.targets["made-up-board"].logits["student"].unlink()
    with pytest.raises(ArtifactError, match="student.npy: no such file"):
        read_parts(settings, inputs)


def test_read_parts_when_logits_are_damaged_names_the_file(settings, inputs):
    inputs.targets["made-up-board"].logits["student"].write_bytes(b"no array")
    with pytest.raises(ArtifactError, match="student.npy: is not an array"):
        read_parts(settings, inputs)


def test_read_parts_when_a_document_has_a_wrong_key_names_it(settings, inputs):
    path = inputs.targets["made-up-board"].parity
    path.write_text(json.dumps({**json.loads(path.read_text()), "onx": 1}))
    with pytest.raises(UsageError, match="did you mean 'onnx'"):
        read_parts(settings, inputs)


def test_read_parts_when_the_data_report_is_no_object_refuses(settings, inputs):
    inputs.data_report.write_text("[1]")
    with pytest.raises(ArtifactError, match="a JSON object is expected"):
        read_parts(settings, inputs)


def test_read_parts_when_targets_do_not_match_refuses(settings, inputs):
    with pytest.raises(ArtifactError, match="settings for made-up-board, files for other"):
        read_parts(settings, Inputs(targets={"other": inputs.targets["made-up-board"]}))


def test_write_report_when_done_leaves_three_files_and_reads_back(parts, tmp_path):
    report = build_report(parts)
    write_report(report, tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == sorted([REPORT_JSON, REPORT_MARKDOWN, REPORT_HTML])
    assert read_report(tmp_path / "run") == read_report(tmp_path / "run" / REPORT_JSON) == report


def test_report_when_its_file_has_another_name_then_writes_the_pages_and_no_report_json(parts, tmp_path):
    (tmp_path / REPORT_JSON).write_text("of this run")
    (tmp_path / "theirs.json").write_text(build_report(parts).to_json())
    edgedistill.report(tmp_path / "theirs.json")
    assert (tmp_path / REPORT_JSON).read_text() == "of this run"
    assert {p.name for p in tmp_path.iterdir()} == {REPORT_JSON, "theirs.json", REPORT_MARKDOWN, REPORT_HTML}


def test_write_report_when_done_twice_gives_the_same_bytes(parts, tmp_path):
    for name in ("a", "b"):
        write_report(build_report(parts), tmp_path / name)
    for name in (REPORT_JSON, REPORT_MARKDOWN, REPORT_HTML):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_write_report_when_the_folder_is_read_only_says_so(parts, tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(StorageError):
        write_report(build_report(parts), tmp_path / "run")


def test_read_report_when_there_is_none_refuses(tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        read_report(tmp_path)


@pytest.mark.parametrize(("name", "content"), [
    ("recipe.yaml", "id: mine\n"), ("data_report.json", '{"classes": []}'), ("bundle.zip", "PK\x03\x04"), ("list.json", "[1]"),
    ("deep.json", "[" * 100_000),
])
def test_read_report_when_the_file_is_of_another_kind_then_says_so_and_not_that_it_is_damaged(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(UsageError) as caught:
        read_report(tmp_path / name)
    assert caught.value.message == f"{tmp_path / name}: is no report.json"
    assert caught.value.hint == "name the run folder: the DIR of a finished `edgedistill run -o DIR`"
    (tmp_path / REPORT_JSON).touch()
    with pytest.raises(UsageError) as caught:
        read_report(tmp_path / name)
    assert caught.value.hint == f"name the run folder: {tmp_path}"


def test_read_report_when_a_report_has_another_name_then_it_is_read(parts, tmp_path):
    report = build_report(parts)
    (tmp_path / "of-may.json").write_text(report.to_json())
    assert read_report(tmp_path / "of-may.json") == report
