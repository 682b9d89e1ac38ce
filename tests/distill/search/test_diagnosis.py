"""The diagnosis: each finding from figures made by hand."""

from dataclasses import replace
from typing import Any

import pytest

from edgedistill.distill.search.diagnosis import Figures, diagnose
from edgedistill.results import Fit, FitOn


def figures_of(
    *, train_kl: float = 0.01, new_kl: float = 0.10, teacher_right: int = 95, both_right: int = 85, same_mistake: int = 2,
    float_shortfall: float = 0.05, int8_shortfall: float = 0.05, teacher_shortfall: float = -0.03,
    vocabulary_kl: float | None = None,
) -> Figures:
    """100 labelled rows; without changes the student follows known texts and loses 10 rows that the teacher has right."""
    fit = Fit(
        train=FitOn(rows=200, kl_nats=train_kl, constant_kl_nats=1.0, agreement=0.99),
        validation=FitOn(rows=100, kl_nats=new_kl, constant_kl_nats=1.0, agreement=0.88),
        labelled_rows=100, teacher_right=teacher_right, student_right=both_right + 1, both_right=both_right,
        same_mistake=same_mistake,
        vocabulary=None if vocabulary_kl is None else FitOn(rows=100, kl_nats=vocabulary_kl, constant_kl_nats=1.0, agreement=0.9),
    )
    return Figures(fit, float_shortfall, int8_shortfall, teacher_shortfall, float_figure=0.86, int8_figure=0.85)


def test_diagnose_when_int8_keeps_the_goal_then_nothing_is_missing() -> None:
    assert diagnose(figures_of(int8_shortfall=0.0)).finding == "none"


def test_diagnose_when_float_keeps_the_goal_and_int8_does_not_then_lost_in_int8() -> None:
    found = diagnose(figures_of(float_shortfall=-0.01, int8_shortfall=0.02))
    assert found.finding == "lost-in-int8"
    assert "0.8600 in float and 0.8500 in int8" in found.text


def test_diagnose_when_ranked_by_macro_f1_then_that_is_what_is_lost_in_int8() -> None:
    assert "validation macro-F1 0.8600 in float" in diagnose(replace(
        figures_of(float_shortfall=-0.01, int8_shortfall=0.02), figure_name="macro-F1")).text


def test_diagnose_when_the_teacher_is_a_constant_itself_then_no_student_answers_like_one() -> None:
    figures = figures_of(train_kl=5e-5, new_kl=5e-5, teacher_right=60, both_right=60, same_mistake=40, teacher_shortfall=0.1)
    alike = FitOn(rows=100, kl_nats=5e-5, constant_kl_nats=1.6e-8, agreement=1.0)
    assert diagnose(replace(figures, fit=figures.fit.model_copy(update={"train": alike, "validation": alike}))).finding == "copies-the-teacher"


def test_diagnose_when_new_texts_diverge_far_more_than_known_ones_then_does_not_generalise() -> None:
    found = diagnose(figures_of(train_kl=0.01, new_kl=0.10))
    assert found.finding == "does-not-generalise"
    assert "0.010 nats on training texts and 0.100 on validation" in found.text


def test_diagnose_when_the_examples_are_pictures_then_speaks_of_pictures() -> None:
    found = diagnose(replace(figures_of(), example="picture")).text
    assert "fits training pictures but not new ones: KL to the teacher 0.010 nats on training pictures" in found
    assert "text" not in found


@pytest.mark.parametrize(("train_kl", "finding"), [(0.049, "does-not-generalise"), (0.05, "does-not-fit"), (0.2, "does-not-fit")])
def test_diagnose_when_known_texts_diverge_half_as_much_then_does_not_fit(train_kl: float, finding: str) -> None:
    assert diagnose(figures_of(train_kl=train_kl, new_kl=0.10)).finding == finding


@pytest.mark.parametrize(("vocabulary_kl", "finding"), [(0.049, "does-not-generalise"), (0.05, "vocabulary-binds"), (None, "does-not-generalise")])
def test_diagnose_when_the_teacher_itself_loses_half_as_much_by_the_tokens_then_the_vocabulary_binds(
    vocabulary_kl: float | None, finding: str
) -> None:
    assert diagnose(figures_of(train_kl=0.01, new_kl=0.10, vocabulary_kl=vocabulary_kl)).finding == finding


def test_diagnose_when_known_texts_are_not_followed_either_then_it_is_not_the_vocabulary() -> None:
    assert diagnose(figures_of(train_kl=0.06, new_kl=0.10, vocabulary_kl=0.09)).finding == "does-not-fit"


def test_diagnose_when_more_rows_are_lost_by_the_teachers_mistakes_then_copies_the_teacher() -> None:
    # the teacher is wrong on 20 rows, 15 of which the student repeats; it fails on 80 - 75 = 5 that the teacher has right
    found = diagnose(figures_of(teacher_right=80, both_right=75, same_mistake=15, teacher_shortfall=0.01))
    assert found.finding == "copies-the-teacher"
    assert "wrong on 20" in found.text
    assert "same wrong answer on 15" in found.text
    assert "right on 5" in found.text


@pytest.mark.parametrize(("train_kl", "new_kl", "finding"), [
    (0.9, 0.9, "answers-like-a-constant"), (0.5, 0.95, "answers-like-a-constant"), (0.9, 0.89, "does-not-fit"),
    (0.4, 0.95, "does-not-generalise"),  # known texts are told apart
])
def test_diagnose_when_new_texts_diverge_like_a_constant_answer_then_says_so(train_kl: float, new_kl: float, finding: str) -> None:
    assert diagnose(figures_of(train_kl=train_kl, new_kl=new_kl)).finding == finding


def test_diagnose_when_a_student_that_keeps_the_goal_answers_like_a_constant_then_the_text_says_so() -> None:
    found = diagnose(figures_of(train_kl=0.95, new_kl=0.95, int8_shortfall=-0.01))
    assert found.finding == "none"
    assert "though it answers like a constant: KL to the teacher 0.950 nats on validation, and 1.000" in found.text


def test_diagnose_when_the_teacher_itself_is_a_constant_then_the_student_is_not_blamed() -> None:
    given = figures_of(train_kl=0.0, new_kl=0.0)
    flat = given.fit.validation.model_copy(update={"constant_kl_nats": 0.0})
    assert diagnose(replace(given, fit=given.fit.model_copy(update={"validation": flat}))).finding == "does-not-fit"


def test_diagnose_when_as_many_rows_are_lost_either_way_then_it_is_not_the_teacher() -> None:
    shared = figures_of(teacher_right=80, both_right=75, same_mistake=5, teacher_shortfall=0.01)
    assert diagnose(shared).finding == "does-not-generalise"


def test_diagnose_when_the_teacher_keeps_the_goal_then_its_mistakes_cost_nothing_and_are_not_blamed() -> None:
    assert diagnose(figures_of(teacher_right=80, both_right=75, same_mistake=15)).finding == "does-not-generalise"


def test_diagnose_when_no_int8_file_does_and_the_float_one_is_too_large_then_lost_in_int8_with_the_reason() -> None:
    given = replace(figures_of(float_shortfall=-0.01, int8_shortfall=-0.01), kept_float="all lose 3 points")
    assert diagnose(given).finding == "none"
    assert "by the float file: all lose 3 points" in diagnose(given).text
    found = diagnose(replace(given, over="size"))
    assert found.finding == "lost-in-int8"
    assert "the float one is over the size budget: all lose 3 points" in found.text


def test_diagnose_when_the_int8_file_is_too_large_then_the_text_says_so() -> None:
    found = diagnose(replace(figures_of(int8_shortfall=-0.01), over="size"))
    assert found.text == "every goal is kept on validation, but the file is over the size budget"


def test_diagnose_when_there_is_no_goal_then_none_is_said_to_be_kept() -> None:
    assert diagnose(replace(figures_of(int8_shortfall=0.0), has_goals=False)).text == "no goal is asked for"


def following(*, agreement: float = 1.0, kl: float = 0.001, constant_kl: float = 0.03, student_right: int = 95, **changes: Any) -> Figures:
    """A student as its teacher: 95 of 100 rows right, and no mistake of the teacher's is more than its own."""
    figures = figures_of(teacher_right=95, both_right=90, same_mistake=0, **changes)
    near = FitOn(rows=100, kl_nats=kl, constant_kl_nats=constant_kl, agreement=agreement)
    fit = figures.fit.model_copy(update={"train": near, "validation": near, "student_right": student_right})
    return replace(figures, fit=fit, margin=0.04)  # the teacher exceeds the goal by 0.03


@pytest.mark.parametrize(("changes", "finding"), [
    ({"kl": 0.01}, "copies-the-teacher"), ({"kl": 0.011}, "does-not-fit"),  # the same answer on all, and 0.01 nats
    ({"kl": 0.02, "constant_kl": 1.0, "agreement": 0.99}, "copies-the-teacher"),
    ({"kl": 0.021, "constant_kl": 1.0, "agreement": 0.99}, "does-not-fit"),
    ({"kl": 0.02, "constant_kl": 1.0, "agreement": 0.98}, "does-not-fit"),
    ({"kl": 0.005, "agreement": 0.995}, "does-not-fit"),
])
def test_diagnose_when_the_student_follows_its_teacher_then_what_is_missing_is_the_teachers(
    changes: dict[str, float], finding: str
) -> None:
    assert diagnose(following(**changes)).finding == finding


def test_diagnose_when_the_teacher_is_followed_then_says_what_it_lacks() -> None:
    assert "and that one misses the goal itself" in diagnose(following(teacher_shortfall=0.01)).text
    assert "and that one does not exceed the goal by the margin that is asked for" in diagnose(following()).text


def test_diagnose_when_the_teacher_exceeds_the_goal_by_the_margin_or_there_is_none_then_it_is_not_blamed() -> None:
    assert diagnose(following(teacher_shortfall=-0.041)).finding == "does-not-fit"
    assert diagnose(following(teacher_shortfall=-0.039)).finding == "copies-the-teacher"
    assert diagnose(replace(following(), has_goals=False)).finding == "does-not-fit"


@pytest.mark.parametrize(("kl", "constant_kl", "finding"), [
    (0.012, 0.015, "copies-the-teacher"), (0.021, 0.015, "does-not-fit"), (0.012, 0.02, "does-not-fit"),
])
def test_diagnose_when_the_teacher_is_no_better_than_its_one_answer_then_the_student_is_not_blamed(
    kl: float, constant_kl: float, finding: str
) -> None:
    flat = replace(following(agreement=0.8, kl=kl, constant_kl=constant_kl), is_teacher_a_constant=True)
    found = diagnose(flat)
    assert found.finding == finding
    assert ("gives nearly one answer to everything" in found.text) == (finding == "copies-the-teacher")
    blamed = diagnose(replace(flat, is_teacher_a_constant=False))
    assert blamed.finding == "does-not-fit"
    assert ("the teacher's own answers are nearly all alike" in blamed.text) == (constant_kl < 0.02)


def test_diagnose_when_divergences_are_tiny_then_told_with_two_digits() -> None:
    tiny = following(agreement=0.9, kl=0.00036, constant_kl=0.0003)
    assert "KL to the teacher 0.00036 nats on training texts and 0.00036 on validation" in diagnose(tiny).text
