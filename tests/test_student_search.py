"""The search with made-up trainings: what is tried, what is chosen, how it ends, and how it goes on after a kill."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from edgedistill import search_job
from edgedistill.catalog import load_target
from edgedistill.distill.search.study import Owner, SearchStudy
from edgedistill.distill.search.trial import Trial, TrialSettings
from edgedistill.errors import TrainingDivergedError
from edgedistill.plan import DataFacts, make_plan, memory_bytes
from edgedistill.recipe import Recipe
from edgedistill.results import (
    ClassFigures,
    Coverage,
    Evaluation,
    Fit,
    FitOn,
    Int8Candidate,
    Interval,
    QuantizationVerdict,
    TrainingLog,
    TrainingPoint,
)
from edgedistill.search_job import Attempt, Job, plan_of, recipe_of
from edgedistill.shape import StudentShape
from edgedistill.student_search import search_students
from edgedistill.trials import _own_shapes

RUNGS = tuple(
    StudentShape(id=f"w{width}", layers=1, hidden=width, heads=1, intermediate=16, vocabulary=100) for width in (8, 16, 24, 32, 40)
)
ROWS = 200
AGREES = Fit(
    train=FitOn(rows=100, kl_nats=0.1, constant_kl_nats=1.0, agreement=0.9),
    validation=FitOn(rows=ROWS, kl_nats=0.1, constant_kl_nats=1.0, agreement=0.9),
    labelled_rows=ROWS, teacher_right=190, student_right=150, both_right=150, same_mistake=1,
)


VERDICT = QuantizationVerdict(
    scheme="dynamic_wi8_afp32", candidates={}, decision="it is good enough",
    coverage=Coverage(weight_bytes_share=1.0, nodes_share=1.0, float_nodes=(), bytes_by_part={}))


def evaluation(accuracy: float) -> Evaluation:
    around = Interval(value=accuracy, low=accuracy, high=accuracy)
    return Evaluation(
        variant="student_int8", model_sha256="0", parameters=1, size_bytes=1000, split="validation", n=ROWS, accuracy=around,
        macro_f1=around, calibration_error=around, agreement_with_teacher=None, mcnemar_against_teacher=None, classes=(),
        confusion=(),
    )


@dataclasses.dataclass
class Trainings:
    """Stands for the stages: int8 accuracy by rung, float a thousandth above; keeps what was asked for."""

    accuracy: Callable[[Trial], float]
    asked: list[Trial] = dataclasses.field(default_factory=list)
    reachable: bool = True
    taken_over: int = 0
    dies_at: int | None = None

    def __call__(self, trial: Trial, source: Path | None) -> Attempt | None:
        if source is not None:
            self.taken_over += self.reachable
            if not self.reachable:
                return None
        else:
            self.asked.append(trial)
        if self.dies_at is not None and len(self.asked) > self.dies_at:
            raise KeyboardInterrupt
        accuracy = self.accuracy(trial)
        points = tuple(TrainingPoint(step=i, loss=1.0, validation_loss=1.0, validation_accuracy=accuracy * i / 4) for i in range(1, 5))
        log = TrainingLog(points=points, steps_planned=4)
        is_right = np.arange(ROWS) < round(accuracy * ROWS)
        return Attempt(log, AGREES, evaluation(accuracy + 0.001), evaluation(accuracy), is_right, VERDICT,
                       {trial.settings.model_copy(update={"scheme": ""}).to_json(): 50.0, trial.settings.to_json(): 10.0})


def by_width(table: dict[str, float]) -> Trainings:
    return Trainings(lambda trial: table[trial.settings.rung])


RISING = {"w8": 0.80, "w16": 0.85, "w24": 0.90, "w32": 0.93, "w40": 0.95}


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    def make(
        *, run_id: str = "", limit: float = 0.84, loss: float = 1.0, student: dict[str, Any] | None = None, goals: Any = None,
        **search: Any,
    ) -> Job:
        recipe = Recipe.model_validate({
            "id": "mine", "task": "text-classification", "data": {"train": "t.csv"}, "teacher": {"name": "t", "max_tokens": 10},
            "student": student or {}, "budgets": {"accuracy_loss": loss}, "search": {"margin": 0.0} | search,
            "goals": [{"metric": "accuracy", "type": "min-value", "value": limit}] if goals is None else goals,
        })
        plan = make_plan(recipe, load_target("raspberry-pi"), DataFacts(3, 100, 5), RUNGS)
        return Job(recipe, plan, evaluation(0.96), ("dynamic_wi8_afp32",), Owner(run_id, f"host:{run_id}", str(tmp_path)),
                   tmp_path / "study.journal", ("data", "teacher"))

    return make


def rungs_asked(trainings: Trainings) -> list[str]:
    return [trial.settings.rung for trial in trainings.asked]


def test_search_when_the_budget_of_accuracy_asks_for_more_than_the_goal_then_keeps_it_too(job: Callable[..., Job]) -> None:
    found = search_students(job(limit=0.84, loss=0.10), by_width(RISING))  # 0.9 of the teacher's 0.96 is 0.864
    assert found.trial.settings.rung == "w24"


def test_search_when_a_constant_would_reach_the_goal_then_warns_and_the_decisions_say_so(
    job: Callable[..., Job], caplog: pytest.LogCaptureFixture
) -> None:
    made = job(limit=0.84)
    classes = tuple(ClassFigures(label=name, support=n, precision=1.0, recall=1.0, f1=1.0) for name, n in (("no", 95), ("yes", 5)))
    imbalanced = dataclasses.replace(made, teacher=made.teacher.model_copy(update={"classes": classes}))
    found = search_students(imbalanced, by_width(RISING))
    assert any("always answers 'no' would reach the goal" in decision.what for decision in found.decisions)
    assert any("always answers 'no' would reach the goal" in record.message for record in caplog.records if record.levelname == "WARNING")
    caplog.clear()
    found = search_students(dataclasses.replace(made, study=made.study.with_name("other.journal")), by_width(RISING))
    assert not any("always answers" in told for told in (*caplog.messages, *(decision.what for decision in found.decisions)))


def test_search_when_a_floor_is_above_the_teacher_then_warns_at_once_and_the_decisions_say_so(
    job: Callable[..., Job], caplog: pytest.LogCaptureFixture
) -> None:
    found = search_students(job(limit=0.97, trials=1), by_width(RISING))  # the teacher has 0.96
    assert any("asks for more than the teacher has: accuracy 0.9700" in decision.what for decision in found.decisions)
    assert "asks for more than the teacher has" in caplog.records[0].message


def test_search_when_the_teacher_is_no_better_than_one_answer_then_warns_at_each_run_and_what_is_found_says_so(
    job: Callable[..., Job], caplog: pytest.LogCaptureFixture
) -> None:
    made = job(limit=0.84, trials=1)
    classes = tuple(ClassFigures(label=name, support=n, precision=1.0, recall=1.0, f1=1.0) for name, n in (("no", 192), ("yes", 8)))
    low = made.teacher.macro_f1.model_copy(update={"value": 0.48, "low": 0.48, "high": 0.48})
    flat = dataclasses.replace(made, teacher=made.teacher.model_copy(update={"classes": classes, "macro_f1": low}))
    doubt = "the teacher itself is no better than a model that always answers 'no' (validation accuracy 0.9600 against 0.9600)"
    for _ in range(2):  # the second one finds all done
        caplog.clear()
        found = search_students(flat, by_width(RISING))
        assert found.teacher_doubt == doubt
        assert doubt in [decision.what for decision in found.decisions]
        assert f"search: {doubt}" in caplog.records[0].message
    assert search_students(dataclasses.replace(made, study=made.study.with_name("other")), by_width(RISING)).teacher_doubt == ""


def test_search_when_one_of_two_goals_is_missed_then_a_wider_margin_of_the_other_does_not_hide_it(job: Callable[..., Job]) -> None:
    class WideF1(Trainings):
        """Accuracy misses its goal by half a point; macro-F1 keeps its own by less than its margin."""

        def __call__(self, trial: Trial, source: Path | None) -> Attempt | None:
            made = super().__call__(trial, source)
            assert made is not None
            assert made.int8_student is not None
            f1 = Interval(value=0.865, low=0.80, high=0.92)
            return dataclasses.replace(made, int8_student=made.int8_student.model_copy(update={"macro_f1": f1}))

    goals = [{"metric": "accuracy", "type": "min-value", "value": 0.9025}, {"metric": "macro_f1", "type": "min-value", "value": 0.855}]
    found = search_students(job(goals=goals, margin=None, trials=1), WideF1(lambda trial: 0.8975))
    told = [text for decision in found.decisions for text in (decision.what, decision.why)]
    assert not any("may be chance" in text for text in told)
    assert any("misses the goal by 0.5 points" in text for text in told)
    assert not found.rows[0].is_kept_by_chance


def test_search_when_the_first_goal_is_macro_f1_then_the_best_by_it_is_taken(job: Callable[..., Job]) -> None:
    class Flat(Trainings):
        def __call__(self, trial: Trial, source: Path | None) -> Attempt | None:
            made = super().__call__(trial, source)
            if made is None or made.int8_student is None:
                return made
            value = 0.8 if trial.settings.rung == "w24" else 0.49  # the others always answer the larger class
            f1 = Interval(value=value, low=value, high=value)
            return dataclasses.replace(made, int8_student=made.int8_student.model_copy(update={"macro_f1": f1}))

    goals = [{"metric": "macro_f1", "type": "min-value", "value": 0.9}]
    found = search_students(job(goals=goals), Flat(lambda trial: RISING[trial.settings.rung]))
    assert found.trial.settings.rung == "w24"
    assert "best int8 macro-F1 there, 0.8000" in found.decisions[-1].why
    assert job(goals=goals).study_name != job(goals=goals[:0]).study_name


def test_search_when_the_goal_is_easy_then_halves_the_ladder_down_to_the_cheapest_that_keeps_it(job: Callable[..., Job]) -> None:
    trainings = by_width(RISING)
    found = search_students(job(limit=0.84), trainings)
    assert rungs_asked(trainings)[:3] == ["w24", "w8", "w16"]
    assert found.trial.settings.rung == "w16"


def test_search_when_no_margin_is_given_then_a_goal_kept_by_less_than_one_standard_error_does_not_count(
    job: Callable[..., Job]
) -> None:
    # the error of 0.85 on 200 rows is 0.025, so 0.84 is not safely kept by w16; that of 0.90 is 0.021
    found = search_students(job(limit=0.84, margin=None), by_width(RISING))
    assert found.trial.settings.rung == "w24"


def test_search_when_the_cheapest_rung_keeps_the_goal_then_ends_before_the_trials_are_used_up(job: Callable[..., Job]) -> None:
    trainings = by_width(RISING)
    found = search_students(job(limit=0.5, trials=10), trainings)
    assert rungs_asked(trainings) == ["w24", "w8"]
    assert any("nothing cheaper exists" in decision.why for decision in found.decisions)


def test_search_when_the_recipe_names_the_shape_then_the_end_says_so_and_not_that_nothing_is_cheaper(job: Callable[..., Job]) -> None:
    found = search_students(job(limit=0.5, trials=10, student={"rung": "w24"}), by_width(RISING))
    reasons = [decision.why for decision in found.decisions]
    assert any("the shape that the recipe names, w24, keeps the goal" in why for why in reasons)
    assert not any("nothing cheaper" in why for why in reasons)


def test_search_when_one_trial_is_allowed_then_the_plans_choice_and_its_reason(job: Callable[..., Job]) -> None:
    trainings = by_width(RISING)
    found = search_students(job(limit=0.5, trials=1), trainings)
    assert rungs_asked(trainings) == ["w40"]
    assert found.trial.settings.rung == "w40"
    assert found.decisions[0].what == "student w40"


def test_search_when_one_trial_is_allowed_after_several_then_the_plans_choice_all_the_same(job: Callable[..., Job]) -> None:
    made = by_width(RISING)
    assert search_students(job(), made).trial.settings.rung == "w16"
    assert "w40" not in {trial.settings.rung for trial in made.asked}
    again = by_width(RISING)
    found = search_students(job(trials=1), again)
    assert [trial.settings.rung for trial in again.asked] == ["w40"]
    assert (found.trial.settings.rung, len(found.rows)) == ("w40", 1)
    assert found.decisions[-2].what == "ended the search, trials made: 1"
    assert search_students(job(trials=1), by_width(RISING)).trial.number == found.trial.number


def test_search_when_one_trial_is_allowed_and_shapes_have_equal_bytes_then_the_plans_choice_once(job: Callable[..., Job]) -> None:
    made = job(trials=1)
    twin = RUNGS[-1].model_copy(update={"id": "w40x"})
    plan = make_plan(made.recipe, load_target("raspberry-pi"), DataFacts(3, 100, 5), (*RUNGS, twin))
    asked = by_width(RISING | {"w40x": 0.95})
    found = search_students(dataclasses.replace(made, plan=plan), asked)
    assert rungs_asked(asked) == [plan.chosen.rung] == [found.trial.settings.rung]


def test_search_when_one_trial_is_allowed_and_the_plans_choice_came_to_nothing_then_the_best_there_is(job: Callable[..., Job]) -> None:
    def attempt(trial: Trial, source: Path | None) -> Attempt | None:
        if trial.settings.learning_rate >= 1e-3:
            raise TrainingDivergedError("the training diverged", hint="lower it")
        return by_width(RISING)(trial, source)

    calm = search_students(job(limit=0.94, trials=4), attempt)
    assert search_students(job(limit=0.94, trials=1), attempt).trial.number == calm.trial.number


def test_search_when_one_trial_is_allowed_and_another_run_is_at_it_then_makes_one_here(job: Callable[..., Job]) -> None:
    dying = by_width(RISING)
    dying.dies_at = 0
    with pytest.raises(KeyboardInterrupt):
        search_students(job(run_id="a", trials=1), dying)
    mine = by_width(RISING)
    assert search_students(job(run_id="b", trials=1), mine).trial.run_id == "b"
    assert len(mine.asked) == 1


def test_search_when_the_recipe_names_the_rung_then_no_other_is_tried(job: Callable[..., Job]) -> None:
    trainings = by_width(RISING)
    search_students(job(limit=0.99, student={"rung": "w16"}), trainings)
    assert set(rungs_asked(trainings)) == {"w16"}
    assert len({trial.settings.to_json() for trial in trainings.asked}) == 4


def test_search_when_no_rung_keeps_the_goal_then_the_most_accurate_is_chosen_and_the_largest_was_tried(job: Callable[..., Job]) -> None:
    trainings = by_width(RISING)
    found = search_students(job(limit=0.99), trainings)
    assert "w40" in rungs_asked(trainings)
    assert found.trial.settings.rung == "w40"
    assert not found.chosen.is_met
    assert found.chosen.shortfall == pytest.approx(0.04)


def test_search_when_margin_is_asked_for_then_validation_must_be_better_by_it(job: Callable[..., Job]) -> None:
    assert search_students(job(limit=0.84, margin=0.02), by_width(RISING)).trial.settings.rung == "w24"


def test_search_when_best_is_looked_for_then_the_most_accurate(job: Callable[..., Job]) -> None:
    found = search_students(job(limit=0.5, look_for="best-that-fits", trials=3), by_width(RISING))
    assert found.trial.settings.rung == "w40"


def test_search_when_a_setting_proves_better_for_the_best_then_the_cheaper_shape_is_not_trained_once_more(
    job: Callable[..., Job]
) -> None:
    trainings = Trainings(lambda trial: RISING[trial.settings.rung] + trial.settings.learning_rate)  # the higher the better
    search_students(job(goals=[], trials=4), trainings)
    assert rungs_asked(trainings) == ["w40", "w32", "w40", "w40"]


def test_search_when_a_goal_is_kept_by_less_than_the_margin_then_said_so_and_not_that_it_is_missed(job: Callable[..., Job]) -> None:
    found = search_students(job(limit=0.84, margin=0.05, student={"rung": "w16"}, trials=1), by_width(RISING))
    told = [decision.what for decision in found.decisions] + [decision.why for decision in found.decisions]
    assert any("trial 1 keeps the goal by 1.0 points, which may be chance, as less than 5.0 points (search.margin)" in t for t in told)
    assert any("no trial keeps every goal on validation by more than may be chance" in text for text in told)
    assert (found.rows[0].met_goal, found.rows[0].is_kept_by_chance) == (False, True)


def test_search_when_a_goal_is_missed_then_by_what_is_missing_without_the_margin(job: Callable[..., Job]) -> None:
    found = search_students(job(limit=0.90, margin=0.02, student={"rung": "w16"}, trials=1), by_width(RISING))
    assert any("misses the goal by 5.0 points, and is asked to exceed it by 2.0 points" in d.what for d in found.decisions)
    assert not found.rows[0].is_kept_by_chance


def test_search_when_the_margin_is_more_than_the_goal_allows_to_lose_then_the_teacher_does_not_miss_it(job: Callable[..., Job]) -> None:
    def attempt(trial: Trial, source: Path | None) -> Attempt | None:
        made = by_width({"w16": 0.95})(trial, source)
        copies = AGREES.model_copy(update={"teacher_right": 192, "both_right": 190, "same_mistake": 8})
        return made and dataclasses.replace(made, fit=copies)

    goals = [{"metric": "accuracy", "type": "max-degradation", "value": 0.01}]
    found = search_students(job(goals=goals, margin=0.03, student={"rung": "w16"}, trials=1), attempt)
    assert found.rows[0].finding == "does-not-fit"


def test_search_when_there_is_no_goal_then_the_best_is_looked_for(job: Callable[..., Job]) -> None:
    assert search_students(job(goals=[], trials=2), by_width(RISING)).trial.settings.rung == "w40"


def test_rows_then_hold_one_a_trial_with_validation_figures_and_the_chosen_one_marked(job: Callable[..., Job]) -> None:
    found = search_students(job(limit=0.84, trials=3), by_width(RISING))
    assert [(r.trial, r.rung, r.int8_accuracy, r.met_goal, r.is_chosen) for r in found.rows] == [
        (1, "w24", 0.90, True, False), (2, "w8", 0.80, False, False), (3, "w16", 0.85, True, True),
    ]
    assert found.rows[1].finding == "does-not-fit"
    assert {row.teacher_accuracy for row in found.rows} == {0.96}


def test_decisions_then_say_of_every_trial_why_it_was_made_and_what_was_found(job: Callable[..., Job]) -> None:
    found = search_students(job(limit=0.84, trials=3), by_width(RISING))
    told = [(d.what, d.why) for d in found.decisions if d.step == "search"]
    assert any(what.startswith("trial 2: student w8") and "halved" in why for what, why in told)
    assert any("trial 2 misses the goal by 4.0 points" in what and "does not fit" in why for what, why in told)
    assert told[-1][0] == "took trial 3, student w16"


def test_search_when_killed_in_a_trial_then_goes_on_with_it_and_ends_alike(job: Callable[..., Job], tmp_path: Path) -> None:
    whole = search_students(dataclasses.replace(job(limit=0.84, trials=3), study=tmp_path / "other.journal"), by_width(RISING))
    dying = by_width(RISING)
    dying.dies_at = 1
    with pytest.raises(KeyboardInterrupt):
        search_students(job(limit=0.84, trials=3), dying)
    resumed = by_width(RISING)
    assert search_students(job(limit=0.84, trials=3), resumed) == whole
    assert rungs_asked(resumed) == ["w24", "w8", "w16"]


@pytest.mark.parametrize("name", ["remember", "tell"])
def test_search_when_killed_between_two_words_to_the_study_then_both_are_said_in_the_end(
    name: str, job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(owner: Any) -> None:
        as_ever, calls = getattr(owner, name), []

        def call(*arguments: Any, **named: Any) -> Any:
            calls.append(arguments)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return as_ever(*arguments, **named)

        patch.setattr(owner, name, call)

    wanted, whole = job(limit=0.99, student={"rung": "w16"}, trials=2), by_width(RISING)
    made = search_students(dataclasses.replace(wanted, study=tmp_path / "other.journal"), whole)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        dying(SearchStudy if name == "remember" else optuna.Study)
        search_students(wanted, by_width(RISING))
    resumed = by_width(RISING)
    assert search_students(wanted, resumed) == made
    assert [trial.milestones for trial in resumed.asked] == [trial.milestones for trial in whole.asked]
    assert whole.asked[1].milestones
    told = optuna.load_study(study_name=wanted.study_name, storage=JournalStorage(JournalFileBackend(str(wanted.study)))).trials
    assert [trial.state.name for trial in told] == ["COMPLETE"] * 2


def test_search_when_killed_and_fewer_trials_are_allowed_than_are_finished_then_does_not_go_on(job: Callable[..., Job]) -> None:
    dying = by_width(RISING)
    dying.dies_at = 2
    with pytest.raises(KeyboardInterrupt):
        search_students(job(limit=0.94, trials=4), dying)
    resumed = by_width(RISING)
    found = search_students(job(limit=0.94, trials=2), resumed)
    assert rungs_asked(resumed) == ["w24", "w32"]
    assert found.trial.settings.rung == "w32"


def test_search_when_repeated_then_asks_for_the_same_trials_and_no_more(job: Callable[..., Job]) -> None:
    first, second = by_width(RISING), by_width(RISING)
    assert search_students(job(limit=0.99), first) == search_students(job(limit=0.99), second)
    assert first.asked == [dataclasses.replace(trial, outcome=None) for trial in second.asked]


def test_search_when_repeated_where_trials_come_to_something_else_then_chooses_by_that(job: Callable[..., Job]) -> None:
    """As on another host, or for a target whose profile was changed: quantize and evaluate are done anew."""
    first = search_students(job(trials=8), by_width(RISING))
    found = search_students(job(trials=8), by_width({rung: accuracy - 0.05 for rung, accuracy in RISING.items()}))
    assert (first.trial.settings.rung, found.trial.settings.rung) == ("w16", "w24")
    assert found.chosen.int8_accuracy == pytest.approx(RISING["w24"] - 0.05)


def test_search_when_the_time_is_used_up_then_starts_no_further_trial(job: Callable[..., Job]) -> None:
    trainings = by_width(RISING)
    found = search_students(job(limit=0.99, trials=9, time_limit_s=100), trainings)  # a trial takes 60 s
    assert len(trainings.asked) == 2
    assert any("time_limit_s, 100 s" in decision.why for decision in found.decisions)


def test_search_when_time_is_left_for_one_more_then_the_largest_is_tried(job: Callable[..., Job]) -> None:
    made = by_width(RISING)  # 60 s each
    found = search_students(job(limit=0.94, trials=4, time_limit_s=170), made)
    assert [trial.settings.rung for trial in made.asked] == ["w24", "w32", "w40"]
    assert found.trial.settings.rung == "w40"
    assert found.rows[-1].met_goal


def test_search_when_trials_share_a_training_then_its_time_counts_once(job: Callable[..., Job]) -> None:
    schemes = ("dynamic_wi8_afp32", "dynamic_wu8_afp32", "static_wi8_au8", "static_wu8_au8")

    def attempt(trial: Trial, source: Path | None) -> Attempt | None:
        made = by_width({"w16": 0.7})(trial, source)
        return made and dataclasses.replace(made, float_student=evaluation(0.95))

    wanted = dataclasses.replace(job(limit=0.84, student={"rung": "w16"}, trials=9, time_limit_s=95), schemes=schemes)
    found = search_students(wanted, attempt)  # 60 s, then 10 s for each other scheme: 90 s, and another training
    assert [row.finding for row in found.rows] == ["lost-in-int8"] * len(found.rows)
    assert [row.scheme for row in found.rows][:1] == ["dynamic_wi8_afp32"]
    assert len(found.rows) == 5
    assert any("search.time_limit_s, 95 s" in decision.why for decision in found.decisions)


def test_search_when_a_shape_is_trained_again_then_must_reach_milestones_unless_switched_off(job: Callable[..., Job]) -> None:
    trainings = by_width(RISING)
    search_students(job(limit=0.99, student={"rung": "w16"}, trials=2), trainings)
    first, second = trainings.asked
    assert first.milestones == ()
    # at half of the steps the first had 0.85 / 2 right; two standard errors of that on 200 rows less are asked for
    assert {m.share_of_steps: round(m.validation_accuracy, 4) for m in second.milestones}[0.5] == 0.3551
    without = by_width(RISING)
    search_students(job(limit=0.98, student={"rung": "w16"}, trials=2, pruning=False), without)
    assert without.asked[1].milestones == ()


def test_search_when_a_training_is_given_up_then_said_and_never_chosen(job: Callable[..., Job]) -> None:
    def attempt(trial: Trial, source: Path | None) -> Attempt | None:
        made = by_width(RISING)(trial, source)
        if made is None or trial.number == 0:
            return made
        log = made.log.model_copy(update={"given_up_at_step": 2})
        return Attempt(log, made.fit, step_seconds={"distill": 10.0})

    found = search_students(job(limit=0.99, student={"rung": "w16"}, trials=2), attempt)
    assert found.trial.number == 0
    assert [row.is_pruned for row in found.rows] == [False, True]
    assert any("given up at step 2 of 4" in decision.why for decision in found.decisions)


def test_search_when_a_training_diverges_then_tries_a_lower_rate_and_goes_on(job: Callable[..., Job]) -> None:
    def attempt(trial: Trial, source: Path | None) -> Attempt | None:
        if trial.settings.learning_rate >= 1e-3:
            raise TrainingDivergedError("the training diverged", hint="lower it")
        return by_width(RISING)(trial, source)

    found = search_students(job(limit=0.5, student={"rung": "w16"}), attempt)
    assert found.trial.settings.learning_rate == 5e-4
    assert found.rows[0].finding == "diverged"


def test_search_when_every_training_diverges_then_the_error_is_told(job: Callable[..., Job]) -> None:
    def attempt(trial: Trial, source: Path | None) -> Attempt | None:
        raise TrainingDivergedError("the training diverged", hint="lower it")

    with pytest.raises(TrainingDivergedError):
        search_students(job(limit=0.5, trials=2), attempt)


def test_search_when_another_run_made_the_best_trial_then_takes_its_student_over(job: Callable[..., Job]) -> None:
    search_students(job(run_id="a", limit=0.84, trials=3), by_width(RISING))
    second = by_width(RISING)
    found = search_students(job(run_id="b", limit=0.84, trials=3), second)
    assert (second.asked, second.taken_over) == ([], 1)
    assert found.trial.settings.rung == "w16"
    assert next(row for row in found.rows if row.is_chosen).run == "host:a"


def test_search_when_the_best_trial_cannot_be_reached_then_own_best_and_says_where_it_lies(job: Callable[..., Job]) -> None:
    search_students(job(run_id="a", limit=0.84, trials=2), by_width(RISING))
    second = by_width(RISING)
    second.reachable = False
    second.accuracy = lambda trial: 0.7
    found = search_students(job(run_id="b", limit=0.84, trials=3), second)
    assert rungs_asked(second) == ["w16"]
    assert found.trial.settings.rung == "w16"
    assert any("lies elsewhere: trial 1 was made in host:a" in decision.what for decision in found.decisions)


def test_search_when_nothing_can_be_reached_and_no_trial_is_left_then_makes_the_best_once_more(job: Callable[..., Job]) -> None:
    search_students(job(run_id="a", limit=0.84, trials=3), by_width(RISING))
    second = by_width(RISING)
    second.reachable = False
    found = search_students(job(run_id="b", limit=0.84, trials=3), second)
    assert rungs_asked(second) == ["w16"]
    assert found.trial.settings.rung == "w16"


def test_study_name_when_the_goal_changes_then_another_and_when_trials_change_then_the_same(job: Callable[..., Job]) -> None:
    assert job(limit=0.8).study_name != job(limit=0.9).study_name
    assert job(trials=3).study_name == job(trials=9).study_name


def test_study_name_when_only_the_baseline_is_another_then_the_same(job: Callable[..., Job]) -> None:
    made = job()
    without = made.recipe.distillation.model_copy(update={"baseline": False, "baseline_rows_seen": 7})
    assert dataclasses.replace(made, recipe=made.recipe.model_copy(update={"distillation": without})).study_name == made.study_name
    other = made.recipe.distillation.model_copy(update={"rows_seen": 7})
    assert dataclasses.replace(made, recipe=made.recipe.model_copy(update={"distillation": other})).study_name != made.study_name


def test_study_name_when_the_recipe_has_a_ladder_then_what_it_holds_counts_and_not_where_it_lies(job: Callable[..., Job]) -> None:
    assert job(student={"ladder": "here.yaml"}).study_name == job(student={"ladder": "/there.yaml"}).study_name == job().study_name
    made = job(student={"ladder": "here.yaml"}).recipe
    other = (*RUNGS[1:], RUNGS[0].model_copy(update={"layers": 2}))
    lines = [SimpleNamespace(recipe=recipe, rungs=rungs) for recipe, rungs in ((made, RUNGS), (made, other), (job().recipe, RUNGS))]
    own, changed, shipped = (_own_shapes(line) for line in lines)  # type: ignore[arg-type]
    assert own != changed
    assert shipped == ()


def test_study_name_when_trials_could_set_other_things_in_an_earlier_version_then_another(
    job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = job()
    now = made.study_name

    class Earlier:
        model_fields = [name for name in TrialSettings.model_fields if name not in ("rows_seen", "transfer_words")]

    monkeypatch.setattr(search_job, "TrialSettings", Earlier)
    assert made.study_name != now


def test_recipe_of_a_trial_then_differs_in_what_the_trial_sets_and_in_nothing_else(job: Callable[..., Job]) -> None:
    made = job()
    settings = made.base.model_copy(update={"temperature": 5.0, "transfer_rows": 7, "transfer_words": 70, "transfer_copies": 3,
                                               "rows_seen": 99, "scheme": "dynamic_wi8_afp32"})
    recipe = recipe_of(made.recipe, settings)
    assert recipe.distillation.temperature == 5.0
    assert recipe.distillation.rows_seen == 99
    made_of = recipe.distillation.transfer_set
    assert (made_of.rows, made_of.words, made_of.copies) == (7, 70, 3)
    assert recipe.quantization.scheme == "dynamic_wi8_afp32"
    assert recipe_of(recipe, made.base) == made.recipe


def test_plan_of_a_shape_then_has_it_as_the_chosen_one(job: Callable[..., Job]) -> None:
    plan = plan_of(job().plan, RUNGS[1])
    assert plan.chosen.rung == "w16"
    assert sum(row.is_chosen for row in plan.ledger) == 1


LOST = VERDICT.model_copy(update={"scheme": "B", "table": tuple(
    Int8Candidate(title=name, scheme=name, accuracy=accuracy, outcome=said, reason="it says so")
    for name, accuracy, said in (("A", 0.80, "refused"), ("B", 0.82, "chosen"), ("D", 0.83, "refused")))})
"""What the court said of a student that int8 costs too much: A is no better than B, which was taken; C was not before it."""


def lost_in_int8(trial: Trial, source: Path | None) -> Attempt | None:
    """0.9 in float, 0.82 in int8; 0.9 in C."""
    made = Trainings(lambda trial: 0.9 if trial.settings.scheme == "C" else 0.82)(trial, source)
    if made is None:
        return None
    taken = LOST if trial.settings.scheme == "auto" else LOST.model_copy(update={"scheme": trial.settings.scheme, "table": ()})
    return dataclasses.replace(made, float_student=evaluation(0.9), verdict=taken)


def test_search_when_lost_in_int8_then_only_schemes_that_were_not_found_worse_and_nothing_is_trained_anew(
    job: Callable[..., Job]
) -> None:
    asked: list[Trial] = []

    def attempt(trial: Trial, source: Path | None) -> Attempt | None:
        asked.append(trial)
        return lost_in_int8(trial, source)

    made = dataclasses.replace(job(limit=0.85, trials=4), schemes=("A", "B", "C", "D"))
    found = search_students(made, attempt)
    assert [(trial.settings.rung, trial.settings.scheme) for trial in asked][:2] == [("w24", "auto"), ("w24", "C")]
    assert asked[0].milestones == asked[1].milestones == ()  # they are part of the training's key
    assert all(trial.settings.scheme in ("auto", "C") for trial in asked)
    assert asked[2].settings.scheme == "auto"  # another rung is judged anew
    assert found.chosen.is_met


def test_search_when_no_int8_file_does_then_the_float_file_counts_by_its_own_bytes(job: Callable[..., Job]) -> None:
    def attempt(trial: Trial, source: Path | None) -> Attempt | None:
        made = by_width(RISING)(trial, source)
        if made is None or made.int8_student is None or trial.settings.rung != "w16":
            return made
        whole = made.int8_student.model_copy(update={"size_bytes": 900_000})
        return dataclasses.replace(made, int8_student=whole, verdict=VERDICT.model_copy(update={"scheme": "float"}))

    found = search_students(job(limit=0.84, trials=3), attempt)
    assert [row.rung for row in found.rows if row.met_goal] == ["w24", "w16"]
    assert found.trial.settings.rung == "w24"


def float_at(
    rung: str, p50_s: float, *, size_bytes: int = 1000, scheme: str = "float"
) -> Callable[[Trial, Path | None], Attempt | None]:
    """Trainings of which one shape comes to no file that computes in int8."""
    def attempt(trial: Trial, source: Path | None) -> Attempt | None:
        made = by_width(RISING)(trial, source)
        if made is None or made.int8_student is None or trial.settings.rung != rung:
            return made
        whole = made.int8_student.model_copy(update={"size_bytes": size_bytes})
        return dataclasses.replace(
            made, int8_student=whole, verdict=VERDICT.model_copy(update={"scheme": scheme, "float_predicted_p50_s": p50_s}))

    return attempt


@pytest.mark.parametrize(("scheme", "p50_s", "rungs_that_keep_it"), [
    ("float", 9.9, ["w24"]), ("float", 1e-6, ["w24", "w16"]), ("weight_only_wi8_afp32", 9.9, ["w24"]),
])
def test_search_when_a_file_that_computes_in_float_is_too_slow_then_it_does_not_fit(
    scheme: str, p50_s: float, rungs_that_keep_it: list[str], job: Callable[..., Job]
) -> None:
    found = search_students(job(limit=0.84, trials=3), float_at("w16", p50_s, scheme=scheme))
    assert [row.rung for row in found.rows if row.met_goal] == rungs_that_keep_it
    of_w16 = next(row for row in found.rows if row.rung == "w16")
    assert of_w16.latency_p50_s == p50_s
    said = "the float one is over the latency budget" if scheme == "float" else "but the file is over the latency budget"
    assert (said in of_w16.finding_text) == (p50_s > 1)


def test_search_when_a_file_that_computes_in_float_takes_too_much_memory_then_it_does_not_fit(job: Callable[..., Job]) -> None:
    wanted = job(limit=0.84, trials=3)
    budgets = dict(wanted.plan.budgets)
    budgets["peak_memory_bytes"] = budgets["peak_memory_bytes"].model_copy(update={"limit": memory_bytes(100_000)})
    tight = dataclasses.replace(wanted, plan=dataclasses.replace(wanted.plan, budgets=budgets))
    found = search_students(tight, float_at("w16", 1e-6, size_bytes=100_001))
    assert [row.rung for row in found.rows if row.met_goal] == ["w24"]
    assert "the float one is over the memory budget" in next(row for row in found.rows if row.rung == "w16").finding_text
    assert "in float" not in found.decisions[-1].why
    kept = search_students(dataclasses.replace(tight, study=tight.study.with_name("other")), float_at("w16", 1e-6, size_bytes=99_999))
    assert any("keeps the goal: validation accuracy 0.8500 in float" in decision.what for decision in kept.decisions)


def test_search_when_the_float_file_is_too_large_and_misses_the_goal_too_then_says_what_is_not_learned(job: Callable[..., Job]) -> None:
    found = search_students(job(limit=0.99, trials=1), float_at("w40", 1e-6, size_bytes=10**9))
    assert found.rows[0].finding == "does-not-fit"
    assert "its file is in float and over the size budget, too" in found.rows[0].finding_text
    assert any("is over the size budget, and misses the goal by 4.0 points" in d.what for d in found.decisions)


def test_search_when_the_middle_keeps_the_goal_in_a_file_that_is_too_large_then_a_cheaper_one_is_found(job: Callable[..., Job]) -> None:
    attempt = float_at("w24", 1e-6, size_bytes=10**9)
    easy, hard = (dataclasses.replace(job(limit=limit, trials=2), schemes=()) for limit in (0.79, 0.89))
    found, missed = search_students(easy, attempt), search_students(hard, attempt)
    assert [(row.rung, row.is_chosen) for row in found.rows] == [("w24", False), ("w8", True)]
    assert missed.decisions[-1].why.startswith("no trial whose file fits keeps every goal on validation, as trial 1 does")


def test_search_for_the_best_when_the_largest_comes_to_a_float_file_that_is_too_large_then_the_others_get_the_trials(
    job: Callable[..., Job]
) -> None:
    found = search_students(job(goals=[], trials=6), float_at("w40", 1e-6, size_bytes=10**9))
    assert found.rows[0].finding == "lost-in-int8"
    assert [row.rung for row in found.rows].count("w40") == 1
    assert found.trial.settings.rung == "w32"


def test_search_when_every_training_diverged_then_running_again_makes_no_more_than_allowed(job: Callable[..., Job]) -> None:
    asked: list[Trial] = []

    def attempt(trial: Trial, source: Path | None) -> Attempt | None:
        asked.append(trial)
        raise TrainingDivergedError("the training diverged", hint="lower it")

    for _ in range(2):
        with pytest.raises(TrainingDivergedError):
            search_students(job(limit=0.5, trials=1), attempt)
    assert len(asked) == 1


def test_search_when_ranked_by_macro_f1_then_the_rows_have_it_and_what_goes_by_it(job: Callable[..., Job]) -> None:
    found = search_students(job(goals=[{"metric": "macro_f1", "type": "min-value", "value": 0.84}], trials=1), by_width(RISING))
    assert (found.rows[0].metric, found.rows[0].figure, found.rows[0].teacher_figure) == ("macro_f1", 0.95, 0.96)


def test_search_when_nothing_is_asked_for_then_no_trial_is_said_to_keep_a_goal(job: Callable[..., Job]) -> None:
    found = search_students(job(goals=[], trials=1), by_width(RISING))
    assert any("trial 1 is within the size budget" in decision.what for decision in found.decisions)
    assert not any("goal is kept" in decision.why or "keeps the goal" in decision.what for decision in found.decisions)


def test_search_when_two_metrics_are_asked_for_and_none_is_kept_then_the_one_that_misses_least(job: Callable[..., Job]) -> None:
    class Lopsided(Trainings):
        def __call__(self, trial: Trial, source: Path | None) -> Attempt | None:
            made = super().__call__(trial, source)
            if made is None or made.int8_student is None or trial.settings.rung != "w40":
                return made
            low = Interval(value=0.5, low=0.5, high=0.5)
            return dataclasses.replace(made, int8_student=made.int8_student.model_copy(update={"macro_f1": low}))

    goals = [{"metric": name, "type": "min-value", "value": 0.99} for name in ("accuracy", "macro_f1")]
    found = search_students(job(goals=goals), Lopsided(lambda trial: RISING[trial.settings.rung]))
    assert found.trial.settings.rung != "w40"
    assert "comes nearest to all of them" in found.decisions[-1].why
