"""A classifier whose logits can be added up by hand: the sum of one row of a table per word."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from edgedistill.evaluate import stage
from edgedistill.examples import write_examples
from edgedistill.results import Labels

LABELS = ("light", "music", "weather")
TABLE = {
    "[PAD]": (0, 0, 0), "[UNK]": (0, 0, 0), "lamp": (2, 0, 0), "song": (0, 2, 0), "rain": (0, 0, 2), "the": (0, 0, 0)
}
TEXTS = ("the lamp", "lamp lamp", "song", "the song", "rain", "the rain lamp rain", "song the", "lamp")
TRUTH = (0, 0, 1, 1, 2, 2, 2, 1)  # the last two are answered wrongly, as "music" and as "light"


def write_tiny(folder: Path, *, table: np.ndarray | None = None, names: tuple[str, ...] = LABELS) -> Path:
    folder.mkdir()
    weights = np.array(list(TABLE.values()), np.float32) if table is None else table.astype(np.float32)
    onnx.save(tiny_graph(weights), folder / "model.onnx")
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(TABLE)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(8)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"id2label": dict(enumerate(names))}))
    return folder


def tiny_graph(weights: np.ndarray) -> onnx.ModelProto:
    classes = weights.shape[1]
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["words"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["words", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "length"], ["sum"], keepdims=0),
        helper.make_node("MatMul", ["sum", "head"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
    ]
    constants = {
        "table": weights, "head": np.eye(classes, dtype=np.float32), "bias": np.zeros(classes, np.float32),
        "last": np.array([-1], np.int64), "length": np.array([1], np.int64),
    }
    shape = ["batch", "length"]
    graph = helper.make_graph(
        nodes, "tiny",
        [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


@pytest.fixture
def place(tmp_path):
    """A tiny model, its labels, eight labelled rows, and an empty folder for the result."""
    data, labels, out = tmp_path / "test.arrow", tmp_path / "labels.json", tmp_path / "out"
    write_examples(data, [f"t-{i}" for i in range(len(TEXTS))], TEXTS, TRUTH)
    labels.write_text(Labels(labels=LABELS).to_json())
    out.mkdir()
    inputs = stage.Inputs(model=write_tiny(tmp_path / "model"), data=data, labels=labels, teacher_logits=None)
    settings = stage.Settings(variant="student_onnx", split="test", task="text-classification", batch_size=4, seed=7)
    return SimpleNamespace(
        folder=tmp_path, inputs=inputs, settings=settings, out=out, write_tiny=write_tiny, texts=TEXTS, truth=TRUTH
    )
