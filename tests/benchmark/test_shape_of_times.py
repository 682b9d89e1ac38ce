"""Drift and modes: found where they were planted, not found where the runs only have heavy tails."""

import numpy as np
import pytest

from edgedistill.benchmark.shape_of_times import drift, modes, shape_warnings
from edgedistill.benchmark.statistics import pooled

from .synthetic import block


def _rounds(seed, *, slope=0.0, second=1.0, share=0.25):
    random = np.random.default_rng(seed)
    return [
        np.where(random.random(60) < share, block(random, second * (1 + slope * i), 60), block(random, 1 + slope * i, 60)).tolist()
        for i in range(10)
    ]


def test_when_the_machine_is_steady_then_neither_is_found_in_more_than_five_of_a_hundred():
    steady = [_rounds(seed) for seed in range(100)]
    assert sum(drift(rounds) is not None for rounds in steady) <= 5
    assert sum(len(modes(pooled(rounds))) != 1 for rounds in steady) <= 5


def test_drift_when_planted_then_is_found_with_its_size():
    found = [drift(_rounds(seed, slope=0.02)) for seed in range(100)]
    assert sum(moved is not None for moved in found) >= 95
    assert np.median([moved for moved in found if moved]) == pytest.approx(0.18 / 1.09, abs=0.03)  # of 1 to 1.18, about its median


def _five(seed, *, slope=0.0, scatter=0.0, runs=12):
    """Five rounds of runs that scatter by a fifth, so that a drift that is none is large enough to be told."""
    random = np.random.default_rng(seed)
    return [np.exp(random.normal(slope * i + random.normal(0, scatter), 0.2, runs)).tolist() for i in range(5)]


def test_drift_when_there_are_five_steady_rounds_then_is_found_in_less_than_one_of_a_hundred():
    assert sum(drift(_five(seed)) is not None for seed in range(1000)) <= 10


def test_drift_when_five_rounds_scatter_each_as_a_whole_then_is_found_in_about_one_of_sixty_at_most():
    found = sum(drift(_five(seed, scatter=1.0)) is not None for seed in range(1000))
    assert found <= 1000 / 60 + 3 * np.sqrt(1000 / 60)


@pytest.mark.parametrize("slope", [0.1, -0.1])
def test_drift_when_planted_in_five_rounds_then_is_found_with_its_direction(slope):
    found = [drift(_five(seed, slope=slope, runs=100)) for seed in range(100)]
    assert sum(moved is not None and moved * slope > 0 for moved in found) >= 95


def test_drift_when_a_round_is_too_short_to_halve_or_rounds_are_too_few_then_is_not_told():
    rising = _five(0, slope=0.5, runs=100)
    assert drift(rising) is not None
    assert drift(rising[:4]) is None
    assert drift([rising[0][:1], *rising[1:]]) is None


def test_modes_when_two_are_planted_then_both_are_found_with_their_shares():
    found = [modes(pooled(_rounds(seed, second=1.25))) for seed in range(100)]
    assert sum(len(two) == 2 for two in found) >= 95
    fast, slow = next(two for two in found if len(two) == 2)
    assert slow.seconds / fast.seconds == pytest.approx(1.25, abs=0.04)
    assert slow.share == pytest.approx(0.25, abs=0.06)


def test_warnings_when_the_machine_drifts_and_jumps_then_say_both():
    first, second = shape_warnings(_rounds(3, slope=0.02, second=1.8))
    assert "slower from the first to the last" in first
    assert "2 modes" in second


def test_warnings_when_there_are_few_runs_then_are_none():
    assert shape_warnings([[1.0, 2.0]] * 5) == ()
    assert modes([1.0] * 49) == ()


def test_modes_when_all_runs_take_the_same_time_then_there_is_one():
    (mode,) = modes([0.001] * 100)
    assert mode.seconds == pytest.approx(0.001, rel=0.02)
    assert mode.share == 1.0
