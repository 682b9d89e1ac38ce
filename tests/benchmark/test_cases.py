"""The cases of a model in detail, the rows that they take, and that each really runs as it says."""

import json

import numpy as np
import pytest

import edgedistill
from edgedistill.benchmark.cases import Case, CaseRow, cases_of, rows_near
from edgedistill.errors import ArtifactError
from edgedistill.recipe import BenchmarkProtocol
from tests.device.picture_model import make_picture_folder, write_some_pictures

LENGTHS = np.array([4] * 50 + [6] * 40 + [20] * 10)
SHORT = BenchmarkProtocol(warmup_runs=1, min_runs=10, min_duration_s=0.001, rounds=2)


def test_cases_when_made_then_differ_from_the_first_in_one_thing_each():
    first, *others = cases_of(LENGTHS, threads=1, cores=4)
    assert first == Case(sequence_tokens=4)
    for case in others:
        changed = [name for name in Case.model_fields if getattr(case, name) != getattr(first, name)]
        assert len(changed) == 1, case
    assert {case.sequence_tokens for case in others} == {4, 20}  # the 5th, 50th, 95th and 100th of a hundred
    assert {case.batch for case in others} == {1, 8}
    assert {case.threads for case in others} == {1, 2, 4}
    assert len({case.name for case in (first, *others)}) == len(others) + 1


@pytest.mark.parametrize(("tokens", "batch", "count"), [(4, 1, 32), (20, 1, 10), (4, 8, 32), (20, 8, 8), (20, 16, 16)])
def test_rows_when_chosen_then_have_the_length_and_fill_whole_batches(tokens, batch, count):
    rows = rows_near(LENGTHS, tokens, batch=batch)
    assert len(rows) == count
    assert (LENGTHS[rows] == tokens).all()


def test_examples_per_second_when_computed_then_counts_the_whole_batch(make_measurement):
    row = CaseRow(case=Case(sequence_tokens=10, batch=8), measurement=make_measurement([[0.002, 0.004, 0.006]] * 2))
    assert row.p50_s == 0.004
    assert row.examples_per_s == pytest.approx(2_000)


def test_detail_when_measured_then_has_a_row_for_every_case_and_keeps_the_samples(make_model_folder, tmp_path):
    (tmp_path / "rows.tsv").write_text("label\ttext\n" + "".join(f"a\tturn {'the ' * i}lights off\n" for i in range(4)))
    found = edgedistill.measure_detail(make_model_folder("student"), tmp_path / "rows.tsv", tmp_path / "kept", protocol=SHORT)
    cases = [row.case for row in found.rows]
    assert any(case.is_end_to_end for case in cases)
    assert any(not case.arena for case in cases)
    assert {case.batch for case in cases} == {1, 8}
    assert all(len(row.measurement.rounds_s) == 2 and min(row.measurement.rounds_s[0]) > 0 for row in found.rows)
    assert json.loads((tmp_path / "kept" / "detail.json").read_text())["rows"][0]["case"]["batch"] == 1


def test_cases_when_all_are_of_one_length_then_there_are_none_of_other_lengths():
    first, *others = cases_of(np.full(7, 1024), threads=1, cores=2, unit="pixels")
    assert first.name == "1024 pixels, batch 1, 1 thread(s)"
    assert [case.name for case in others] == [
        "1024 pixels, batch 1, 1 thread(s), end to end", "1024 pixels, batch 1, 1 thread(s), no arena",
        "1024 pixels, batch 8, 1 thread(s)", "1024 pixels, batch 1, 2 thread(s)",
    ]


def test_detail_when_pictures_then_batch_threads_and_the_picture_file_end_to_end(tmp_path):
    write_some_pictures(tmp_path / "rows.arrow")
    found = edgedistill.measure_detail(make_picture_folder(tmp_path / "student"), tmp_path / "rows.arrow", protocol=SHORT)
    cases = [row.case for row in found.rows]
    assert {(case.sequence_tokens, case.unit) for case in cases} == {(36, "pixels")}
    assert {case.batch for case in cases} == {1, 8}
    assert any(not case.arena for case in cases)
    (end_to_end,) = (row for row in found.rows if row.case.is_end_to_end)
    assert all(len(samples) > 0 for samples in end_to_end.measurement.rounds_s)


def test_detail_when_nothing_to_encode_with_lies_beside_the_model_then_refused(tmp_path, make_model_folder):
    folder = make_model_folder("student")
    (folder / "tokenizer.json").unlink()
    (tmp_path / "rows.tsv").write_text("label\ttext\na\tturn off\n")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json"):
        edgedistill.measure_detail(folder, tmp_path / "rows.tsv", protocol=SHORT)
