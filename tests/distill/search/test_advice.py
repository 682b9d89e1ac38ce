"""The advice: how far off, why, and what to type."""

from typing import Any

from edgedistill.distill.search.advice import Shortage, advise
from edgedistill.recipe import Goal
from edgedistill.results import GoalCheck, Prediction

BUDGETS = {"model_bytes": 3_000_000.0, "peak_memory_bytes": 20_000_000.0, "latency_p50_s": 0.005}


def row(rung: str, int8_bytes: int, *, latency_p50_s: float = 0.001, **changes: Any) -> Prediction:
    return Prediction(
        rung=rung, parameters=1, int8_bytes=int8_bytes, float_bytes=1, peak_memory_bytes=10_000_000,
        latency_p50_s=latency_p50_s, latency_interval_s=(0.0, 1.0), sequence_tokens=9, is_chosen=False,
    ).model_copy(update=changes)


LEDGER = (
    row("huge", 20_000_000, rejected_because="x"), row("large", 4_123_456, latency_p50_s=0.0071, rejected_because="x"),
    row("middle", 2_000_000, is_chosen=True), row("small", 1_000_000),
)


def shortage_of(*, value: float = 0.90, limit: float = 0.95, kind: str = "max-degradation", **changes: Any) -> Shortage:
    goal = GoalCheck(metric="accuracy", type=kind, limit=limit, value=value, met=value >= limit)
    goals = changes.get("goals", (goal,))
    content: dict[str, Any] = {
        "goals": goals, "asked": tuple(Goal(metric="accuracy", type=kind, value=0.01) for _ in goals),  # type: ignore[arg-type]
        "rows_seen": 250_000, "learning_rate": 1e-3, "teacher": {"accuracy": 0.96}, "kept_on_validation": False, "finding": "does-not-fit",
        "finding_text": "does not fit the soft labels", "trials": 4, "trials_allowed": 4, "margin": 0.0,
    }
    return Shortage(**(content | changes))


def test_advise_when_every_goal_is_met_then_silent() -> None:
    assert advise(shortage_of(value=0.95), LEDGER, BUDGETS) == ""


def test_advise_when_missed_then_says_how_far_off_and_what_was_found() -> None:
    text = advise(shortage_of(), LEDGER, BUDGETS)
    assert text.startswith("accuracy 0.9000 on the test rows is 5.0 points short of 0.9500")
    assert "does not fit the soft labels" in text


def test_advise_when_a_larger_shape_is_kept_out_by_budgets_then_says_to_what_each_must_rise() -> None:
    text = advise(shortage_of(), LEDGER, BUDGETS)
    # 4,123,456 bytes and 7.1 ms, rounded up to two digits; memory is within its budget
    assert "large (--set budgets.model_bytes=4200000 --set budgets.latency_p50_s=0.0071)" in text


def test_advise_when_nothing_larger_exists_then_no_budget_is_named() -> None:
    assert "budgets" not in advise(shortage_of(), LEDGER[2:], BUDGETS)


def test_advise_when_the_goal_is_a_degradation_then_names_the_one_that_is_kept() -> None:
    # 1 - 0.90 / 0.96 = 0.0625
    assert "--set 'goals=[{metric: accuracy, type: max-degradation, value: 0.063}]'" in advise(shortage_of(), LEDGER, BUDGETS)


def test_advise_when_goal_and_budget_are_missed_then_one_command_for_both() -> None:
    budget = GoalCheck(metric="accuracy", type="max-degradation", limit=0.93, value=0.90, met=False)
    assert "value: 0.063}]' --set budgets.accuracy_loss=0.063)" in advise(shortage_of(budget=budget), LEDGER, BUDGETS)


def test_advise_when_one_of_two_goals_is_missed_then_the_other_is_asked_for_as_before() -> None:
    checks = tuple(GoalCheck(metric=name, type="min-value", limit=0.9, value=value, met=value >= 0.9)
                   for name, value in (("accuracy", 0.95), ("macro_f1", 0.8123)))
    asked = tuple(Goal(metric=name, type="min-value", value=0.9) for name in ("accuracy", "macro_f1"))  # type: ignore[arg-type]
    text = advise(shortage_of(goals=checks, asked=asked), LEDGER, BUDGETS)
    assert "[{metric: accuracy, type: min-value, value: 0.9}, {metric: macro_f1, type: min-value, value: 0.812}]" in text


def test_advise_when_more_training_may_help_then_with_the_number_to_type() -> None:
    assert "--set distillation.rows_seen=500000" in advise(shortage_of(), LEDGER, BUDGETS)
    assert "--set distillation.learning_rate=0.0005" in advise(shortage_of(finding="answers-like-a-constant"), LEDGER, BUDGETS)


def test_advise_when_the_goal_is_a_floor_above_the_teacher_then_says_so() -> None:
    text = advise(shortage_of(value=0.9432, limit=0.98, kind="min-value", finding="copies-the-teacher"), LEDGER, BUDGETS)
    assert "the goal asks for 0.9800, the teacher itself has 0.9600" in text
    assert "type: min-value, value: 0.943}" in text


def test_advise_when_validation_kept_the_goal_then_speaks_of_the_margin() -> None:
    text = advise(shortage_of(limit=0.93, kept_on_validation=True, finding="none"), LEDGER, BUDGETS)
    assert "--set search.margin=0.02" in text


def test_advise_when_the_margin_would_leave_no_room_below_the_teacher_then_asks_for_validation_rows() -> None:
    text = advise(shortage_of(kept_on_validation=True, finding="none"), LEDGER, BUDGETS)  # 1 point may be lost
    assert "search.margin" not in text
    assert "data.validation_share" in text


def test_advise_when_the_recipe_names_the_shape_then_to_leave_it_out_and_not_to_raise_budgets() -> None:
    text = advise(shortage_of(named_rung="small"), (LEDGER[0], row("middle", 2_000_000), row("small", 1_000_000, is_chosen=True)), BUDGETS)
    assert "leave student.rung out: 1 larger shape fits" in text
    assert "budgets.model_bytes" not in text


def test_advise_when_trials_are_left_then_does_not_ask_for_more() -> None:
    assert "--trials 8" in advise(shortage_of(), LEDGER, BUDGETS)
    assert "--trials" not in advise(shortage_of(trials=2), LEDGER, BUDGETS)


def test_advise_when_it_does_not_generalise_then_asks_for_data() -> None:
    assert "more labelled data" in advise(shortage_of(finding="does-not-generalise"), LEDGER, BUDGETS)


def test_advise_when_the_margin_was_larger_than_two_points_then_asks_for_more_than_that() -> None:
    text = advise(shortage_of(kind="min-value", kept_on_validation=True, finding="none", margin=0.026), LEDGER, BUDGETS)
    assert "--set search.margin=0.052)" in text
    again = shortage_of(kind="min-value", kept_on_validation=True, margin=0.004)
    assert "--set search.margin=0.02)" in advise(again, LEDGER, BUDGETS)


def test_advise_when_only_the_budget_of_accuracy_is_missed_then_says_what_it_would_have_to_be() -> None:
    budget = GoalCheck(metric="accuracy", type="max-degradation", limit=0.93, value=0.90, met=False)
    text = advise(shortage_of(goals=(), budget=budget), LEDGER, BUDGETS)
    assert "3.0 points short of 0.9300" in text
    assert "--set budgets.accuracy_loss=0.063" in text
    assert "max-degradation" not in text


def test_advise_when_the_time_was_used_up_then_asks_for_more() -> None:
    assert "--time-limit 3" in advise(shortage_of(time_limit_s=90.0), LEDGER, BUDGETS)
    assert "--time-limit" not in advise(shortage_of(), LEDGER, BUDGETS)


def test_advise_when_the_file_is_too_large_then_the_sentence_stands_by_itself() -> None:
    said = "every goal is kept on validation, but the file is over the size budget"
    text = advise(shortage_of(finding="none", finding_text=said), LEDGER, BUDGETS)
    assert f"; {said}. What may help" in text


def test_advise_when_the_best_is_looked_for_then_no_margin_that_would_change_nothing() -> None:
    changes: dict[str, Any] = {"limit": 0.93, "kept_on_validation": True, "finding": "none"}
    assert "search.margin" in advise(shortage_of(**changes), LEDGER, BUDGETS)
    text = advise(shortage_of(**changes, is_smallest_wanted=False), LEDGER, BUDGETS)
    assert "search.margin" not in text
    assert "give more validation rows" in text


def test_advise_when_the_teacher_is_no_better_than_one_answer_then_leads_with_it_and_asks_for_no_other_student() -> None:
    doubt = "the teacher itself is no better than a model that always answers 'C' (validation accuracy 0.4000 against 0.4000)"
    text = advise(shortage_of(teacher_doubt=doubt), LEDGER, BUDGETS)
    assert text.startswith(f"{doubt}; accuracy 0.9000 on the test rows is 5.0 points short")
    assert "What may help: check the labels" in text
    assert not any(other in text for other in ("rows_seen", "--trials", "budgets."))
    assert not any(other in text for other in ("ask for less", "goals="))  # a constant would keep one that is so low
