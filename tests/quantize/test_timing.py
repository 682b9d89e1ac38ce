"""Which candidates are fast enough; what is timed. No time is asserted."""

import numpy as np

from edgedistill.quantize.rows import ArrayRows
from edgedistill.quantize.timing import fast_enough, rows_of_median_size, speed_of


def rounds(p50_s: float) -> list[list[float]]:
    return [[p50_s * (1 + 0.001 * (i + j)) for i in range(5)] for j in range(5)]


def test_fast_enough_are_those_near_the_fastest_and_no_slower_than_float() -> None:
    speeds = {name: speed_of(rounds(1.0), rounds(p50_s)) for name, p50_s in
              {"fastest": 0.5, "alike": 0.51, "not quite": 0.52, "behind": 0.6, "slower": 1.3}.items()}
    assert fast_enough(speeds) == {"fastest", "alike"}
    assert [name for name, speed in speeds.items() if speed.is_slower] == ["slower"]
    assert 1.99 < speeds["fastest"].ratio.value < 2.01


def test_nothing_is_fast_enough_where_all_are_slower_than_float() -> None:
    assert fast_enough({"a": speed_of(rounds(1.0), rounds(1.5))}) == frozenset()


def test_rows_of_median_size_have_one_shape() -> None:
    class Ragged(ArrayRows):
        def row(self, index: int):
            return {"ids": np.full((1, 1 + index % 5), index)}

    found = rows_of_median_size(Ragged({"ids": np.zeros((50, 1))}, None))
    assert found["ids"].shape == (10, 3)
