"""Products that can saturate in 16 bits."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from edgedistill.quantize.onnx_quantizer import quantize_dynamically
from edgedistill.quantize.saturation import saturating_nodes, share_of_pairs
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.static_quantizer import Calibration, quantize_statically

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [((127, 127), 1.0), ((64, 64), 0.0), ((64, 65), 1.0), ((-64, -64), 0.0), ((-64, -65), 1.0), ((127, -127), 0.0), ((127, 0), 0.0)],
)
def test_share_of_pairs_by_hand(pair: tuple[int, int], expected: float) -> None:
    assert share_of_pairs(np.array([[pair[0]], [pair[1]]], np.int8)) == expected


def test_share_of_pairs_counts_a_single_last_row_as_paired_with_nothing() -> None:
    assert share_of_pairs(np.array([[100, 1], [100, 1], [127, 127]], np.int8)) == 0.25


@pytest.mark.parametrize(
    ("scheme", "saturates"),
    [("dynamic_wi8_afp32", True), ("dynamic_wi8_afp32_reduced_range", False), ("dynamic_wu8_afp32", False),
     ("static_wi8_au8_per_channel", True), ("static_wi8_au8_reduced_range", False), ("static_wi8_ai8", False)],
)
def test_saturating_nodes_of_each_scheme(tmp_path: Path, scheme: str, saturates: bool) -> None:
    source, out, wanted = graphs.save_attention(tmp_path / "m.onnx"), tmp_path / "q.onnx", parse_scheme(scheme)
    if wanted.needs_calibration:
        quantize_statically(source, out, wanted, calibration=Calibration(lambda: iter(graphs.attention_rows(5))))
    else:
        quantize_dynamically(source, out, wanted)
    found = saturating_nodes(out)
    assert bool(found) is saturates
    assert all(0 < share < 0.2 for share in found.values())
