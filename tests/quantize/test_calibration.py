"""Ranges of activations, against hand counts and onnxruntime's own calibrators; memory that does not grow."""

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from onnxruntime.quantization.calibrate import HistogramCollector

from edgedistill.quantize.calibration import (
    BINS,
    Arrays,
    Extremes,
    Histograms,
    Range,
    entropy_range,
    find_ranges,
    percentile_range,
)


def stream_of(*rows: Arrays):
    return lambda: iter(rows)


def test_min_max_spans_all_rows_and_zero() -> None:
    found = find_ranges(stream_of({"a": np.array([1.0, 3.0]), "b": np.array([-2.0])}, {"a": np.array([[0.5]])}), "min-max")
    assert found == {"a": Range(0.0, 3.0), "b": Range(-2.0, 0.0)}


def test_min_max_of_a_tensor_without_elements_says_nothing() -> None:
    assert find_ranges(stream_of({"a": np.zeros((0, 4)), "b": np.array([1.0])}), "min-max") == {"b": Range(0.0, 1.0)}


NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize("method", ["min-max", "percentile", "entropy"])
@pytest.mark.parametrize("bad", [NAN, INFINITE, -INFINITE])
def test_values_that_are_no_numbers_say_nothing(method: str, bad: float) -> None:
    good = [{"t": np.array(row, np.float32)} for row in ((1, 2), (3,), (-1, 0.5))]
    with_bad = [good[0], {"t": np.array([3, bad], np.float32)}, good[2], {"t": np.array([bad, bad], np.float32)}]
    assert find_ranges(stream_of(*with_bad), method) == find_ranges(stream_of(*good), method)


def test_a_tensor_without_a_finite_value_has_no_range() -> None:
    assert find_ranges(stream_of({"a": np.array([NAN, INFINITE]), "b": np.array([1.0])}), "entropy").keys() == {"b"}


@pytest.fixture
def heavy_tailed() -> list[Arrays]:
    random = np.random.default_rng(3)
    return [{"t": random.standard_t(3, (16, 64)).astype(np.float32)} for _ in range(40)]


def counted(rows: list[Arrays]) -> Histograms:
    extremes = Extremes()
    for row in rows:
        extremes.add(row)
    histograms = Histograms(extremes.ranges)
    for row in rows:
        histograms.add(row)
    return histograms


def test_histograms_count_every_value_as_numpy_does_at_once(heavy_tailed: list[Arrays]) -> None:
    together = np.concatenate([row["t"].ravel() for row in heavy_tailed])
    limit = float(np.abs(together).max())
    expected, edges = np.histogram(together, bins=BINS, range=(-limit, limit))
    found = counted(heavy_tailed)
    assert np.array_equal(found.counts["t"], expected)
    assert found.edges("t") == pytest.approx(edges, rel=1e-5, abs=1e-6)


def test_percentile_is_that_of_the_values_to_a_bin(heavy_tailed: list[Arrays]) -> None:
    together = np.concatenate([row["t"].ravel() for row in heavy_tailed])
    histograms = counted(heavy_tailed)
    found = percentile_range(histograms.counts["t"], histograms.edges("t"), 99.0)
    low, high = np.percentile(together, [0.5, 99.5])
    width = 2 * histograms.limits["t"] / BINS
    assert low - width <= found.low <= low
    assert high <= found.high <= high + width


@pytest.mark.parametrize("draw", ["normal", "laplace"])
def test_entropy_is_near_where_onnxruntime_puts_it(draw: str) -> None:
    """onnxruntime tries each width too, with half the levels and other leftovers, so its range is near and not the same."""
    values = getattr(np.random.default_rng(3), draw)(size=100_000).astype(np.float32)
    histograms = counted([{"t": values}])
    counts, edges = histograms.counts["t"], histograms.edges("t")
    small, outer = counts.reshape(-1, 2).sum(axis=1), edges[::2]
    collector = HistogramCollector("entropy", False, len(small), 128, 99.999, "same")
    _, high = collector.get_entropy_threshold((small, outer, outer[0], outer[-1], outer[-1]), 128)
    assert entropy_range(counts, edges).high == pytest.approx(float(high), rel=0.25)


def test_entropy_of_what_a_relu_leaves_keeps_all_but_the_tail() -> None:
    values = np.maximum(np.random.default_rng(3).normal(size=100_000), 0).astype(np.float32)
    found = find_ranges(stream_of({"t": values}), "entropy")["t"]
    assert found.low == 0.0
    assert 0.999 < np.mean(values <= found.high) < 1.0


def test_entropy_of_an_even_spread_keeps_all_of_it() -> None:
    values = np.linspace(-1, 1, 10 * BINS, dtype=np.float32)
    found = find_ranges(stream_of({"t": values}), "entropy")["t"]
    assert (found.low, found.high) == pytest.approx((-1.0, 1.0), abs=0.02)


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_one_value_far_out_is_cut_off(method: str) -> None:
    values = np.random.default_rng(1).normal(size=200_000).astype(np.float32)
    values[0] = 60.0
    found = find_ranges(stream_of({"t": values}), method)["t"]
    assert found.high < 8.0
    assert find_ranges(stream_of({"t": values}), "min-max")["t"].high == 60.0


def test_find_ranges_passes_over_the_rows_and_holds_one_at_a_time() -> None:
    alive, most = 0, 0

    class Row(dict):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def rows() -> Iterator[Arrays]:
        nonlocal alive, most
        for i in range(50):
            alive, most = alive + 1, max(most, alive + 1)
            yield Row(t=np.full(8, i, np.float32))

    find_ranges(rows, "entropy")
    assert most <= 2


_PEAK = """
import resource, sys
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper
from edgedistill.quantize.activation_values import stream_activations
from edgedistill.quantize.calibration import find_ranges
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])], "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 64])],
    [numpy_helper.from_array(np.eye(64, dtype=np.float32), "w")])
model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
rows = lambda: ({"x": np.random.default_rng(i).normal(size=(2, 64)).astype(np.float32)} for i in range(int(sys.argv[1])))
find_ranges(stream_activations(model, ["x", "h", "y"], rows), "entropy")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_calibrating_on_10000_rows_holds_no_more_memory_than_on_100() -> None:
    peaks = [int(subprocess.run([sys.executable, "-c", _PEAK, str(n)], capture_output=True, text=True, check=True).stdout)
             for n in (100, 10_000)]
    assert peaks[1] < 1.1 * peaks[0]
