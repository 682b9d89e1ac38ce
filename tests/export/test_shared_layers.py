"""ALBERT's layers share their weights: its graph stores them once, in float and in int8, and answers as before."""

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgedistill.evaluate.onnx_model import OnnxModel
from edgedistill.evaluate.torch_model import TorchModel
from edgedistill.export.graph import store_equal_matrices_once
from edgedistill.export.stage import STAGE, Inputs, Settings
from edgedistill.quantize.onnx_quantizer import quantize_weights
from edgedistill.stage import Workspace

LAYERS = 5
IDS = np.random.default_rng(0).integers(5, 55, (3, 9))
BATCH = {"input_ids": IDS, "attention_mask": np.ones_like(IDS), "token_type_ids": np.zeros_like(IDS)}


@pytest.fixture
def albert(tmp_path: Path, vocabulary: dict[str, int], write_tokenizer_files: Callable[[Path], None]) -> Path:
    """A tiny ALBERT of one layer that is passed five times."""
    import torch
    from transformers import AlbertConfig, AlbertForSequenceClassification

    torch.manual_seed(0)
    config = AlbertConfig(
        vocab_size=len(vocabulary), embedding_size=16, hidden_size=64, num_hidden_layers=LAYERS, num_attention_heads=4,
        intermediate_size=128, max_position_embeddings=40, initializer_range=0.3,
    )
    folder = tmp_path / "albert"
    AlbertForSequenceClassification(config).save_pretrained(folder)
    write_tokenizer_files(folder)
    return folder


def matrices(path: Path) -> Counter[tuple[tuple[int, ...], str]]:
    """How often each matrix is stored."""
    return Counter((tuple(item.dims), hashlib.sha256(onnx.numpy_helper.to_array(item).tobytes()).hexdigest())
                   for item in onnx.load(path).graph.initializer if len(item.dims) == 2)


def test_export_of_layers_that_share_weights_stores_each_matrix_once_in_float_and_in_int8(
    albert: Path, export_settings: Settings, tmp_path: Path
) -> None:
    path = Workspace(tmp_path / "stages").perform("export", STAGE, export_settings, Inputs(albert)).folder / "model.onnx"
    assert sum(node.op_type == "Attention" for node in onnx.load(path).graph.node) >= LAYERS - 1  # they are packed
    assert set(matrices(path).values()) == {1}
    np.testing.assert_allclose(OnnxModel(path).logits(BATCH), TorchModel(albert).logits(BATCH), atol=1e-4)
    quantize_weights(path, tmp_path / "int8.onnx", reduced_range=False, per_channel=True)
    assert set(matrices(tmp_path / "int8.onnx").values()) == {1}
    assert (tmp_path / "int8.onnx").stat().st_size < path.stat().st_size / 2
    np.testing.assert_allclose(OnnxModel(tmp_path / "int8.onnx").logits(BATCH), OnnxModel(path).logits(BATCH), atol=0.5)


def test_equal_matrices_are_stored_once_where_type_and_shape_are_equal_too() -> None:
    values = np.arange(6, dtype=np.float32)
    tensors = {"a": values.reshape(2, 3), "b": values.reshape(2, 3), "c": values.reshape(3, 2), "d": values.view(np.int32).reshape(2, 3),
               "v": values, "w": values}
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Add", ["x", name], [f"y_{name}"]) for name in tensors], "g", [], [],
        [onnx.numpy_helper.from_array(array, name) for name, array in tensors.items()])
    store_equal_matrices_once(graph)
    assert [item.name for item in graph.initializer] == ["a", "c", "d", "v", "w"]
    assert [node.input[1] for node in graph.node] == ["a", "a", "c", "d", "v", "w"]
