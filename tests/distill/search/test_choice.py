"""The choice among trials: the cheapest that keeps the goal, the best that fits, and what cannot be told apart."""

from edgedistill.distill.search.choice import Choice, choose
from edgedistill.distill.search.trial import Rung, Trial, TrialOutcome
from edgedistill.results import Interval

from .trials import RUNGS, outcome, right_on, trial

BY_ID = {rung.id: rung for rung in RUNGS}


def smallest(*trials: Trial) -> Choice | None:
    return choose(trials, BY_ID, look_for="smallest-that-meets-the-goal")


def best(*trials: Trial) -> Choice | None:
    return choose(trials, BY_ID, look_for="best-that-fits")


def number(found: Choice | None) -> int:
    assert found is not None
    return found.trial.number


def test_smallest_when_several_keep_the_goal_then_the_cheapest_and_not_the_best() -> None:
    trials = (trial(0, "r4", outcome(shortfall=-0.05, accuracy=0.95)), trial(1, "r2", outcome(shortfall=-0.01, accuracy=0.91)),
              trial(2, "r1", outcome(shortfall=0.01, accuracy=0.89)))
    assert number(smallest(*trials)) == 1


def test_smallest_when_one_rung_keeps_the_goal_twice_then_its_more_accurate_trial() -> None:
    trials = (trial(0, "r2", outcome(shortfall=-0.01, accuracy=0.91)), trial(1, "r2", outcome(shortfall=-0.02, accuracy=0.92)))
    assert number(smallest(*trials)) == 1


def test_smallest_when_none_keeps_the_goal_then_the_most_accurate() -> None:
    trials = (trial(0, "r1", outcome(shortfall=0.03, accuracy=0.87)), trial(1, "r5", outcome(shortfall=0.01, accuracy=0.89)))
    found = smallest(*trials)
    assert number(found) == 1
    assert found is not None
    assert "no trial keeps every goal" in found.why


def test_smallest_when_the_file_is_over_the_size_budget_then_not_taken() -> None:
    trials = (trial(0, "r1", outcome(shortfall=-0.01, is_within_size=False)), trial(1, "r2", outcome(shortfall=-0.01)))
    assert number(smallest(*trials)) == 1


def test_choose_when_a_training_was_given_up_or_diverged_or_runs_then_never_taken() -> None:
    gone = outcome(shortfall=1.0, state="given-up", int8_accuracy=None, finding="given-up")
    assert smallest(trial(0, "r1", gone), trial(1, "r2", None)) is None
    assert number(smallest(trial(0, "r1", gone), trial(1, "r2", outcome(shortfall=0.5, accuracy=0.3)))) == 1


def test_best_when_a_cheaper_one_differs_by_chance_then_the_cheaper() -> None:
    # 16 rows: each right on 2 that the other is not, one more for the best: gap 1, standard error sqrt(5 - 1/16) = 2.2
    dear, cheap = "1110" + "1" * 12, "1001" + "1" * 12
    trials = (trial(0, "r5", outcome(shortfall=0.0, accuracy=15 / 16, right_rows=right_on(dear))),
              trial(1, "r1", outcome(shortfall=0.0, accuracy=14 / 16, right_rows=right_on(cheap))))
    found = best(*trials)
    assert number(found) == 1
    assert found is not None
    assert "within one standard error of trial 1's 0.9375" in found.why  # counted from 1, as in every decision


def test_best_when_a_cheaper_one_is_worse_on_many_rows_then_the_best() -> None:
    # 16 rows: 9 that only the best has right: gap 9, less one for continuity 8, standard error sqrt(9 - 81/16) = 2.0
    trials = (trial(0, "r5", outcome(shortfall=0.0, accuracy=1.0, right_rows=right_on("1" * 16))),
              trial(1, "r1", outcome(shortfall=0.0, accuracy=7 / 16, right_rows=right_on("1" * 7 + "0" * 9))))
    assert number(best(*trials)) == 0


def with_f1(value: float, accuracy: float, *, shortfall: float = 0.1, half: float = 0.05) -> TrialOutcome:
    around = Interval(value=value, low=value - half, high=value + half)
    return outcome(shortfall=shortfall, accuracy=accuracy, metric="macro_f1", int8_macro_f1=around, right_rows=right_on("1" * 16))


def test_smallest_when_macro_f1_ranks_then_a_constant_of_higher_accuracy_is_not_taken() -> None:
    trials = (trial(0, "r2", with_f1(0.49, 0.95)), trial(1, "r2", with_f1(0.80, 0.94)))
    found = smallest(*trials)
    assert number(found) == 1
    assert found is not None
    assert found.why.endswith("this has the best int8 macro-F1 there, 0.8000")
    kept = (trial(0, "r2", with_f1(0.81, 0.95, shortfall=-0.1)), trial(1, "r2", with_f1(0.82, 0.94, shortfall=-0.1)))
    assert number(smallest(*kept)) == 1


def test_best_when_macro_f1_ranks_then_a_cheaper_one_is_taken_only_within_its_standard_error() -> None:
    dear = trial(0, "r5", with_f1(0.80, 0.94, half=0.0196))  # one standard error is 0.01
    assert number(best(dear, trial(1, "r1", with_f1(0.791, 0.94)))) == 1
    assert number(best(dear, trial(1, "r1", with_f1(0.789, 0.94)))) == 0


SAME_BYTES = {"wide": Rung("wide", 2_988_831, 1e-3, 1), "tokens": Rung("tokens", 3_000_576, 2e-3, 1),
              "large": Rung("large", 3_100_000, 3e-3, 1)}


def test_choose_when_two_of_one_size_cannot_be_told_apart_then_the_one_closest_to_its_teacher() -> None:
    wide = trial(0, "wide", outcome(shortfall=-0.01, accuracy=0.8, right_rows=right_on("1111011110"), kl_nats=0.27))
    tokens = trial(1, "tokens", outcome(shortfall=-0.01, accuracy=0.7, right_rows=right_on("1101011110"), kl_nats=0.20))
    large = trial(2, "large", outcome(shortfall=-0.01, accuracy=0.8, right_rows=right_on("1111011110"), kl_nats=0.10))
    for look_for in ("smallest-that-meets-the-goal", "best-that-fits"):
        found = choose((wide, tokens, large), SAME_BYTES, look_for=look_for)  # type: ignore[arg-type]
        assert number(found) == 1
        assert found is not None
        assert "of 2 that cost about the same and cannot be told apart, the closest to its teacher (KL 0.200 nats)" in found.why


def test_choose_when_one_training_has_several_int8_schemes_then_the_best_of_them() -> None:
    schemes = [trial(n, "wide", outcome(shortfall=-0.01, accuracy=accuracy, right_rows=right_on("1111011110"), kl_nats=0.1))
               for n, accuracy in enumerate((0.900, 0.905, 0.910))]
    for look_for in ("smallest-that-meets-the-goal", "best-that-fits"):
        found = choose(schemes, SAME_BYTES, look_for=look_for)  # type: ignore[arg-type]
        assert number(found) == 2
        assert found is not None
        assert "closest" not in found.why


def test_best_when_only_the_dearer_of_two_alike_keeps_the_goal_then_that() -> None:
    dear = trial(0, "r5", outcome(shortfall=-0.005, accuracy=0.935, right_rows=right_on("1111011110")))
    cheap = trial(1, "r1", outcome(shortfall=0.005, accuracy=0.925, right_rows=right_on("1111011110")))
    assert number(best(dear, cheap)) == 0
    missed = trial(2, "r5", outcome(shortfall=0.001, accuracy=0.929, right_rows=right_on("1111011110")))
    assert number(best(missed, cheap)) == 1


def test_best_when_a_better_one_misses_another_goal_then_the_reason_says_so() -> None:
    better = trial(0, "r5", outcome(shortfall=0.02, accuracy=0.95, right_rows=right_on("1" * 16)))
    keeps = trial(1, "r1", outcome(shortfall=-0.01, accuracy=0.70, right_rows=right_on("1" * 11 + "0" * 5)))
    found = best(better, keeps)
    assert number(found) == 1
    assert found is not None
    assert found.why == "the best int8 accuracy on validation of those that keep every goal, 0.7000"


def test_choose_when_two_of_one_size_differ_on_many_rows_then_the_better_however_far_from_its_teacher() -> None:
    wide = trial(0, "wide", outcome(shortfall=-0.01, accuracy=1.0, right_rows=right_on("1" * 24), kl_nats=0.27))
    tokens = trial(1, "tokens", outcome(shortfall=-0.01, accuracy=0.5, right_rows=right_on("10" * 12), kl_nats=0.20))
    assert number(choose((wide, tokens), SAME_BYTES, look_for="best-that-fits")) == 0


def test_choose_when_a_study_is_older_and_knows_no_distances_then_the_cheaper() -> None:
    wide = trial(0, "wide", outcome(shortfall=-0.01, accuracy=0.8, right_rows=right_on("1111011110")))
    tokens = trial(1, "tokens", outcome(shortfall=-0.01, accuracy=0.9, right_rows=right_on("1111111110"), kl_nats=0.20))
    assert number(choose((wide, tokens), SAME_BYTES, look_for="smallest-that-meets-the-goal")) == 0


def test_smallest_when_the_goals_are_kept_only_by_files_that_do_not_fit_then_said_so() -> None:
    missed, over = trial(0, "r1", outcome(shortfall=0.03, accuracy=0.87)), outcome(shortfall=-0.01, is_within_size=False)
    found = smallest(missed, trial(1, "r3", over))
    assert number(found) == 0
    assert found is not None
    assert found.why.startswith("no trial whose file fits keeps every goal on validation, as trial 2 does, which is over the size "
                                "budget; this has the best")
    slow = outcome(shortfall=-0.01, is_within_latency=False)
    found = smallest(missed, trial(1, "r3", over), trial(2, "r2", slow))
    assert found is not None
    assert ", as trials 2, 3 do, which are over a budget; this" in found.why
    found = smallest(trial(0, "r3", over))
    assert found is not None
    assert found.why.startswith("no trial has a file within the budgets; this has the best")
