"""The summaries of plan_check, on rows that can be counted by hand."""

import json
from pathlib import Path

import plan_check

from edgedistill.latency.rates import rates_of

PUBLISHED = Path(plan_check.__file__).parent / "results" / "plan_check.json"


def _bytes(name, predicted, made, *, float_=(100, 100)):
    shape = {"settings": {"shape": {"id": name}}}
    return plan_check.ByteRows({"predicted_bytes": predicted, "made_bytes": made, **shape},
                               {"predicted_float_bytes": float_[0], "made_float_bytes": float_[1], **shape})


def _time(predicted, measured):
    return {"predicted_p50_s": predicted, "predicted_interval_s": [predicted / 2, predicted * 2],
            "rounds_s": [[measured] * 3] * 2, "warnings": []}


def test_bytes_when_one_rung_is_off_then_names_it():
    int8, float_ = plan_check.summarize_bytes([_bytes("a", 100, 100), _bytes("b", 103, 100), _bytes("c", 99, 100)]).splitlines()
    assert int8 == "int8 bytes: 3 rungs, median error 1.00%, largest 3.00% (b): BEYOND 2%"
    assert float_ == "float bytes: 3 rungs, median error 0.00%, largest 0.00% (a): within 2%"


def test_bytes_when_a_float_file_is_off_then_names_that():
    int8, float_ = plan_check.summarize_bytes([_bytes("a", 101, 100), _bytes("b", 100, 100, float_=(100, 80))]).splitlines()
    assert int8.endswith("(a): within 2%")
    assert float_ == "float bytes: 2 rungs, median error 12.50%, largest 25.00% (b): BEYOND 2%"


def test_byte_rows_when_the_int8_row_is_there_then_only_the_float_row_is_added(monkeypatch, tmp_path):
    def build(folder, shape):
        folder.mkdir()
        (folder / plan_check.FLOAT_FILE).write_bytes(bytes(70))
        (folder / "model.onnx").write_bytes(bytes(20))
        return folder / "model.onnx"

    monkeypatch.setattr(plan_check, "build_student", build)
    shape, file = plan_check.ladder()[0], plan_check.RowFile(tmp_path / "plan_check.json")
    settings = {"kind": "bytes", "shape": shape.model_dump(), "classes": plan_check.CLASSES, "positions": plan_check.POSITIONS}
    kept = file.add(settings, {"predicted_bytes": 1, "made_bytes": 2}, command="earlier")
    rows = plan_check.byte_rows(file, shape, "now")
    assert (rows.int8["key"], rows.int8["made_bytes"]) == (kept["key"], 2)
    assert rows.float_["made_float_bytes"] == 70
    assert len(file.rows()) == 2
    monkeypatch.setattr(plan_check, "build_student", None)  # nothing is built a second time
    assert plan_check.byte_rows(file, shape, "again").float_["key"] == rows.float_["key"]


def test_times_when_two_neighbours_are_swapped_then_the_rank_correlation_is_that_of_the_formula():
    # 1 - 6 * (1 + 1) / (5 * 24) = 0.9
    rows = [_time(p, m) for p, m in ((1, 1), (2, 2), (3, 4), (4, 3), (5, 15))]
    text = plan_check.summarize_times(rows)
    assert "Spearman 0.900 (BELOW 0.95)" in text
    assert "largest 66.7% (60% within 25%)" in text  # 0, 0, 1/4, 1/3 and 2/3 off
    assert "80% inside the interval, 0 rows noisy" in text


def test_rates_when_the_profile_was_stored_by_an_earlier_version_then_still_those_that_were_measured():
    rows = json.loads(PUBLISHED.read_text())["rows"]
    profile = next(row["profile"] for row in rows if "profile" in row)
    assert "sources:" not in profile  # what `targets check` asks for now
    (rate,) = [line for line in profile.splitlines()[profile.splitlines().index("  int8_macs_per_s:") + 1:][:1]]
    assert 1 / rates_of(plan_check.with_rates_of(profile)).int8_mac_s == float(rate.split()[1])
