"""The diagnosis of a trial: from measured figures to what stands between the student and its goal."""

from dataclasses import dataclass

from edgedistill.distill.search.trial import Diagnosis
from edgedistill.results import Fit, FitOn

_SAME_ON_TRAIN = 0.5
"""From this share of validation's divergence on, training texts are followed no better than others: it is no overfit."""

_LOST_WITH_TOKENS = 0.5
"""From this share of validation's divergence on, what is missing is missing with the tokens."""


_LIKE_A_CONSTANT = 0.9
"""From this share of the divergence of a constant answer on, a student tells texts hardly apart."""

_CONSTANT_TEACHER = 0.02
"""Nats: a teacher whose mean answer is as close as that to all its answers is a constant itself."""


_FOLLOWS, _FOLLOWS_SHARE, _FOLLOWS_NATS = 0.99, 0.02, 0.01
"""Agreement with the teacher from which on a student follows it, where it is also as near: by a share of the divergence of a
constant answer, or by nats where all answers are the same."""


@dataclass(frozen=True)
class Figures:
    """What a diagnosis goes by.

    Attributes:
        fit: how closely the float student follows the teacher, from the distill stage.
        float_shortfall: by how much the float student misses the worst goal on validation; 0 or less: it keeps all.
        int8_shortfall: the same of the int8 student.
        teacher_shortfall: the same of the teacher itself.
        float_figure: on validation, of the ONNX student: that by which trials are ranked.
        int8_figure: the same of the int8 student.
        figure_name: what people call it.
        example: what an example is called: "text" or "picture".
        kept_float: why no int8 file was taken and the float one stands in its place; empty where there is an int8 file.
        over: the budget that the file is over; empty where it fits.
        has_goals: is anything asked for?
        misses_in_float: does the float student miss a goal, whatever else is looked for?
        is_teacher_a_constant: is the teacher no better on validation than one answer to everything?
        margin: by how much the goals must be exceeded, for chance.
    """

    fit: Fit
    float_shortfall: float
    int8_shortfall: float
    teacher_shortfall: float
    float_figure: float
    int8_figure: float
    figure_name: str = "accuracy"
    example: str = "text"
    kept_float: str = ""
    over: str = ""
    has_goals: bool = True
    misses_in_float: bool = False
    is_teacher_a_constant: bool = False
    margin: float = 0.0


def diagnose(figures: Figures) -> Diagnosis:
    """Say why a student misses its goal, or that it does not.

    In this order:

    - `lost-in-int8`: no int8 file was good enough, and the float one, which keeps the goals, is over a budget; or, after `none`,
      the float student keeps every goal.
    - `none`: the int8 student keeps every goal.
    - `answers-like-a-constant`: KL to the teacher on validation is at least 0.9 of what a student has that always gives the
      teacher's mean answer, and on texts of the training it is no better (see `does-not-fit`). Not where the teacher itself
      gives nearly one answer to everything.
    - `copies-the-teacher`: the teacher itself misses a goal, and on validation more rows are lost by repeating its mistakes
      than by failing where it is right. Soft labels cannot mend that. Where the teacher keeps the goals, its mistakes cost
      nothing: a student that were its equal would keep them too. Also where the student follows its teacher (the same answer on
      99 % of validation or more, and KL at most 0.02 of that of the teacher's mean answer; or the same answer on all, and 0.01
      nats at most) and the teacher does not exceed the goal by the margin either; or where the teacher is no better than one
      answer to everything, and both answer nearly so.
    - `does-not-fit`: KL to the teacher on texts of the training is at least half of that on validation: what is missing
      on new texts is mostly missing on known ones too.
    - `vocabulary-binds`: the teacher itself, once it reads the student's tokens, is off by at least half of the student's KL
      on validation: too many tokens are left out.
    - `does-not-generalise`: the rest: known texts are followed, new ones are not.
    """
    if not (figures.kept_float and figures.over):
        return _of_what_it_learned(figures)
    if not figures.misses_in_float:
        return Diagnosis(finding="lost-in-int8", text="no int8 file is good enough, and the float one is over the "
                                                      f"{figures.over} budget: {figures.kept_float}")
    found = _of_what_it_learned(figures)  # another int8 scheme would not mend it
    return Diagnosis(finding=found.finding, text=f"{found.text}; its file is in float and over the {figures.over} budget, too: "
                                                 f"{figures.kept_float}")


def _of_what_it_learned(figures: Figures) -> Diagnosis:
    """Say it by what the student answers, in whichever file."""
    fit, constant = figures.fit, _like_a_constant(figures)
    if figures.int8_shortfall <= 0:
        return _of_one_that_keeps_the_goals(figures, constant)
    if figures.float_shortfall <= 0:
        return Diagnosis(finding="lost-in-int8", text=f"good in float, not in int8: validation {figures.figure_name} "
                         f"{figures.float_figure:.4f} in float and {figures.int8_figure:.4f} in int8")
    if constant:
        return Diagnosis(finding="answers-like-a-constant", text=constant)
    lost, copied = fit.teacher_right - fit.both_right, fit.same_mistake
    if figures.teacher_shortfall > 0 and copied > lost:
        return Diagnosis(finding="copies-the-teacher", text=(
            f"repeats the mistakes of a teacher that misses the goal itself: of {fit.labelled_rows} validation rows the "
            f"teacher is wrong on {fit.labelled_rows - fit.teacher_right}, and the student gives the same wrong answer on "
            f"{copied} of them; it fails where the teacher is right on {lost}"
        ))
    if followed := _follows_its_teacher(figures):
        return Diagnosis(finding="copies-the-teacher", text=followed)
    known, new = fit.train, fit.validation
    compared = (f"KL to the teacher {_nats(known.kl_nats)} nats on training {figures.example}s and {_nats(new.kl_nats)} on "
                f"validation, same answer on {known.agreement:.1%} and {new.agreement:.1%}")
    if known.kl_nats >= _SAME_ON_TRAIN * new.kl_nats:
        return Diagnosis(finding="does-not-fit", text=f"does not fit the soft labels: {compared}{_flat_answers(new)}")
    without = fit.vocabulary
    if without is not None and without.kl_nats >= _LOST_WITH_TOKENS * new.kl_nats:
        return Diagnosis(finding="vocabulary-binds", text=(
            f"lacks tokens: the teacher itself, reading the tokens that stand for missing ones, is off by {without.kl_nats:.3f} "
            f"nats on validation, the student by {new.kl_nats:.3f}"
        ))
    return Diagnosis(finding="does-not-generalise", text=f"fits training {figures.example}s but not new ones: {compared}")


def _flat_answers(new: FitOn) -> str:
    """Say that the teacher answers nearly alike to everything; empty where it does not."""
    if new.constant_kl_nats >= _CONSTANT_TEACHER:
        return ""
    return (f"; the teacher's own answers are nearly all alike (KL {_nats(new.constant_kl_nats)} nats to its mean answer), so "
            "that near ties decide: one that was trained longer would say more")


def _nats(value: float) -> str:
    """Return a divergence with three decimals, or with two digits where those would be nought."""
    return f"{value:.3f}" if value >= 0.01 or value == 0 else f"{value:.2g}"


def _of_one_that_keeps_the_goals(figures: Figures, constant: str) -> Diagnosis:
    notes = [constant and f"though it {constant}", figures.over and f"but the file is over the {figures.over} budget",
             figures.kept_float and f"by the float file: {figures.kept_float}"]
    what = "every goal is kept on validation" if figures.has_goals else "no goal is asked for"
    return Diagnosis(finding="none", text=", ".join([what, *filter(None, notes)]))


def _like_a_constant(figures: Figures) -> str:
    """Say that a student tells texts hardly apart; empty where it does."""
    known, new = figures.fit.train, figures.fit.validation
    bound = _LIKE_A_CONSTANT * new.constant_kl_nats
    if new.constant_kl_nats < _CONSTANT_TEACHER or new.kl_nats < bound or known.kl_nats < _SAME_ON_TRAIN * new.kl_nats:
        return ""
    return (f"answers like a constant: KL to the teacher {new.kl_nats:.3f} nats on validation, and {new.constant_kl_nats:.3f} "
            f"for the teacher's mean answer to every {figures.example}")


def _follows_its_teacher(figures: Figures) -> str:
    """Say that what is missing is missing in the teacher, which the student follows; empty where something is its own."""
    new = figures.fit.validation
    is_near = new.kl_nats <= _FOLLOWS_SHARE * new.constant_kl_nats or (new.agreement == 1.0 and new.kl_nats <= _FOLLOWS_NATS)
    told = f"follows its teacher (KL {new.kl_nats:.3f} nats on validation, same answer on {new.agreement:.1%}), and that one"
    if figures.is_teacher_a_constant and max(new.kl_nats, new.constant_kl_nats) < _CONSTANT_TEACHER:
        return f"{told} gives nearly one answer to everything and is no better than that"
    if new.agreement < _FOLLOWS or not is_near:
        return ""
    if figures.teacher_shortfall > 0:
        return f"{told} misses the goal itself"
    if figures.has_goals and figures.teacher_shortfall + figures.margin > 0:
        return f"{told} does not exceed the goal by the margin that is asked for (search.margin) either"
    return ""
