"""What is said of a graph that cannot be fed."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgedistill.errors import ArtifactError
from edgedistill.evaluate.onnx_model import OnnxModel


def test_logits_when_the_graph_asks_for_an_input_that_nobody_gives_then_it_is_named_with_what_to_type(tmp_path: Path) -> None:
    asked = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", 2]) for name in ("input_ids", "position_ids")]
    nodes = [helper.make_node("Add", ["input_ids", "position_ids"], ["sum"]),
             helper.make_node("Cast", ["sum"], ["logits"], to=TensorProto.FLOAT)]
    answer = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    model = helper.make_model(helper.make_graph(nodes, "g", asked, [answer]), ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, tmp_path / "model.onnx")
    ids = np.ones((1, 2), np.int64)
    opened = OnnxModel(tmp_path / "model.onnx")
    with pytest.raises(ArtifactError, match=r"asks for position_ids, and gets input_ids, attention_mask$") as refused:
        opened.logits({"input_ids": ids, "attention_mask": ids})
    assert "edgedistill export MODEL -o DIR makes a graph that needs no position_ids" in refused.value.hint
    np.testing.assert_array_equal(opened.logits({"input_ids": ids, "position_ids": 2 * ids}), [[3, 3]])
