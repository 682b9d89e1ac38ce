"""The next move: the ladder is halved, a miss is answered by its finding, and nothing leaves the budgets."""

import dataclasses
from typing import Any

import pytest

from edgedistill.distill.search.account import described
from edgedistill.distill.search.moves import Situation, _transfer, adjustments, guided_moves, is_settled
from edgedistill.distill.search.trial import Trial, TrialOutcome, TrialSettings
from edgedistill.results import Interval

from .trials import BASE, RUNGS, outcome, trial

START = Situation("smallest-that-meets-the-goal", RUNGS, BASE, ("dynamic_wi8_afp32", "dynamic_wi8_afp32_reduced_range"),
                  train_rows=1000, left=4)


def after(*trials: Trial, **changes: Any) -> Situation:
    return dataclasses.replace(START, trials=trials, **changes)


def first(now: Situation) -> TrialSettings:
    """The first move that was not made yet."""
    made = [t.settings for t in now.trials]
    return next(move.settings for move in guided_moves(now) if move.settings not in made)


def on(rung: str, **changes: Any) -> TrialSettings:
    return BASE.model_copy(update={"rung": rung} | changes)


TWICE = {"transfer_rows": 48_000, "transfer_words": 600_000, "transfer_copies": 24, "rows_seen": 100_000}
"""What a transfer set twice as large changes of BASE: every limit that may hold it, and how long it is trained on."""


def test_first_move_when_one_trial_is_allowed_then_the_largest_that_fits() -> None:
    assert first(after(left=1)) == BASE


def test_first_move_when_several_trials_are_allowed_then_the_middle_of_the_ladder() -> None:
    assert first(START).rung == "r3"


def test_next_move_when_the_vocabulary_binds_then_the_cheapest_untried_rung_with_more_tokens() -> None:
    rungs = tuple(dataclasses.replace(rung, vocabulary=tokens) for rung, tokens in zip(
        RUNGS, (1000, 9000, 2000, 3000, 3000, 7000, 8000), strict=True))
    short = outcome(shortfall=0.01, finding="vocabulary-binds")
    assert first(after(trial(0, "r3", short), rungs=rungs)) == on("r5")  # r1 has more tokens, and half of the bytes
    tried = (trial(0, "r3", short), trial(1, "r1", outcome(shortfall=0.1)))
    best = after(*tried, rungs=rungs, look_for="best-that-fits")
    assert [move.settings.rung for move in guided_moves(best) if move.settings.rung != "r3"][:2] == ["r5", "r5"]


def test_next_move_when_the_vocabulary_binds_and_a_rung_of_the_same_bytes_has_more_tokens_then_that() -> None:
    alike = dataclasses.replace(RUNGS[2], int8_bytes=RUNGS[3].int8_bytes - 10_000, vocabulary=5000)
    short = outcome(shortfall=0.01, finding="vocabulary-binds")
    assert first(after(trial(0, "r3", short), rungs=(*RUNGS[:2], alike, *RUNGS[3:]))) == on("r2")


def test_next_move_when_the_vocabulary_binds_below_a_rung_that_keeps_the_goal_then_nothing_dearer_is_trained() -> None:
    now = after(trial(0, "r4", outcome(shortfall=-0.01)), trial(1, "r3", outcome(shortfall=0.01, finding="vocabulary-binds")))
    assert first(now) == on("r3", **TWICE)


def test_next_move_when_the_vocabulary_binds_and_no_rung_has_more_then_a_larger_transfer_set() -> None:
    now = after(trial(0, "r6", outcome(shortfall=0.01, finding="vocabulary-binds")), rungs=RUNGS[6:])
    assert first(now) == on("r6", **TWICE)


def test_next_move_when_the_middle_keeps_the_goal_then_the_middle_of_what_is_cheaper() -> None:
    assert first(after(trial(0, "r3", outcome(shortfall=-0.01)))).rung == "r1"


def test_next_move_when_the_middle_does_not_fit_the_soft_labels_then_more_capacity() -> None:
    assert first(after(trial(0, "r3", outcome(shortfall=0.05)))).rung == "r5"


@pytest.mark.parametrize("needed", range(7))
def test_moves_when_played_to_the_end_then_find_the_cheapest_of_seven_in_three_trials(needed: int) -> None:
    made: tuple[Trial, ...] = ()
    for number in range(3):
        now = after(*made, left=4 - number)
        settings = first(now)
        rank = int(settings.rung[1])
        made += (trial(number, settings, outcome(shortfall=-0.01 if rank >= needed else 0.1)),)
        if is_settled(after(*made)):
            break
    assert after(*made).ceiling == needed


def test_moves_when_every_cheaper_rung_missed_then_the_last_trial_is_the_largest() -> None:
    now = after(trial(0, "r3", outcome(shortfall=0.05)), left=1)
    assert first(now) == BASE


def test_next_move_when_the_last_trial_is_at_hand_and_a_rung_keeps_the_goal_then_still_goes_for_a_cheaper_one() -> None:
    assert first(after(trial(0, "r3", outcome(shortfall=0.0)), left=1)).rung == "r1"


def test_next_move_when_a_near_miss_does_not_generalise_then_twice_the_transfer_set_on_the_same_rung() -> None:
    now = after(trial(0, "r3", outcome(shortfall=0.01, finding="does-not-generalise")))
    assert first(now) == on("r3", **TWICE)


def test_next_move_when_a_far_miss_does_not_generalise_then_another_rung_first() -> None:
    assert first(after(trial(0, "r3", outcome(shortfall=0.1, finding="does-not-generalise")))) == on("r5")


def test_next_move_when_a_larger_transfer_set_did_not_help_then_a_higher_temperature() -> None:
    now = after(
        trial(0, "r6", outcome(shortfall=0.01, finding="does-not-generalise")),
        trial(1, on("r6", **TWICE), outcome(shortfall=0.02, finding="does-not-generalise")),
        rungs=RUNGS[6:],
    )
    assert first(now) == on("r6", temperature=4.0)


def test_transfer_set_when_the_limit_on_words_has_no_room_left_then_not_tried() -> None:
    settings = on("r6", transfer_words=100_000_000)
    now = after(trial(0, settings, outcome(shortfall=0.01, finding="does-not-generalise")), rungs=RUNGS[6:])
    assert first(now) == settings.model_copy(update={"temperature": 4.0})


def test_next_move_when_the_loss_was_still_falling_then_a_longer_training_up_to_four_times_the_recipes() -> None:
    falling = outcome(shortfall=0.1, was_falling_at_the_end=True)
    once = after(trial(0, "r6", falling), rungs=RUNGS[6:])
    assert first(once) == on("r6", rows_seen=100_000)
    assert "50000 -> 100000 rows seen" in next(iter(guided_moves(once))).because
    twice = after(trial(0, "r6", falling), trial(1, on("r6", rows_seen=200_000), falling), rungs=RUNGS[6:])
    assert not any(move.settings.rows_seen > 200_000 for move in guided_moves(twice))


def test_next_move_when_a_near_miss_does_not_fit_then_longer_on_the_same_rung_only_where_the_loss_was_falling() -> None:
    falling = outcome(shortfall=0.01, was_falling_at_the_end=True)
    assert first(after(trial(0, "r3", falling))) == on("r3", rows_seen=100_000)
    assert first(after(trial(0, "r3", outcome(shortfall=0.01)))) == on("r5")
    assert first(after(trial(0, "r3", outcome(shortfall=0.1, was_falling_at_the_end=True)))) == on("r5")


@pytest.mark.parametrize(("rows", "copies", "then"), [
    (500, 4, (2_000, 8)),  # fewer than the 1,000 training texts: twice those
    (100_000, 100, None),  # 1,000 texts cannot make more in 100 copies each
    (2_000_000, 50, None),
    (400_000, 500, (800_000, 500)),  # the recipe asks for more copies than the moves go up to: they are not taken away
])
def test_transfer_set_when_small_or_at_its_limits_then_enlarged_or_left(rows: int, copies: int, then: tuple[int, int] | None) -> None:
    settings = on("r6", transfer_rows=rows, transfer_copies=copies)
    now = after(trial(0, settings, outcome(shortfall=0.01, finding="does-not-generalise")), rungs=RUNGS[6:])
    made = first(now)
    assert (made.transfer_rows, made.transfer_copies) == (then or (rows, copies))
    assert (made.temperature > 2.0) == (then is None)


@pytest.mark.parametrize("finding", ["does-not-generalise", "vocabulary-binds"])
@pytest.mark.parametrize("look_for", ["smallest-that-meets-the-goal", "best-that-fits"])
def test_transfer_set_when_the_recipe_switched_it_off_then_no_move_makes_one(finding: str, look_for: Any) -> None:
    base = on("r6", transfer_rows=0)
    now = after(trial(0, base, outcome(shortfall=0.01, finding=finding)), base=base, rungs=RUNGS[6:], look_for=look_for)
    moves = list(guided_moves(now))
    assert {move.settings.transfer_rows for move in moves} <= {0}
    assert [move.settings.temperature for move in moves] == ([4.0] if finding == "does-not-generalise" else [])


def test_next_move_when_the_teachers_mistakes_are_copied_then_more_hard_label() -> None:
    now = after(trial(0, "r3", outcome(shortfall=0.01, finding="copies-the-teacher")))
    assert first(now) == on("r3", alpha=0.7)


def test_next_move_when_good_in_float_and_bad_in_int8_then_another_scheme_for_the_same_student() -> None:
    now = after(trial(0, "r3", outcome(shortfall=0.3, finding="lost-in-int8")))
    assert first(now) == on("r3", scheme="dynamic_wi8_afp32_reduced_range")


def test_next_move_when_int8_loses_and_the_recipe_names_the_scheme_then_another_rung() -> None:
    now = after(trial(0, "r3", outcome(shortfall=0.3, finding="lost-in-int8")), schemes=())
    assert first(now) == on("r5")


@pytest.mark.parametrize(("improving", "rate"), [(True, 2e-3), (False, 5e-4)])
def test_next_move_when_the_only_rung_does_not_fit_then_another_learning_rate(improving: bool, rate: float) -> None:
    result = outcome(shortfall=0.05, was_best_at_the_end=improving)
    assert first(after(trial(0, "r6", result), rungs=RUNGS[6:])) == on("r6", learning_rate=rate)


def test_next_move_when_a_training_diverged_then_a_lower_learning_rate() -> None:
    result = outcome(shortfall=1.0, finding="diverged", state="diverged", int8_accuracy=None, float_accuracy=None)
    assert first(after(trial(0, "r6", result), rungs=RUNGS[6:])) == on("r6", learning_rate=5e-4)


GONE = outcome(shortfall=1.0, finding="diverged", state="diverged", int8_accuracy=None, float_accuracy=None)


def test_best_that_fits_when_the_first_training_diverged_then_half_the_rate_there_and_later() -> None:
    best: dict[str, Any] = {"look_for": "best-that-fits"}
    assert first(after(trial(0, "r6", GONE), **best)) == on("r6", learning_rate=5e-4)
    again = (trial(0, "r6", GONE), trial(1, on("r6", learning_rate=5e-4), GONE))
    assert first(after(*again, **best)) == on("r6", learning_rate=2.5e-4)
    calm = trial(2, on("r6", learning_rate=2.5e-4), outcome(shortfall=0.0))
    assert first(after(*again, calm, **best)) == on("r5", learning_rate=2.5e-4)


def test_best_that_fits_when_a_rate_above_the_recipes_diverged_then_nothing_is_made_again() -> None:
    now = after(trial(0, "r6", outcome(shortfall=0.0)), trial(1, on("r6", learning_rate=4e-3), GONE), look_for="best-that-fits")
    assert first(now) == on("r5")


def test_last_trial_when_a_training_diverged_then_the_largest_at_half_the_rate() -> None:
    assert first(after(trial(0, "r3", GONE), left=1)) == on("r6", learning_rate=5e-4)


def test_moves_when_a_dearer_rung_diverged_and_a_cheaper_one_keeps_the_goal_then_it_is_not_made_again() -> None:
    now = after(trial(0, "r3", GONE), trial(1, "r1", outcome(shortfall=-0.01)))
    assert first(now) == on("r0")


@pytest.mark.parametrize("look_for", ["smallest-that-meets-the-goal", "best-that-fits"])
def test_next_move_when_a_student_answers_like_a_constant_then_half_the_learning_rate(look_for: Any) -> None:
    flat = outcome(shortfall=0.4, finding="answers-like-a-constant")
    moves = [move.settings for move in guided_moves(after(trial(0, "r3", flat), look_for=look_for))]
    rates = [settings.learning_rate for settings in moves if settings.rung == "r3"]
    assert rates == [5e-4, 2e-3]
    assert moves[0] == on("r3", learning_rate=5e-4) or look_for == "best-that-fits"


def test_moves_when_macro_f1_ranks_then_its_better_settings_are_carried_on() -> None:
    def with_f1(value: float, accuracy: float) -> TrialOutcome:
        around = Interval(value=value, low=value - 0.05, high=value + 0.05)
        return outcome(shortfall=0.1, accuracy=accuracy, metric="macro_f1", int8_macro_f1=around)

    now = after(trial(0, "r3", with_f1(0.49, 0.95)), trial(1, on("r3", learning_rate=5e-4), with_f1(0.80, 0.94)))
    assert first(now) == on("r5", learning_rate=5e-4)


def test_moves_when_a_rung_diverged_then_it_gets_a_lower_rate_and_later_rungs_keep_it() -> None:
    gone = trial(0, "r3", outcome(shortfall=1.0, finding="diverged", state="diverged", int8_accuracy=None, float_accuracy=None))
    assert first(after(gone)) == on("r3", learning_rate=5e-4)
    calmer = trial(1, on("r3", learning_rate=5e-4), outcome(shortfall=0.1))
    assert first(after(gone, calmer)) == on("r5", learning_rate=5e-4)


def test_learning_rate_when_at_the_end_of_its_reach_then_moves_no_further() -> None:
    settings = on("r6", learning_rate=4e-3)
    now = after(trial(0, "r6", outcome(shortfall=0.2)), trial(1, settings, outcome(shortfall=0.1, was_best_at_the_end=True)),
                rungs=RUNGS[6:])
    assert {move.settings.learning_rate for move in guided_moves(now)} == {2e-3}


def test_moves_when_the_bracket_is_closed_then_the_cheaper_rung_that_missed_gets_other_settings() -> None:
    now = after(trial(0, "r3", outcome(shortfall=-0.01)), trial(1, "r2", outcome(shortfall=0.1, finding="copies-the-teacher")))
    assert first(now) == on("r2", alpha=0.7)


def test_moves_when_settings_proved_better_then_later_rungs_take_them() -> None:
    better = on("r3", alpha=0.7)
    now = after(
        trial(0, "r3", outcome(shortfall=0.015, accuracy=0.90, finding="copies-the-teacher")),
        trial(1, better, outcome(shortfall=0.005, accuracy=0.91, finding="does-not-fit")),
    )
    assert first(now) == on("r5", alpha=0.7)


def test_moves_when_a_rung_is_being_tried_by_somebody_else_then_another_one() -> None:
    assert first(after(trial(0, "r3", None))).rung in {"r2", "r4"}


def test_best_that_fits_when_nothing_is_tried_then_the_largest_and_then_the_next_cheaper() -> None:
    now = dataclasses.replace(START, look_for="best-that-fits")
    assert first(now) == BASE
    assert first(dataclasses.replace(now, trials=(trial(0, "r6", outcome(shortfall=0.0)),))) == on("r5")


def test_is_settled_when_the_cheapest_rung_keeps_the_goal_then_true_and_else_not() -> None:
    assert is_settled(after(trial(0, "r0", outcome(shortfall=0.0))))
    assert not is_settled(after(trial(0, "r1", outcome(shortfall=0.0))))
    assert not is_settled(after(trial(0, "r0", outcome(shortfall=0.0)), look_for="best-that-fits"))


def test_moves_and_trials_when_the_examples_are_pictures_then_say_nothing_of_words_of_text() -> None:
    assert "words of text" in described(BASE)
    assert "text" not in described(BASE, example="picture")
    _, of_texts = _transfer(BASE, START)
    _, of_pictures = _transfer(BASE, dataclasses.replace(START, example="picture"))
    assert "words of text" in of_texts
    assert "pictures, and" in of_pictures
    assert "text" not in of_pictures


def test_moves_when_the_soft_labels_count_for_nothing_then_no_other_temperature() -> None:
    missed = outcome(shortfall=0.01, finding="does-not-generalise")
    hard = BASE.model_copy(update={"alpha": 0.0})
    for base, is_tried in ((BASE, True), (hard, False)):
        moves = adjustments(trial(0, base, missed), dataclasses.replace(START, base=base))
        assert any(move.settings.temperature != base.temperature for move in moves) is is_tried


OVER = outcome(shortfall=-0.01, is_within_size=False)
IN_FLOAT = outcome(shortfall=-0.01, scheme_used="float", int8_bytes=5_500_000)
"""A float file as large as an int8 one between r4 and r5."""


@pytest.mark.parametrize("left", [1, 4])
@pytest.mark.parametrize("over", [OVER, outcome(shortfall=-0.01, scheme_used="float", is_within_latency=False)])
def test_next_move_when_the_goal_is_kept_in_a_file_over_a_budget_then_a_cheaper_rung(over: TrialOutcome, left: int) -> None:
    now = after(trial(0, "r3", over), left=left)
    assert first(now) == on("r1")
    assert f"r3 keeps it in a file over the {over.over}" in next(iter(guided_moves(now))).because
    assert not is_settled(after(trial(0, "r0", over)))


def test_moves_when_a_file_over_a_budget_and_nothing_cheaper_is_left_then_dearer_rungs_only_if_it_computes_in_float() -> None:
    def rungs(over: TrialOutcome) -> list[str]:
        return [move.settings.rung for move in guided_moves(after(trial(0, "r0", over), rungs=RUNGS[:4]))]

    assert rungs(OVER) == []  # an int8 file of a dearer rung is larger
    weights_alone = outcome(shortfall=-0.01, scheme_used="weight_only_wi8_per_channel", is_within_latency=False)
    assert rungs(weights_alone) == []  # and slower where it computes in float too
    assert rungs(outcome(shortfall=-0.01, scheme_used="float", is_within_size=False)) == ["r1", "r2", "r3"]


def test_next_move_when_a_float_file_is_too_large_then_int8_schemes_that_were_not_tried_come_first() -> None:
    over = outcome(shortfall=-0.01, scheme_used="float", is_within_size=False).model_copy(
        update={"diagnosis": outcome(shortfall=0.1, finding="lost-in-int8").diagnosis})
    assert [move.settings.scheme for move in guided_moves(after(trial(0, "r3", over)))][:2] == list(START.schemes)
    kept = trial(1, on("r3", scheme=START.schemes[1]), outcome(shortfall=-0.01))
    assert first(after(trial(0, "r3", over), kept)) == on("r1")


def test_moves_when_the_goal_is_kept_in_float_then_cheaper_rungs_first_and_then_dearer_ones_that_would_be_smaller_in_int8() -> None:
    assert first(after(trial(0, "r3", IN_FLOAT))) == on("r1")
    cheapest = after(trial(0, "r0", IN_FLOAT))
    assert not is_settled(cheapest)
    assert [move.settings.rung for move in guided_moves(cheapest)] == ["r1", "r2", "r3", "r4"]
    assert is_settled(after(trial(0, "r0", IN_FLOAT), rungs=RUNGS[:1]))
