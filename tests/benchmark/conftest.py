"""Tiny real models: an embedding, a masked mean, a linear head; and a tokenizer of a few words."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from edgedistill.host import this_host
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.results import Measurement, Variant

WORDS = ("[PAD]", "[UNK]", "turn", "the", "lights", "off", "on", "please")
SHORT = BenchmarkProtocol(warmup_runs=2, min_runs=21, min_duration_s=0.001, rounds=2)


@pytest.fixture
def short_protocol() -> BenchmarkProtocol:
    return SHORT


@pytest.fixture
def make_model_folder(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        onnx.save(_graph(), folder / "model.onnx")
        tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = Whitespace()
        tokenizer.save(str(folder / "tokenizer.json"))
        return folder

    return make


@pytest.fixture
def input_file(tmp_path: Path) -> Path:
    """Three rows of four tokens."""
    path = tmp_path / "inputs.npz"
    ids = np.array([[2, 3, 4, 5], [2, 3, 4, 6], [7, 2, 3, 4]], np.int64)
    np.savez(path, input_ids=ids, attention_mask=np.ones_like(ids), token_type_ids=np.zeros_like(ids))
    return path


def _graph() -> onnx.ModelProto:
    random = np.random.default_rng(0)
    shape = ["batch", "length"]
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["embedding", "input_ids"], ["words"]),
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "last_axis"], ["mask3"]),
            helper.make_node("Mul", ["words", "mask3"], ["kept"]),
            helper.make_node("ReduceMean", ["kept", "length_axis"], ["mean"], keepdims=0),
            helper.make_node("Gemm", ["mean", "weight", "bias"], ["logits"]),
        ],
        "tiny",
        [helper.make_tensor_value_info(n, TensorProto.INT64, shape) for n in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [
            numpy_helper.from_array(random.normal(size=(len(WORDS), 4)).astype(np.float32), "embedding"),
            numpy_helper.from_array(random.normal(size=(4, 3)).astype(np.float32), "weight"),
            numpy_helper.from_array(np.zeros(3, np.float32), "bias"),
            numpy_helper.from_array(np.array([2], np.int64), "last_axis"),
            numpy_helper.from_array(np.array([1], np.int64), "length_axis"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture
def make_measurement() -> Callable[..., Measurement]:
    """A function that makes a measurement of some rounds."""

    def make(rounds: list[list[float]], *, variant: Variant = "student_int8", processes: int = 1) -> Measurement:
        protocol = BenchmarkProtocol(rounds=len(rounds) // processes, processes=processes)
        return Measurement(
            variant=variant, model_sha256="0", host=this_host(), runtime="onnxruntime 1", protocol=protocol, sequence_tokens=4,
            rounds_s=tuple(map(tuple, rounds)), warmup_s=(), load_s=1, first_run_s=1, peak_rss_bytes=2, baseline_rss_bytes=1,
            is_noisy=False,
        )

    return make
