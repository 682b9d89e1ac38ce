"""Two models over pairs of processes: a tenth is found, nothing is invented, whatever the machine does meanwhile."""

import numpy as np
import pytest
from scipy import stats

from edgedistill.benchmark.comparison import compare_pairs, signed_rank_interval, signed_rank_place
from edgedistill.errors import UsageError

from .synthetic import pairs

MACHINES = [{}, {"drift": 0.3}, {"wander": 0.08}]


@pytest.mark.parametrize("machine", MACHINES, ids=["wandering", "drifting", "restless"])
def test_compare_when_the_models_are_the_same_then_is_wrong_at_most_five_times_in_a_hundred(machine):
    verdicts = [compare_pairs(*pairs(seed, 1.0, **machine)).verdict for seed in range(100)]
    assert sum(verdict in ("faster", "slower") for verdict in verdicts) <= 5


@pytest.mark.parametrize("machine", MACHINES, ids=["wandering", "drifting", "restless"])
def test_compare_when_a_tenth_is_planted_then_finds_it_at_least_95_times_in_a_hundred(machine):
    verdicts = [compare_pairs(*pairs(seed, 1.1, **machine)).verdict for seed in range(100)]
    assert verdicts.count("slower") >= 95
    assert verdicts.count("faster") == 0


@pytest.mark.parametrize(("n", "critical"), [(8, 0), (9, 1), (10, 3), (12, 7), (15, 15), (20, 37)])
def test_place_when_n_is_in_the_table_then_is_the_critical_value(n, critical):
    """Two-sided 0.01, as the tables of the signed-rank test give it."""
    assert signed_rank_place(n, 0.005) == critical


def test_place_when_n_is_too_small_then_nothing_is_left_out():
    assert signed_rank_place(4, 0.005) == 0


def test_interval_when_computed_then_excludes_zero_exactly_when_scipy_rejects():
    random = np.random.default_rng(0)
    rejected = 0
    for _ in range(60):
        differences = random.normal(0.9, 1, 10)
        low, middle, high = signed_rank_interval(differences)
        assert low <= middle <= high
        is_rejected = stats.wilcoxon(differences, mode="exact").pvalue <= 0.01
        assert (low > 0 or high < 0) == is_rejected
        rejected += is_rejected
    assert 5 < rejected < 55


def test_estimate_when_three_differences_are_given_is_the_median_of_their_averages():
    assert signed_rank_interval(np.array([1.0, 2.0, 9.0]))[1] == pytest.approx(3.5)  # of 1, 1.5, 2, 5, 5.5, 9


def test_compare_when_there_are_few_pairs_then_says_nothing_however_large_the_difference():
    fast, slow = [[[1.0]] for _ in range(7)], [[[2.0]] for _ in range(7)]
    assert compare_pairs(slow, fast).verdict == "undecided"
    assert compare_pairs([*slow, [[2.0]]], [*fast, [[1.0]]]).verdict == "faster"


def test_compare_when_the_difference_is_sure_and_tiny_then_is_the_same():
    assert compare_pairs([[[1.02]]] * 10, [[[1.0]]] * 10).verdict == "same"


def test_sentence_when_undecided_then_says_that_this_machine_cannot_separate_them():
    found = compare_pairs([[[1.0]], [[3.0]]] * 6, [[[3.0]], [[1.0]]] * 6)
    assert found.sentence("a", "b").startswith("cannot separate b from a on this machine: 1.000 times as fast, 99 % interval")


@pytest.mark.parametrize("other", [[], [[[1.0]]]])
def test_compare_when_there_is_nothing_to_pair_then_raises(other):
    with pytest.raises(UsageError, match="cannot be paired"):
        compare_pairs([[[1.0]], [[1.0]]] if other else [], other)
