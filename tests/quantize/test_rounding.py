"""Weights to integers."""

import numpy as np
import pytest

from edgedistill.quantize.rounding import round_weights


def test_round_weights_by_hand() -> None:
    weights = np.array([[1.0, -0.5], [0.25, 4.0]], np.float32)
    integers, scale, zero = round_weights(weights, axis=1, weights="wi8")
    assert scale == pytest.approx([1 / 127, 4 / 127])
    assert integers.tolist() == [[127, -16], [32, 127]]
    assert zero.tolist() == [0, 0]


def test_round_weights_to_uint8_by_hand() -> None:
    integers, scale, zero = round_weights(np.array([-1.0, 0.0, 4.1], np.float32), axis=None, weights="wu8")
    assert (float(scale), int(zero), integers.tolist()) == (pytest.approx(0.02), 50, [0, 50, 255])


@pytest.mark.parametrize("weights", ["wi8", "wu8"])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_round_weights_is_off_by_half_a_scale_at_most(weights: str, axis: int | None) -> None:
    values = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    integers, scale, zero = round_weights(values, axis=axis, weights=weights)
    shape = {None: (), 0: (6, 1), 1: (1, 5)}[axis]
    restored = (integers.astype(float) - zero.reshape(shape).astype(float)) * scale.reshape(shape)
    assert np.all(np.abs(restored - values) <= 0.5001 * np.broadcast_to(scale.reshape(shape), values.shape))


def test_round_weights_of_nothing_but_zeros_has_a_scale() -> None:
    integers, scale, _ = round_weights(np.zeros((2, 2), np.float32), axis=None, weights="wi8")
    assert float(scale) == 1.0
    assert not integers.any()
