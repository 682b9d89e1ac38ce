"""The builder on six rows that can be counted by hand."""

import dataclasses
import json
import math

import jsonschema
import numpy as np
import pytest
from pydantic import BaseModel

from edgedistill.errors import ArtifactError
from edgedistill.report import tables, wording
from edgedistill.report.build import build_report
from edgedistill.report.model import RunReport, TargetLatency


def target_of(parts):
    return build_report(parts).targets["made-up-board"]


def as_json(parts):
    return json.loads(build_report(parts).to_json())


def test_report_json_validates_against_its_own_schema(parts):
    schema = RunReport.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(as_json(parts), schema, cls=jsonschema.Draft202012Validator)


def test_report_json_reads_back_equal(parts, tmp_path):
    report = build_report(parts)
    (tmp_path / "report.json").write_text(report.to_json(), encoding="utf-8")
    assert RunReport.read_json(tmp_path / "report.json") == report


def test_names_when_written_are_those_of_the_contract(parts):
    report = as_json(parts)
    assert {"schema_version", "recipe", "task", "created", "host", "tools", "targets", "decisions"} <= set(report)
    assert report["schema_version"] == 1
    assert report["created"] == "2026-01-02T03:04:05Z"
    assert set(report["decisions"][0]) == {"step", "what", "why"}
    target = report["targets"]["made-up-board"]
    assert {"verdict", "budgets", "variants", "retention", "parity", "int8_coverage"} <= set(target)
    assert target["verdict"] in ("pass", "fail")
    assert {"name", "limit", "value", "unit", "source", "met"} <= set(target["budgets"][0])
    assert [budget["source"] for budget in target["budgets"]] == ["measured", "emulated", "predicted"]
    assert set(target["parity"]) >= {"onnx", "int8", "arm64"}
    assert target["parity"]["arm64"] is None
    assert {"weight_bytes_share", "nodes_share"} <= set(target["int8_coverage"])


def test_variant_names_when_written_are_those_of_the_contract(parts):
    variants = as_json(parts)["targets"]["made-up-board"]["variants"]
    assert list(variants) == ["teacher", "teacher_int8", "student_no_kd", "student", "student_onnx", "student_int8"]
    shipped = variants["student_int8"]
    assert {"parameters", "size_bytes", "accuracy", "accuracy_ci95", "macro_f1", "agreement_with_teacher", "latency",
            "peak_rss_bytes"} <= set(shipped)
    assert set(shipped["latency"]) == {"host", "target"}
    host = {"threads", "p50_s", "p90_s", "p99_s", "n", "noisy", "p90_interval_s", "p99_interval_s", "mad_s", "energy_per_run_j"}
    assert host <= set(shipped["latency"]["host"])
    assert set(shipped["latency"]["target"]) == {"p50_s", "interval_s", "source"}
    assert set(shipped["peak_rss_bytes"]) == {"value", "baseline", "source"}
    assert isinstance(shipped["accuracy"], float)
    assert len(shipped["accuracy_ci95"]) == 2
    assert variants["student"]["latency"] == {"host": None, "target": None}
    assert variants["student"]["peak_rss_bytes"] is None


def test_schema_when_asked_describes_every_contract_name():
    schema = RunReport.model_json_schema()
    target = schema["$defs"]["TargetReport"]
    assert {"verdict", "budgets", "variants", "retention", "parity", "int8_coverage"} <= set(target["required"])


def test_figures_when_counted_by_hand_agree(parts):
    target = target_of(parts)
    assert target.retention == pytest.approx((4 / 6) / (5 / 6))
    assert target.headline.size_ratio == 40
    # medians of every round are 20 ms and 1 ms times the same drift
    assert target.headline.speed_ratio.value == pytest.approx(20)
    assert target.headline.memory_bytes == 2 * 2**20
    assert target.variants["teacher"].latency.host.p50_s == pytest.approx(0.020 * 1.001)
    assert target.variants["teacher"].latency.host.n == 9


def test_retention_interval_when_two_rows_decide_matches_the_formula(parts):
    # int8 4 right, teacher 5 right, one of them on each of 6; the teacher alone has rows 2 and 4, int8 alone row 5: b + c = 3
    z = 1.959964 * math.sqrt(5 / 30) / (math.sqrt((1 - 5 / 8) / 5) + math.sqrt((1 - 6 / 8) / 6))
    low_4, high_4 = ((8 + z**2 + sign * z * math.sqrt(z**2 + 16 / 3)) / (12 + 2 * z**2) for sign in (-1, 1))
    low_5, high_5 = ((10 + z**2 + sign * z * math.sqrt(z**2 + 10 / 3)) / (12 + 2 * z**2) for sign in (-1, 1))
    kept = target_of(parts).headline.retention
    assert (kept.value, kept.low, kept.high) == pytest.approx((0.8, low_4 / high_5, high_4 / low_5))
    assert (kept.low, kept.high) == pytest.approx((0.3556299, 1.7996237))


def test_gain_when_student_wins_two_rows_and_loses_one_counts_them(parts):
    gain = target_of(parts).distillation_gain
    # only the student is right on rows 1 and 4, only the student without a teacher on row 5
    assert (gain.mcnemar.only_candidate_right, gain.mcnemar.only_reference_right) == (2, 1)
    assert gain.difference.value == pytest.approx(1 / 6)
    assert gain.difference.low < 1 / 6 < gain.difference.high
    assert gain.mcnemar.p_value == 1.0  # binomial(3, 1/2): P(<= 1) = 1/2, doubled


def test_gain_when_both_trainings_are_known_says_how_many_rows_each_saw(with_target, target_parts):
    student = target_parts.curves["student"]
    short = student.model_copy(update={"rows_seen": 630})
    report = build_report(with_target(curves={"student": student, "student_no_kd": short}))
    gain = report.targets["made-up-board"].distillation_gain
    assert (gain.student_rows_seen, gain.student_no_kd_rows_seen) == (1260, 630)
    assert "saw 1,260 rows in training, the one without 630" in wording.gain_text(gain)
    assert tables.gain(report.targets["made-up-board"]).rows[0][0] == "with the teacher, 1,260 rows seen"


def test_gain_when_a_log_is_missing_says_nothing_of_rows_seen(parts):
    gain = target_of(parts).distillation_gain
    assert (gain.student_rows_seen, gain.student_no_kd_rows_seen) == (1260, None)
    assert "rows in training" not in wording.gain_text(gain)


def test_gain_when_there_is_no_baseline_is_none(with_target, target_parts):
    keep = {name: logits for name, logits in target_parts.logits.items() if name != "student_no_kd"}
    assert target_of(with_target(logits=keep)).distillation_gain is None


def test_telling_rows_when_decisions_differ_hold_both_distributions(parts):
    rows = target_of(parts).telling_rows
    # rows 2, 4 and 5 differ; all logits have the same margin, so the order of the file stays
    assert [row.text for row in rows] == ["lights | off `now`", "</script><img src=x onerror=alert(1)>",
                                          "brighter & warmer"]
    assert [row.right for row in rows] == ["teacher", "teacher", "student"]
    assert [item.label for item in rows[0].teacher][0] == "lights_off"
    top = math.exp(4) / (math.exp(4) + 2)
    assert rows[0].teacher[0].probability == pytest.approx(top, rel=1e-6)
    assert len(rows[0].student) == 3


def test_telling_rows_when_one_is_surer_puts_the_widest_gap_first(with_target, target_parts):
    surer = target_parts.logits["student_int8"].copy()
    surer[5] *= 3
    rows = target_of(with_target(logits={**target_parts.logits, "student_int8": surer})).telling_rows
    assert rows[0].text == "brighter & warmer"
    assert rows[0].divergence > rows[1].divergence


def test_reliability_when_all_are_equally_sure_fills_one_bin(parts):
    (only,) = target_of(parts).reliability["teacher"]
    assert (only.n, only.accuracy) == (6, pytest.approx(5 / 6))
    assert only.low < only.confidence <= only.high


def test_confused_pairs_when_two_errors_occur_are_listed(parts):
    pairs = {(pair.true_label, pair.answer): pair.n for pair in target_of(parts).confused_pairs}
    assert pairs == {("lights_off", "lights_on"): 1, ("<script>alert('label')</script>", "lights_on"): 1}


@pytest.mark.parametrize("what", ["budgets", "goals", "parity"])
def test_verdict_when_anything_is_missed_fails_and_says_by_how_much(with_target, target_parts, make, what):
    changed = {
        "budgets": make.budgets(size_limit_mib=1),
        "goals": (target_parts.goals[0].model_copy(update={"limit": 0.7, "met": False}),),
        "parity": make.parity(passed=False),
    }[what]
    target = target_of(with_target(**{what: changed}))
    expected = {
        "budgets": "model size 2.00 MiB (measured) is over the budget of 1.00 MiB (2.00x)",
        "goals": "accuracy 66.7 % is below the goal of 70.0 %",
        "parity": "parity int8 failed: 2 of 6 decisions flipped",
    }[what]
    assert target.verdict == "fail"
    assert expected in target.summary
    assert target.headline.fits is (what != "budgets")


def test_verdict_when_all_holds_passes_with_the_numbers(parts):
    target = target_of(parts)
    assert target.verdict == "pass"
    assert target.summary.startswith("Ready for Made-up Board <1>: the int8 student is 40.0x smaller and 20.0x faster")
    assert "keeps 80.0 %" in target.summary


def test_target_latency_when_only_the_plan_knows_is_predicted(parts):
    latency = target_of(parts).variants["student_int8"].latency.target
    assert (latency.p50_s, latency.interval_s, latency.source) == (0.006, (0.003, 0.012), "predicted")


def test_target_latency_when_measured_on_the_device_wins(with_target):
    known = {"student_int8": TargetLatency(p50_s=0.004, interval_s=(0.003, 0.005), source="measured")}
    target = target_of(with_target(target_latencies=known))
    assert target.variants["student_int8"].latency.target.source == "measured"
    assert (target.headline.target_p50_s, target.headline.target_p50_source) == (0.004, "measured")
    assert not any("not measured: nothing ran" in sentence for sentence in target.not_checked)


def test_not_checked_when_the_target_is_this_machine_and_was_timed_on_two_threads_then_says_that_and_nothing_untrue(parts, with_target):
    here = with_target(is_this_machine=True, measurements={
        name: m.model_copy(update={"protocol": m.protocol.model_copy(update={"threads": 2})})
        for name, m in parts.targets["made-up-board"].measurements.items()
    })
    said = target_of(here).not_checked
    assert ("Latency on one thread, of which the budget is, is predicted, not measured: Made-up Board <1> was timed on 2 threads."
            in said)
    assert not any("nothing ran on the device" in sentence or "Peak memory" in sentence for sentence in said)
    assert any("Peak memory was measured on the host" in sentence for sentence in target_of(parts).not_checked)


def test_latencies_when_measured_then_the_table_has_intervals_spread_and_energy_where_it_was_read(parts):
    target = target_of(parts)
    variants = dict(target.variants)
    name, variant = next((name, v) for name, v in variants.items() if v.latency.host is not None)
    host = variant.latency.host.model_copy(update={
        "p50_s": 0.002, "p50_interval_s": (0.0019, 0.0022), "mad_s": 0.00005, "p90_s": 0.003, "p90_interval_s": (0.0028, 0.0035),
        "p99_s": 0.004, "p99_interval_s": None, "load_s": 0.1, "first_run_s": 0.01, "n": 100, "energy_per_run_j": 0.0123,
        "noisy": False,
    })
    variants[name] = variant.model_copy(update={"latency": variant.latency.model_copy(update={"host": host})})
    table = tables.latencies(target.model_copy(update={"variants": variants}))
    row = next(row for row in table.rows if row[:2] == (name, "host"))
    assert dict(zip(table.headers, row, strict=True)) == {
        "variant": name, "where": "host", "source": "measured", "p50 (interval)": "2.00 ms (1.90 to 2.20)", "MAD": "50.0 µs",
        "p90 (interval)": "3.00 ms (2.80 to 3.50)", "p99 (interval)": "4.00 ms", "load": "100 ms", "first run": "10.0 ms",
        "runs": "100", "energy a run": "12.3 mJ",
    }
    assert {len(cells) for cells in table.rows} == {len(table.headers)}
    assert "energy a run" not in tables.latencies(target).headers


def test_not_checked_when_nothing_ran_on_the_device_says_so(parts):
    said = " ".join(target_of(parts).not_checked)
    assert "Latency on Made-up Board <1> is predicted, not measured" in said
    assert "Not timed on the host: student_no_kd, student." in said
    assert "One seed" in said
    assert "Power draw, heat and clock throttling were not measured." in said


def test_not_checked_when_energy_was_read_on_the_host_then_power_is_not_among_it(with_target, target_parts, make):
    read = make.measurement("student_int8", 0.001).model_copy(update={"energy_per_run_j": 0.01})
    target = target_of(with_target(measurements={**target_parts.measurements, "student_int8": read}))
    assert "Heat and clock throttling were not measured." in target.not_checked


def test_build_when_the_teacher_was_not_evaluated_refuses(with_target, target_parts):
    rest = {name: e for name, e in target_parts.evaluations.items() if name != "teacher"}
    with pytest.raises(ArtifactError, match="teacher was not evaluated"):
        build_report(with_target(evaluations=rest))


def test_build_when_logits_belong_to_other_rows_refuses(with_target, target_parts):
    other = {**target_parts.logits, "student": np.zeros((5, 3), np.float32)}
    with pytest.raises(ArtifactError, match="logits of student have shape"):
        build_report(with_target(logits=other))


def test_build_when_nothing_was_measured_leaves_latency_open(with_target):
    target = target_of(with_target(measurements={}))
    assert target.headline.speed_ratio is None
    assert target.headline.memory_bytes is None
    assert "faster" not in target.summary


def test_build_when_there_are_two_targets_reports_both(parts, target_parts):
    two = dataclasses.replace(parts, targets={"a": target_parts, "b": dataclasses.replace(target_parts, name="B")})
    assert list(build_report(two).targets) == ["a", "b"]


def test_documents_when_declared_are_frozen_and_closed():
    from edgedistill.report import model

    for kind in vars(model).values():
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__module__ == model.__name__:
            assert kind.model_config["frozen"]
            assert kind.model_config["extra"] == "forbid"
