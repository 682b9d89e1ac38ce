"""Weights that are no numbers."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgedistill.errors import ArtifactError
from edgedistill.quantize.finite_weights import require_finite_weights
from edgedistill.quantize.schemes import SchemeChoice
from edgedistill.quantize.stage import STAGE, Inputs, settings_for
from edgedistill.stage import Workspace

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)


def broken(path: Path, name: str, value: float) -> Path:
    """The attention graph with one number of an initialiser replaced."""
    model = onnx.load(graphs.save_attention(path))
    for item in model.graph.initializer:
        if item.name == name:
            array = onnx.numpy_helper.to_array(item).copy()
            array.flat[1] = value
            item.CopyFrom(onnx.numpy_helper.from_array(array, name))
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("name", ["embedding.table", "encoder.qkv", "encoder.qkv_bias", "encoder.out", "classifier.bias"])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_weight_with_a_number_that_is_none_is_refused_by_its_name(tmp_path: Path, name: str, value: float) -> None:
    with pytest.raises(ArtifactError, match=f"1 of the .* numbers in {name} are nan or infinite") as refused:
        require_finite_weights(broken(tmp_path / "m.onnx", name, value), named=tmp_path / "mine.onnx")
    assert "edgedistill export" in refused.value.hint


def test_what_hides_the_places_of_a_mask_may_be_infinite(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "mask"], ["m"]),
             helper.make_node("Softmax", ["m"], ["y"])]
    constants = {"w": np.ones((3, 3), np.float32), "mask": np.array([[0, -np.inf, 0]], np.float32)}
    file = graphs.save_graph(tmp_path / "m.onnx", nodes, constants, inputs={"x": (TensorProto.FLOAT, ["n", 3])})
    require_finite_weights(file, named=file)


@pytest.mark.parametrize("scheme", ["dynamic_wi8_afp32", "static_wi8_ai8", "weight_only_wi8_afp32"])
def test_quantize_refuses_such_a_model_whatever_the_scheme(tmp_path: Path, scheme: str) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "product")]
    weight = np.full((16, 4), np.nan, np.float32)
    graphs.save_graph(tmp_path / "model.onnx", nodes, {"w": weight}, inputs={"x": (TensorProto.FLOAT, ["n", 16])})
    np.savez(tmp_path / "rows.npz", x=np.ones((6, 16), np.float32))
    inputs = Inputs(tmp_path, tmp_path / "rows.npz", tmp_path / "rows.npz")
    wanted = settings_for(SchemeChoice((scheme,), "the test says so"), min_agreement=0.9, host_saturates=False)
    with pytest.raises(ArtifactError, match="64 of the 64 numbers in w are nan or infinite"):
        Workspace(tmp_path / "stages").perform("quantize", STAGE, wanted, inputs)
