"""The budgets of a target against what the int8 student costs, and where each figure comes from."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edgedistill import run_report
from edgedistill.catalog import load_target
from edgedistill.distill.search.trial import Diagnosis
from edgedistill.emulated_step import Emulation
from edgedistill.evaluate.stage import EVALUATION_FILE
from edgedistill.goals import accuracy_goal, check_goals
from edgedistill.host import this_host
from edgedistill.manifest import MANIFEST_FILE, Decision, Manifest
from edgedistill.plan import DataFacts, Plan, make_plan, predict
from edgedistill.recipe import Recipe
from edgedistill.report.model import TargetLatency
from edgedistill.results import BudgetCheck, Coverage, Evaluation, Interval, Measurement, QuantizationVerdict
from edgedistill.run_report import Costs, TargetResults, check_budgets, command_of
from edgedistill.shape import StudentShape
from edgedistill.tasks.registry import task_named
from tests.report.test_device import MIB, measurement

SHAPE = StudentShape(id="one", layers=1, hidden=32, heads=2, intermediate=16, vocabulary=100)


def _evaluation(accuracy: float) -> Evaluation:
    around = Interval(value=accuracy, low=accuracy, high=accuracy)
    return Evaluation(
        variant="student_int8", model_sha256="0", parameters=1, size_bytes=2 * MIB, split="test", n=100, accuracy=around,
        macro_f1=around, calibration_error=around, agreement_with_teacher=None, mcnemar_against_teacher=None, classes=(),
        confusion=(),
    )


@pytest.fixture
def plan() -> Plan:
    recipe = Recipe.model_validate({"id": "mine", "task": "text-classification", "data": {"train": "t.csv"}, "teacher": {"name": "t"}})
    return make_plan(recipe, load_target("raspberry-pi"), DataFacts(3, 100, 5), [SHAPE])


def _checks(plan: Plan, **costs: Any) -> dict[str, BudgetCheck]:
    teacher = _evaluation(costs.pop("teacher", 0.9))
    found = check_budgets(plan, _evaluation(costs.pop("accuracy", 0.81)), Costs(teacher, None, **costs))
    return {check.name: check for check in found}


@pytest.mark.parametrize(("accuracy", "loss", "met"), [(0.855, 0.05, True), (0.8, 1 / 9, False), (0.95, 0.0, True)])
def test_budgets_when_accuracy_is_lost_then_it_is_a_share_of_the_teachers(plan: Plan, accuracy: float, loss: float, met: bool) -> None:
    check = _checks(plan, accuracy=accuracy)["accuracy_loss"]
    assert check.value == pytest.approx(loss)
    assert (check.met, check.unit, check.source) == (met, "share", "measured")


def test_budgets_when_the_loss_equals_its_limit_then_it_is_met_as_a_goal_is(plan: Plan) -> None:
    teacher, student = 0.8, 0.72  # one right answer in ten is lost, and the budget is 0.1; 1 - 0.72 / 0.8 is a rounding above
    check = _checks(plan, teacher=teacher, accuracy=student)["accuracy_loss"]
    assert (check.limit, check.met) == (0.1, True)
    assert check_goals([accuracy_goal(0.1)], _evaluation(teacher), _evaluation(student))[0].met
    assert not _checks(plan, teacher=teacher, accuracy=student - 1e-9)["accuracy_loss"].met


@pytest.mark.parametrize(("scheme", "is_in_float"), [
    ("float", True), ("weight_only_wi8_afp32_per_channel", True), ("dynamic_wi8_afp32", False),
])
def test_target_when_what_ships_computes_in_float_then_budget_and_headline_have_the_latency_of_float(
    scheme: str, is_in_float: bool, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coverage = Coverage(weight_bytes_share=0.0, nodes_share=0.0, float_nodes=(), bytes_by_part={})
    verdict = QuantizationVerdict(scheme=scheme, candidates={}, coverage=coverage, decision="", float_predicted_p50_s=0.5)
    (tmp_path / "verdict.json").write_text(verdict.to_json())
    (tmp_path / "evaluation.json").write_text(_evaluation(0.9).to_json())
    done = SimpleNamespace(folder=tmp_path)
    result = cast(TargetResults, SimpleNamespace(
        plan=plan, evaluations={"teacher": done, "student_int8": done}, student_int8=done, benchmark=None, device=None, tuning=None,
        found=SimpleNamespace(rows=()), emulation=Emulation(None, unchecked="Not looked at."), refused="",
    ))
    monkeypatch.setattr(run_report, "_advice", lambda *given: "")
    found = run_report._target_settings(plan.recipe, result, ())
    latency = next(check for check in found.budgets if check.name == "latency_p50_s")
    assert (latency.value, latency.met, latency.source) == (
        (0.5, False, "predicted") if is_in_float else (plan.chosen.latency_p50_s, True, "predicted"))
    assert set(found.target_latencies) == ({"student_int8"} if is_in_float else set())
    for told in found.target_latencies.values():
        low, high = (end / plan.chosen.latency_p50_s for end in plan.chosen.latency_interval_s)  # factors, of any graph
        assert (told.p50_s, told.source) == (0.5, "predicted")
        assert told.interval_s == pytest.approx((0.5 * low, 0.5 * high))


def test_budgets_when_nothing_ran_on_a_device_then_latency_is_predicted(plan: Plan) -> None:
    found = _checks(plan)
    assert (found["latency_p50_s"].source, found["latency_p50_s"].value) == ("predicted", plan.chosen.latency_p50_s)
    assert found["peak_memory_bytes"].source == "predicted"
    assert (found["model_bytes"].value, found["model_bytes"].source) == (2 * MIB, "measured")


def test_budgets_when_a_device_measured_then_its_figures_are_judged(plan: Plan) -> None:
    found = _checks(plan, device=measurement())
    assert (found["latency_p50_s"].source, found["latency_p50_s"].value) == ("measured", pytest.approx(0.0082))
    assert (found["peak_memory_bytes"].source, found["peak_memory_bytes"].value) == ("measured", 10 * MIB)


def test_budgets_when_the_target_is_this_machine_then_what_was_measured_on_it_is_judged(plan: Plan) -> None:
    own = TargetLatency(p50_s=0.007, interval_s=(0.006, 0.008), source="measured")
    latency = _checks(plan, own=own, float_p50_s=0.5)["latency_p50_s"]
    assert (latency.value, latency.source) == (0.007, "measured")
    assert _checks(plan, own=own, device=measurement())["latency_p50_s"].value == pytest.approx(0.0082)


@pytest.mark.parametrize(("target", "threads", "is_one"), [("local", 1, True), ("local", 2, False), ("raspberry-pi", 1, False)])
def test_is_timed_here_only_of_the_machine_that_measured_with_one_thread(target: str, threads: int, is_one: bool) -> None:
    measured = cast(Measurement, SimpleNamespace(host=this_host(), protocol=SimpleNamespace(threads=threads)))
    assert run_report.is_timed_here(load_target(target), measured) == is_one
    assert run_report.is_here(load_target(target), measured) == (target == "local")


def test_report_when_other_students_of_the_folder_answered_the_same_test_rows_then_says_so(tmp_path: Path) -> None:
    def evaluated(key: str, *, model: str, data: str = "d") -> SimpleNamespace:
        folder = tmp_path / key
        folder.mkdir()
        (folder / EVALUATION_FILE).write_text(_evaluation(0.9).model_copy(update={"model_sha256": model}).to_json())
        manifest = Manifest(step="evaluate-student-int8", stage="evaluate", stage_version=1, key=key, settings_json="{}",
                            inputs={"model": key, "data": data}, outputs=(), tools={}, host=this_host(),
                            started=datetime(2026, 1, 1, tzinfo=UTC), duration_s=1.0)
        (folder / MANIFEST_FILE).write_text(manifest.to_json())
        return SimpleNamespace(evaluations={"student_int8": SimpleNamespace(folder=folder)})

    board, phone = (cast(TargetResults, evaluated(key, model=key)) for key in ("board", "phone"))
    evaluated("twice", model="board")
    evaluated("of other data", model="x", data="e")
    (tmp_path / "begun").mkdir()
    assert run_report._judged_too({"board": board, "phone": phone}) == ()
    assert run_report._judged_too({"board": board})[0].startswith("Another int8 student of this run folder answered")
    evaluated("earlier", model="y")
    assert run_report._judged_too({"board": board})[0].startswith("2 other int8 students of this run folder")


def test_report_when_the_student_has_a_vocabulary_of_its_own_then_predicts_anew_for_its_tokens(
    monkeypatch: pytest.MonkeyPatch, plan: Plan
) -> None:
    facts = dataclasses.replace(plan.facts, has_students_lengths=False)
    longer = dataclasses.replace(facts, median_tokens=3 * facts.median_tokens, has_students_lengths=True)
    door = task_named(plan.recipe.task)
    monkeypatch.setattr(type(door), "facts", lambda self, recipe, prepared, folder: {"int8": longer}[folder])
    result = cast(TargetResults, SimpleNamespace(plan=dataclasses.replace(plan, facts=facts),
                                                 student_int8=SimpleNamespace(folder="int8")))
    (said,) = run_report._read_otherwise(result, Path("data"))
    slower = predict(plan.shape, plan.recipe, plan.target, longer).latency_p50_s
    assert slower > plan.chosen.latency_p50_s
    assert f"predicted a p50 of {plan.chosen.latency_p50_s * 1e3:.2f} ms" in said
    assert f"reads it in {longer.median_tokens} of its own, for which the same prediction is {slower * 1e3:.2f} ms" in said
    assert run_report._read_otherwise(cast(TargetResults, SimpleNamespace(plan=plan)), Path("data")) == ()


def test_budgets_when_the_device_was_emulated_then_its_times_are_not_judged(plan: Plan) -> None:
    found = _checks(plan, device=measurement(rounds=(), source="emulated"))
    assert found["latency_p50_s"].source == found["peak_memory_bytes"].source == "predicted"


@pytest.mark.parametrize(("is_shipped", "is_kept", "says"), [
    (False, False, "the best student good in float, not in int8"), (True, False, "0.0050 better in int8"),
    (True, True, "on validation the goal was kept"),
])
def test_advice_when_a_fine_tuned_student_ships_then_it_speaks_of_that_one(
    plan: Plan, tmp_path: Path, is_shipped: bool, is_kept: bool, says: str
) -> None:
    (tmp_path / "evaluation.json").write_text(_evaluation(0.81).to_json())
    gain = SimpleNamespace(is_shipped=is_shipped, text="0.0050 better in int8")
    trial = SimpleNamespace(settings=SimpleNamespace(rows_seen=250_000, learning_rate=1e-3))
    chosen = SimpleNamespace(is_met=False, margin=0.0, diagnosis=Diagnosis(finding="lost-in-int8", text="good in float, not in int8"))
    result = cast(TargetResults, SimpleNamespace(
        plan=plan, evaluations={"student_int8": SimpleNamespace(folder=tmp_path)},
        found=SimpleNamespace(chosen=chosen, rows=(), is_out_of_time=False, teacher_doubt="", trial=trial),
        tuning=SimpleNamespace(gain=gain, keeps_the_goals=is_kept),
    ))
    goals = check_goals(plan.recipe.goals, _evaluation(0.9), _evaluation(0.81))
    text = run_report._advice(plan.recipe, result, _evaluation(0.9), goals)
    assert says in text
    assert ("int8 scheme" in text) is not is_shipped


def test_decisions_when_a_run_has_several_targets_then_each_names_its_own() -> None:
    made = Decision(step="search", what="took trial 1", why="it is the best")
    result = cast(TargetResults, SimpleNamespace(plan=SimpleNamespace(target=SimpleNamespace(id="raspberry-pi"))))
    assert run_report._of_target(result, [made], is_one_of_several=False) == [made]
    assert [d.what for d in run_report._of_target(result, [made], is_one_of_several=True)] == ["raspberry-pi: took trial 1"]


def test_command_when_targets_are_shipped_or_measured_or_of_a_file_then_names_each_as_it_must_be_typed() -> None:
    edited = load_target("raspberry-pi").model_copy(update={"name": "the one in the shop"})
    names = [run_report._typed(target) for target in (load_target("raspberry-pi"), load_target("local"), edited)]
    assert names == ["raspberry-pi", "local", "path/to/raspberry-pi.yaml"]
    found = command_of({"raspberry-pi": measurement(), "local": None, "path/to/my-board.yaml": None})
    assert found == ("edgedistill run --recipe recipe.lock.yaml --target raspberry-pi --on ssh://pi@board --target local "
                     "--target path/to/my-board.yaml -o again")


@pytest.mark.parametrize(("target", "architecture", "features", "is_left_out"), [
    ("raspberry-pi", "aarch64", ("fp", "asimd", "crc32"), True),
    ("raspberry-pi", "aarch64", ("fp", "asimd", "asimddp"), False),  # a Pi 5 makes int8 products otherwise than a Pi 4
    ("raspberry-pi", "aarch64", (), False),  # and one that does not tell may
    ("laptop-avx2", "x86_64", ("sse2", "avx2"), True),
    ("laptop-avx2", "AMD64", ("sse2", "avx2", "avx_vnni"), False),
])
def test_unchecked_when_a_device_answered_then_left_out_only_where_its_int8_is_the_targets(
    target: str, architecture: str, features: tuple[str, ...], is_left_out: bool
) -> None:
    facts = measurement().device.model_copy(update={"architecture": architecture, "features": features})
    result = cast(TargetResults, SimpleNamespace(plan=SimpleNamespace(target=load_target(target)),
                                                 emulation=Emulation(None, unchecked="Not looked at.")))
    assert run_report._unchecked(result, None) == ("Not looked at.",)
    assert run_report._unchecked(result, measurement(device=facts)) == (() if is_left_out else ("Not looked at.",))


def test_report_when_a_task_names_what_nobody_looked_at_then_every_target_is_told(monkeypatch: pytest.MonkeyPatch, plan: Plan) -> None:
    class Told(Exception):
        """Carries what a target was told."""

    def stop(recipe: Recipe, result: Any, unseen: tuple[str, ...]) -> Any:
        raise Told(*unseen)

    door = SimpleNamespace(not_checked=lambda data, teacher: (f"{teacher} never saw {data}",))
    found = SimpleNamespace(decisions=(), chosen=None)
    taught = SimpleNamespace(folder="teach", manifest=SimpleNamespace(decisions=(), duration_s=0.0))
    monkeypatch.setattr(run_report, "task_named", lambda name: door)
    monkeypatch.setattr(run_report, "_target_settings", stop)
    monkeypatch.setattr(run_report, "finished_at", lambda steps: None)
    monkeypatch.setattr(run_report, "_judged_too", lambda results: ())
    recipe = SimpleNamespace(id="r", task="image-classification")
    result = SimpleNamespace(found=found, tuning=None, plan=plan)
    with pytest.raises(Told, match="teach never saw data"):
        run_report.collect_report(recipe, {"teach": taught}, Path("data"), {"pi": result})
