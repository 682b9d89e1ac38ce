"""Which node suffers most from int8."""

import importlib.util
from pathlib import Path

import onnx
import pytest

from edgedistill.quantize.sensitivity import noise_by_node

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)


def noise(path: Path, rows) -> dict[str, object]:
    return {item.node: item for item in noise_by_node(path, lambda: iter(rows), is_per_channel=True)}


def test_every_node_on_a_weight_is_ranked_by_its_name_in_the_file(tmp_path: Path) -> None:
    found = noise(graphs.save_attention(tmp_path / "m.onnx"), graphs.attention_rows(8))
    assert set(found) == {"embedding", "attention", "output", "head"}
    assert [name for name, item in found.items() if item.is_table] == ["embedding"]
    assert found["attention"].weights == 32 * 96
    ratios = [item.worst_db for item in found.values()]
    assert ratios == sorted(ratios)


def test_an_even_weight_keeps_about_forty_decibels(tmp_path: Path) -> None:
    """Gaussian, largest of n about 2.5 sigma: step 2.5/127, error step/sqrt(12): 20 log10(127 sqrt(12) / 2.5) = 45 dB."""
    found = noise(graphs.save_attention(tmp_path / "m.onnx"), graphs.attention_rows(8))
    assert found["output"].weight_db == pytest.approx(45, abs=3)


def test_the_convolutions_of_a_cnn_are_ranked(tmp_path: Path) -> None:
    assert set(noise(graphs.save_cnn(tmp_path / "m.onnx"), graphs.image_rows(4))) == {"stem", "depthwise", "pointwise", "head"}


def test_a_weight_with_a_huge_number_comes_first(tmp_path: Path) -> None:
    path = graphs.save_attention(tmp_path / "m.onnx")
    model = onnx.load(path)
    for item in model.graph.initializer:
        if item.name == "encoder.out":
            weight = onnx.numpy_helper.to_array(item).copy()
            weight[1] *= 5000  # a scale a column does not help against a huge row
            item.CopyFrom(onnx.numpy_helper.from_array(weight, item.name))
    onnx.save(model, path)
    found = noise(path, graphs.attention_rows(8))
    assert next(iter(found)) == "output"
    assert found["output"].weight_db < 10
