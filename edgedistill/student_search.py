"""The search for a student: makes trials, learns from each, and chooses. How a trial is made is the pipeline's business."""

import dataclasses
import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edgedistill.distill.search.account import described, result_of, trial_decisions
from edgedistill.distill.search.choice import Choice, choose, pack_rows
from edgedistill.distill.search.diagnosis import Figures, diagnose
from edgedistill.distill.search.milestones import course_of, is_still_falling, milestones_from
from edgedistill.distill.search.moves import Move, Situation, best_settings, guided_moves, is_settled
from edgedistill.distill.search.study import SearchStudy, Space
from edgedistill.distill.search.trial import Diagnosis, Rung, Trial, TrialOutcome
from edgedistill.errors import TrainingDivergedError
from edgedistill.frontier import FrontierRow
from edgedistill.goals import (
    METRIC_NAMES,
    check_goals,
    constant_that_passes,
    figure_of,
    floors_above_the_teacher,
    standard_error,
)
from edgedistill.manifest import Decision
from edgedistill.plan import memory_bytes
from edgedistill.quantize.scheme_names import computes_in_float
from edgedistill.results import Evaluation, Prediction, QuantizationVerdict
from edgedistill.search_job import Attempt, Attempter, Found, Job
from edgedistill.tasks.registry import task_named

log = logging.getLogger("edgedistill")

_DIGITS = 12
"""Of a shortfall: a figure that equals its limit may be a rounding below."""

_NOTHING_KEPT = 1.0
"""The shortfall of a training that came to no student: as bad as can be."""


def search_students(job: Job, attempt: Attempter) -> Found:
    """Make trials until the goal is met by the cheapest shape, or until trials, time or ideas are used up; choose one.

    Trials that this run made before are found done; those of other runs in the same study count as they are.

    Raises:
        TrainingDivergedError: every training did.
        StorageError: the study cannot be read or written.
    """
    study = SearchStudy(job.study, job.study_name, seed=job.recipe.seed)
    failures: list[TrainingDivergedError] = []
    for doubt in _doubts(job):
        log.warning("search: %s; %s", doubt.what, doubt.why)
    for trial in _counting(job, study):
        is_own = trial.run_id == job.owner.run_id
        if is_own and trial.outcome is not None:  # it may have been killed between the outcome and what the sampler hears of it
            study.finish(trial, trial.outcome, value=_score(job, trial, trial.outcome))
        is_lost = trial.outcome is not None and trial.outcome.state == "diverged"  # and would diverge again
        finished = sum(other.outcome is not None for other in _counting(job, study))
        is_over = trial.outcome is None and finished >= job.recipe.search.trials  # fewer are asked for by now
        if is_own and not (is_lost or is_over):
            _make(job, study, _resumed(job, study, trial), attempt, failures)
    while not (ending := _ending(job, _counting(job, study))):
        claimed = _next(job, study)
        if claimed is None:
            ending = "nothing is left to try that was not tried"
            break
        _make(job, study, claimed, attempt, failures)
    if _choose(job, _counting(job, study)) is None and not any(t.run_id == job.owner.run_id for t in _counting(job, study)):
        claimed = _next(job, study)  # the trials are all somebody else's, and none is finished
        if claimed is not None:
            _make(job, study, claimed, attempt, failures)
    return _conclude(job, _counting(job, study), attempt, ending, failures)


def _doubts(job: Job) -> tuple[Decision, ...]:
    """Say what is wrong with the teacher, and which goals tell nothing or ask for more than it has, before any trial.

    Of the teacher too, although `teach` has warned of it: what it lacks no trial mends.
    """
    teacher = (Decision(step="search", what=job.teacher_doubt, why="a student learns what its teacher says: check the labels, or "
                        "give another teacher"),) if job.teacher_doubt else ()
    return (
        *teacher,
        *constant_that_passes(job.recipe.goals, job.teacher, job.most_frequent, accuracy_loss=job.accuracy_loss),
        *floors_above_the_teacher(job.recipe.goals, job.teacher),
    )


def _counting(job: Job, study: SearchStudy) -> list[Trial]:
    """Return the trials that are learned from: where one is allowed, the plan's choice, whatever was tried before.

    All, where that one came to no student, or another run of a shared study is still at it.
    """
    found = list(study.trials())
    if job.recipe.search.trials > 1:
        return found
    base = [trial for trial in found if trial.settings == job.base]
    is_lost = any(t.run_id != job.owner.run_id if t.outcome is None else t.outcome.state != "done" for t in base)
    return found if is_lost else base


def _choose(job: Job, trials: Sequence[Trial]) -> Choice | None:
    return choose(trials, _by_id(job), look_for=job.look_for, is_one_metric=len({goal.metric for goal in job.goals}) <= 1)


def _ending(job: Job, trials: Sequence[Trial]) -> str:
    """Say why no further trial is made; empty while there is no reason."""
    if is_settled(_situation(job, trials)):
        named = job.recipe.student.rung
        return (f"the shape that the recipe names, {named}, keeps the goal" if named else
                f"the cheapest shape that fits, {job.rungs[0].id}, keeps the goal: nothing cheaper exists")
    if len(trials) >= job.recipe.search.trials:
        return f"search.trials allows {job.recipe.search.trials}"
    if _left_s(job, trials) <= 0:
        return f"the trials have used up search.time_limit_s, {job.recipe.search.time_limit_s:g} s"
    return ""


def _left_s(job: Job, trials: Sequence[Trial]) -> float:
    """Return how long this run may still start trials."""
    limit = job.recipe.search.time_limit_s
    return math.inf if limit is None else limit - _spent_s(_own(job, trials))


def _own(job: Job, trials: Sequence[Trial]) -> list[TrialOutcome]:
    return [t.outcome for t in trials if t.outcome is not None and t.run_id == job.owner.run_id]


def _spent_s(outcomes: Iterable[TrialOutcome]) -> float:
    """Return what the work of some trials took; a step that several of them share was done once."""
    steps: dict[str, float] = {}
    others = 0.0
    for outcome in outcomes:
        steps |= outcome.step_seconds
        others += 0.0 if outcome.step_seconds else outcome.duration_s  # it left no steps
    return others + sum(steps.values())


def _situation(job: Job, trials: Sequence[Trial]) -> Situation:
    longest = max((_spent_s([outcome]) for outcome in _own(job, trials)), default=0.0)
    is_last = _left_s(job, trials) <= longest  # then the time is used up: no other will be started
    return Situation(
        look_for=job.look_for, rungs=job.rungs, base=job.base,
        schemes=job.schemes if job.recipe.quantization.scheme == "auto" else (), train_rows=job.plan.facts.train_rows,
        left=1 if is_last else max(1, job.recipe.search.trials - len(trials)), trials=tuple(trials),
        example=task_named(job.recipe.task).example,
    )


def _next(job: Job, study: SearchStudy) -> Trial | None:
    """Claim the next trial, and fix what its training must reach."""
    trials = _counting(job, study)
    now, top = _situation(job, trials), len(job.rungs) - 1
    space = Space(job.base, best_settings(now), tuple(rung.id for rung in job.rungs), highest_rank=top)
    is_plans_choice = job.recipe.search.trials == 1 and not trials
    moves = [Move(job.base, job.plan.decision.why)] if is_plans_choice else guided_moves(now)
    claimed = study.claim(moves, job.owner, space=space)
    if claimed is None:
        cheaper = top if job.look_for == "best-that-fits" else min(top, (now.ceiling or now.limit) - 1)
        if cheaper >= 0:
            claimed = study.sample(job.owner, space=dataclasses.replace(space, highest_rank=cheaper))
    return None if claimed is None else _with_milestones(job, study, claimed, trials)


def _resumed(job: Job, study: SearchStudy, trial: Trial) -> Trial:
    """Fix what a trial's training must reach where it was killed between its claim and that."""
    if trial.outcome is not None or study.remembers(trial):
        return trial
    return _with_milestones(job, study, trial, [other for other in _counting(job, study) if other.number < trial.number])


def _with_milestones(job: Job, study: SearchStudy, claimed: Trial, trials: Sequence[Trial]) -> Trial:
    """Fix what a trial's training must reach, by those that were there before."""
    if not job.recipe.search.pruning:
        return claimed
    trained = [t for t in trials if t.outcome is not None and t.settings.is_same_training(claimed.settings)]
    if trained:  # another int8 scheme of a student that is there: what was asked of its training is part of the step's key
        study.remember(claimed, trained[0].milestones)
        return dataclasses.replace(claimed, milestones=trained[0].milestones)
    courses = [
        t.outcome.course for t in trials
        if t.outcome is not None and t.outcome.state == "done" and t.settings.is_same_shape_and_data(claimed.settings)
    ]
    milestones = milestones_from(courses, rows=job.teacher.n)
    study.remember(claimed, milestones)
    return dataclasses.replace(claimed, milestones=milestones)


def _make(
    job: Job, study: SearchStudy, trial: Trial, attempt: Attempter, failures: list[TrainingDivergedError]
) -> None:
    """Make a trial, or find it made, and record what came of it."""
    allowed = max(trial.number + 1, job.recipe.search.trials)  # they may be fewer than when this one was made
    words = described(trial.settings, example=task_named(job.recipe.task).example)
    log.info("trial %d of %d: %s", trial.number + 1, allowed, words)
    began = time.monotonic()
    try:
        made = attempt(trial, None)
    except TrainingDivergedError as diverged:
        failures.append(diverged)
        made = None
    outcome = _outcome(job, trial, made)
    if made is None:  # its step left nothing that says how long it took
        outcome = outcome.model_copy(update={"duration_s": time.monotonic() - began})
    log.info("trial %d: %s", trial.number + 1, result_of(outcome, has_goals=bool(job.goals)))
    if trial.outcome is None:
        study.finish(trial, outcome, value=_score(job, trial, outcome))
    else:
        study.renew(trial, outcome)  # on another host its steps may have been done anew, and come to something else


def _outcome(job: Job, trial: Trial, made: Attempt | None) -> TrialOutcome:
    """Judge a trial on validation."""
    row, teacher = _prediction(job, trial.settings.rung), job.teacher.accuracy.value
    if made is None:
        return TrialOutcome(
            state="diverged", parameters=row.parameters, int8_bytes=row.int8_bytes, teacher_accuracy=teacher,
            shortfall=_NOTHING_KEPT, is_within_size=True, duration_s=0.0,
            diagnosis=Diagnosis(finding="diverged", text=f"diverged at a learning rate of {trial.settings.learning_rate:g}"),
        )
    course = course_of(made.log)
    if made.int8_student is None or made.float_student is None or made.is_right is None:
        best = course[-1].validation_accuracy if course else 0.0
        text = (f"was given up at step {made.log.given_up_at_step} of {made.log.steps_planned}: validation accuracy "
                f"{best:.4f} was far behind that of earlier trainings of the shape")
        return TrialOutcome(
            state="given-up", parameters=row.parameters, int8_bytes=row.int8_bytes, teacher_accuracy=teacher,
            shortfall=_NOTHING_KEPT, is_within_size=True, course=course, duration_s=made.duration_s,
            step_seconds=dict(made.step_seconds),
            diagnosis=Diagnosis(finding="given-up", text=text),
        )
    verdict = made.verdict
    is_within_size = made.int8_student.size_bytes <= job.plan.budgets["model_bytes"].limit
    over, float_p50_s = _over_in_float(job, made.int8_student.size_bytes, made.verdict)
    shortfall, margin = _worst_goal(job, made.int8_student)
    in_float, in_int8 = _worst_goal(job, made.float_student)[0], shortfall
    misses_in_float = in_float > 0
    if job.look_for == "best-that-fits":  # what could be better is asked of every student, not only of one that misses
        best_there_is = figure_of(job.teacher, job.metric).value
        in_float, in_int8 = (max(s, best_there_is - figure_of(e, job.metric).value) for s, e in
                             ((in_float, made.float_student), (in_int8, made.int8_student)))
    return TrialOutcome(
        state="done", parameters=made.int8_student.parameters, int8_bytes=made.int8_student.size_bytes,
        float_accuracy=made.float_student.accuracy.value, int8_accuracy=made.int8_student.accuracy.value,
        int8_macro_f1=made.int8_student.macro_f1, metric=job.metric, teacher_accuracy=teacher,
        scheme_used="" if verdict is None else verdict.scheme, schemes_no_better=made.schemes_no_better,
        shortfall=shortfall, margin=margin, miss=_missed_by(job, made.int8_student), is_within_size=is_within_size,
        is_within_latency="latency" not in over, is_within_memory="memory" not in over, float_p50_s=float_p50_s,
        step_seconds=dict(made.step_seconds),
        kl_nats=made.fit.validation.kl_nats, right_rows=pack_rows(made.is_right), course=course, duration_s=made.duration_s,
        was_falling_at_the_end=is_still_falling(made.log),
        was_best_at_the_end=len(course) > 1 and course[-1].validation_accuracy > course[-2].validation_accuracy,
        diagnosis=diagnose(Figures(
            made.fit, in_float, in_int8, _missed_by(job, job.teacher), figure_of(made.float_student, job.metric).value,
            figure_of(made.int8_student, job.metric).value, METRIC_NAMES[job.metric], task_named(job.recipe.task).example,
            verdict.decision if verdict is not None and verdict.is_float else "",
            next(iter(over), "") if is_within_size else "size", bool(job.goals), misses_in_float, bool(job.teacher_doubt),
            margin,
        )),
    )


def _over_in_float(job: Job, size_bytes: int, verdict: QuantizationVerdict | None) -> tuple[tuple[str, ...], float | None]:
    """Return which budgets a file that computes in float is over, and its predicted p50; the plan has looked at int8 alone."""
    if verdict is None or not computes_in_float(verdict.scheme):
        return (), None
    p50_s = verdict.float_predicted_p50_s
    costs = {"memory": ("peak_memory_bytes", memory_bytes(size_bytes)), "latency": ("latency_p50_s", p50_s)}
    over = tuple(name for name, (budget, cost) in costs.items()
                 if cost is not None and budget in job.plan.budgets and cost > job.plan.budgets[budget].limit)
    return over, p50_s


def _missed_by(job: Job, model: Evaluation) -> float:
    """By how much a model misses the worst goal on validation, without a margin; 0 or less: it keeps all."""
    return max((round(check.limit - check.value, _DIGITS) for check in check_goals(job.goals, job.teacher, model)), default=0.0)


def _worst_goal(job: Job, student: Evaluation) -> tuple[float, float]:
    """Return by how much the worst goal is missed on validation, the margin counted in, and that margin; 0 or less: none is.

    The target's budget of accuracy is among the goals.
    """
    fixed = job.recipe.search.margin
    found = []
    for check in check_goals(job.goals, job.teacher, student):
        margin = standard_error(check, student) if fixed is None else fixed
        found.append((round(check.limit + margin - check.value, _DIGITS), margin))
    return max(found, default=(0.0, 0.0))


def _score(job: Job, trial: Trial, outcome: TrialOutcome) -> float:
    """Return what the sampler maximizes: the first goal's figure; or, for the smallest, how cheap it is, below 0 the miss."""
    if job.look_for == "best-that-fits":
        return outcome.figure if outcome.is_within_budgets else outcome.figure - 1.0  # below every one that fits
    if not outcome.is_met:
        return min(-1e-6, -outcome.shortfall)
    return 1.0 - _by_id(job)[trial.settings.rung].int8_bytes / job.rungs[-1].int8_bytes


def _by_id(job: Job) -> Mapping[str, Rung]:
    return {rung.id: rung for rung in job.rungs}


def _prediction(job: Job, rung: str) -> Prediction:
    return next(row for row in job.plan.ledger if row.rung == rung)


def _conclude(
    job: Job, trials: Sequence[Trial], attempt: Attempter, ending: str, failures: Sequence[TrainingDivergedError]
) -> Found:
    """Choose a trial whose artefacts this run has or can reach."""
    best = _choose(job, trials)
    if best is None:
        raise failures[-1] if failures else TrainingDivergedError(
            "no trial of the study came to a student", hint="lower distillation.learning_rate, or delete the study file")
    taken, note = _reachable(job, best, trials, attempt)
    example = task_named(job.recipe.task).example
    decisions = [
        _plan_decision(job), *_doubts(job),
        *(d for trial in trials for d in trial_decisions(
            trial, example=example, has_goals=bool(job.goals), is_own=trial.run_id == job.owner.run_id)),
        Decision(step="search", what=f"ended the search, trials made: {len(trials)}", why=ending), *note,
        Decision(step="search", what=f"took trial {taken.trial.number + 1}, student {taken.trial.settings.rung}",
                 why=taken.why),
    ]
    rows = tuple(_row(job, t, is_chosen=t.number == taken.trial.number) for t in trials if t.outcome is not None)
    return Found(taken.trial, rows, tuple(decisions), is_out_of_time="time_limit_s" in ending, teacher_doubt=job.teacher_doubt)


def _reachable(
    job: Job, best: Choice, trials: Sequence[Trial], attempt: Attempter
) -> tuple[Choice, tuple[Decision, ...]]:
    """Return the best trial, its student taken over from the run that made it; else this run's own best, and a word."""
    if best.trial.run_id == job.owner.run_id:
        return best, ()
    where = f"trial {best.trial.number + 1} was made in {best.trial.run}"
    if attempt(best.trial, Path(best.trial.stages)) is not None:
        return best, (Decision(step="search", what=f"took its student over: {where}", why="the study is shared"),)
    own = _choose(job, [t for t in trials if t.run_id == job.owner.run_id])
    if own is None:
        attempt(best.trial, None)
        why = f"{where}, which cannot be reached from here, and this run has no student of its own"
        return best, (Decision(step="search", what=f"made trial {best.trial.number + 1} once more, here", why=why),)
    text = f"the best trial of the study lies elsewhere: {where}; pack that one"
    log.warning("%s", text)
    return own, (Decision(step="search", what=text, why="its student cannot be reached from here, or was made from another "
                          "teacher's bytes"),)


def _plan_decision(job: Job) -> Decision:
    if job.recipe.student.rung is not None or job.recipe.search.trials == 1:
        return job.plan.decision
    rungs = job.rungs
    return Decision(
        step="plan", what=f"{len(rungs)} of {len(job.plan.ledger)} student shapes fit {job.plan.target.id}",
        why=f"from {rungs[0].id}, {rungs[0].int8_bytes / 2**20:.2f} MiB, to {rungs[-1].id}, "
            f"{rungs[-1].int8_bytes / 2**20:.2f} MiB, within its budgets; looked for: {job.look_for}",
    )


def _row(job: Job, trial: Trial, *, is_chosen: bool) -> FrontierRow:
    outcome, settings = trial.outcome, trial.settings
    if outcome is None:
        raise ValueError(f"trial {trial.number} is not finished")
    return FrontierRow(
        trial=trial.number + 1, rung=settings.rung, parameters=outcome.parameters, int8_bytes=outcome.int8_bytes,
        latency_p50_s=outcome.float_p50_s or _prediction(job, settings.rung).latency_p50_s, float_accuracy=outcome.float_accuracy,
        int8_accuracy=outcome.int8_accuracy, teacher_accuracy=outcome.teacher_accuracy, metric=outcome.metric,
        int8_macro_f1=None if outcome.int8_macro_f1 is None else outcome.int8_macro_f1.value,
        teacher_macro_f1=job.teacher.macro_f1.value, temperature=settings.temperature,
        alpha=settings.alpha, learning_rate=settings.learning_rate, batch_size=settings.batch_size,
        rows_seen=settings.rows_seen, transfer_rows=settings.transfer_rows, transfer_words=settings.transfer_words,
        scheme=outcome.scheme_used or settings.scheme, met_goal=outcome.is_met, is_kept_by_chance=outcome.is_kept_by_chance,
        is_pruned=outcome.state == "given-up", finding=outcome.diagnosis.finding, finding_text=outcome.diagnosis.text,
        because=trial.because, is_chosen=is_chosen, run=trial.run if trial.run_id != job.owner.run_id else None,
    )
