"""A table of low rank in the graph: a thin table and a product, the same answers, and a table of full rank is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from edgedistill.distill.low_rank_embedding import round_to_rank
from edgedistill.errors import ArtifactError
from edgedistill.evaluate.onnx_model import OnnxModel
from edgedistill.evaluate.torch_model import TorchModel
from edgedistill.export.stage import STAGE, Inputs, Settings
from edgedistill.low_rank import RANK_KEY
from edgedistill.quantize.onnx_quantizer import quantize_weights
from edgedistill.stage import Workspace

RANK = 6
IDS = np.random.default_rng(0).integers(5, 55, (3, 9))
BATCH = {"input_ids": IDS, "attention_mask": np.ones_like(IDS), "token_type_ids": np.zeros_like(IDS)}


@pytest.fixture
def low_rank(model_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny BERT with a table of rank 6, as `distill` would have left it."""
    source = model_folder("bert")
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(source)
    round_to_rank(model, RANK)
    setattr(model.config, RANK_KEY, RANK)
    folder = tmp_path / "student"
    model.save_pretrained(folder)
    for file in source.glob("*token*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def export(folder: Path, settings: Settings, tmp_path: Path) -> Path:
    return Workspace(tmp_path / "stages").perform("export", STAGE, settings, Inputs(folder)).folder / "model.onnx"


def test_export_when_the_embedding_is_of_low_rank_then_thin_in_the_graph_and_the_same_logits(
    low_rank: Path, export_settings: Settings, tmp_path: Path
) -> None:
    path = export(low_rank, export_settings, tmp_path)
    np.testing.assert_allclose(OnnxModel(path).logits(BATCH), TorchModel(low_rank).logits(BATCH), atol=1e-4)
    graph = onnx.load(path).graph
    vocabulary, width = AutoModelForSequenceClassification.from_pretrained(low_rank).bert.embeddings.word_embeddings.weight.shape
    shapes = [tuple(item.dims) for item in graph.initializer]
    assert (vocabulary, RANK) in shapes
    assert (RANK, width) in shapes
    assert (vocabulary, width) not in shapes
    assert sum(node.op_type == "Attention" for node in graph.node) == 2


def test_quantized_graph_when_the_embedding_is_of_low_rank_then_its_table_is_int8_too(
    low_rank: Path, export_settings: Settings, tmp_path: Path
) -> None:
    path = export(low_rank, export_settings, tmp_path)
    quantize_weights(path, tmp_path / "int8.onnx", reduced_range=False, per_channel=True)
    kinds = {tuple(item.dims): item.data_type for item in onnx.load(tmp_path / "int8.onnx").graph.initializer}
    thin = [kind for dims, kind in kinds.items() if len(dims) == 2 and dims[1] == RANK]
    assert thin == [onnx.TensorProto.UINT8]  # the quantizer stores what is looked up as it stores activations
    found, expected = OnnxModel(tmp_path / "int8.onnx").logits(BATCH), OnnxModel(path).logits(BATCH)
    assert np.abs(found - expected).max() < 0.05 * expected.std() + 0.02


def test_export_when_weights_and_configuration_do_not_belong_together_then_refused(
    low_rank: Path, export_settings: Settings, tmp_path: Path
) -> None:
    config = json.loads((low_rank / "config.json").read_text())
    (low_rank / "config.json").write_text(json.dumps(config | {RANK_KEY: RANK - 2}))
    with pytest.raises(ArtifactError, match="its embedding is not of rank 4"):
        export(low_rank, export_settings, tmp_path)
