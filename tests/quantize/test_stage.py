"""Quantization: all big weights in int8, a quarter of the bytes, and the scheme that keeps the answers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from edgedistill.benchmark.protocol import Trace
from edgedistill.errors import ArtifactError, UsageError
from edgedistill.evaluate.predictor import open_predictor, predict
from edgedistill.examples import write_examples
from edgedistill.export import stage as export
from edgedistill.host import this_host
from edgedistill.quantize import timing
from edgedistill.quantize.onnx_quantizer import quantize_weights
from edgedistill.quantize.schemes import SchemeChoice
from edgedistill.quantize.stage import STAGE, Inputs, Settings, settings_for
from edgedistill.results import QuantizationVerdict
from edgedistill.stage import Workspace
from edgedistill.tasks.text_classification.encoding import TextEncoder

FULL, REDUCED = "dynamic_wi8_afp32", "dynamic_wi8_afp32_reduced_range"
INT8 = {TensorProto.INT8, TensorProto.UINT8}


def settings(*schemes: str, min_agreement: float = 0.97, host_saturates: bool = False) -> Settings:
    choice = SchemeChoice(schemes or (FULL, REDUCED), "because the test says so")
    return settings_for(choice, min_agreement=min_agreement, host_saturates=host_saturates)


def perform(root: Path, inputs: Inputs, wanted: Settings) -> Path:
    return Workspace(root).perform("quantize", STAGE, wanted, inputs).folder


def verdict_of(folder: Path) -> QuantizationVerdict:
    return QuantizationVerdict.read_json(folder / "verdict.json")


@pytest.fixture(scope="module")
def validation(rows: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "validation.arrow"
    texts, classes = rows(60, seed=2)
    write_examples(path, [f"v{i}" for i in range(60)], texts, classes)
    return path


@pytest.fixture(scope="module")
def inputs(
    make_classifier: Callable[..., Any], write_tokenizer_files: Callable[[Path], None], validation: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Inputs:
    """A fused BERT, small but large enough that its weights are most of the file."""
    folder = tmp_path_factory.mktemp("bert")
    make_classifier("bert", hidden_size=96, intermediate_size=384, vocab_size=600, initializer_range=0.1).save_pretrained(folder / "model")
    write_tokenizer_files(folder / "model")
    done = Workspace(folder / "stages").perform(
        "export", export.STAGE, export.Settings(max_ir_version=9, max_opset=20), export.Inputs(folder / "model")
    )
    return Inputs(done.folder, validation)


@pytest.fixture(scope="module")
def quantized(inputs: Inputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return perform(tmp_path_factory.mktemp("stages"), inputs, settings())


def weights_of(path: Path) -> dict[str, onnx.TensorProto]:
    return {item.name: item for item in onnx.load(path).graph.initializer if len(item.dims) >= 2}


def test_quantize_puts_every_matrix_into_int8(quantized: Path) -> None:
    weights = weights_of(quantized / "model.onnx")
    assert sum(np.prod(item.dims) for item in weights.values()) > 250_000
    assert {item.data_type for item in weights.values()} <= INT8
    coverage = verdict_of(quantized).coverage
    assert (coverage.weight_bytes_share, coverage.nodes_share, coverage.float_nodes) == (1.0, 1.0, ())


def test_quantize_quarters_the_file(quantized: Path, inputs: Inputs) -> None:
    share = (quantized / "model.onnx").stat().st_size / (inputs.model / "model.onnx").stat().st_size
    assert 0.25 < share < 0.30


def test_quantize_counts_every_byte_of_the_weights_by_part(quantized: Path) -> None:
    parts = verdict_of(quantized).coverage.bytes_by_part
    assert parts["embedding"] >= (600 + 40 + 2) * 96
    assert parts["encoder"] >= 2 * (4 * 96 * 96 + 2 * 96 * 384) + 96 * 96
    assert parts["head"] >= 3 * 96
    assert sum(parts.values()) <= (quantized / "model.onnx").stat().st_size


def test_quantize_keeps_the_answers(quantized: Path, inputs: Inputs, rows: Callable[..., Any]) -> None:
    encoded = TextEncoder.load(quantized).encode(rows(100, seed=11)[0])
    before, after = (predict(open_predictor(folder), encoded) for folder in (inputs.model, quantized))
    assert (before.argmax(1) == after.argmax(1)).mean() >= 0.95
    assert np.abs(before - after).mean() < 0.2 * np.abs(before - before.mean(axis=0)).mean()


def test_quantize_leaves_one_model_and_the_companions(quantized: Path, inputs: Inputs) -> None:
    names = {path.name for path in quantized.iterdir()}
    assert names == {"model.onnx", "verdict.json", "config.json", "tokenizer.json", "tokenizer_config.json", "manifest.json"}
    assert (quantized / "tokenizer.json").read_bytes() == (inputs.model / "tokenizer.json").read_bytes()


def test_quantize_twice_gives_the_same_bytes(quantized: Path, inputs: Inputs, tmp_path: Path) -> None:
    again = perform(tmp_path, inputs, settings())
    assert (again / "model.onnx").read_bytes() == (quantized / "model.onnx").read_bytes()


@pytest.mark.parametrize(("scheme", "largest"), [(FULL, 127), (REDUCED, 64)])
def test_quantize_in_reduced_range_keeps_matrices_to_seven_bits(
    inputs: Inputs, tmp_path: Path, scheme: str, largest: int
) -> None:
    folder = perform(tmp_path, inputs, settings(scheme))
    assert verdict_of(folder).scheme == scheme
    multiplied = [item for item in weights_of(folder / "model.onnx").values() if item.data_type == TensorProto.INT8]
    assert len(multiplied) == 10  # of each layer: query-key-value, attention output, two feed-forward; pooler, classifier
    assert max(int(np.abs(numpy_helper.to_array(item).astype(int)).max()) for item in multiplied) == largest


def test_quantize_judges_every_scheme_and_says_why_one_was_chosen(quantized: Path) -> None:
    verdict = verdict_of(quantized)
    assert list(verdict.candidates) == [FULL, REDUCED]
    assert verdict.decision.startswith("because the test says so; it agrees")
    assert sorted(row.outcome for row in verdict.table) == ["chosen", "kept"]
    assert all(row.reason and row.kl_nats is not None and row.size_bytes for row in verdict.table)
    assert verdict.judged_rows == 60


@pytest.mark.parametrize(("slowness", "spread", "is_float"), [(1.02, 0.002, True), (1.0, 0.02, False)])
def test_quantize_ships_float_where_int8_is_slower_by_two_per_cent_and_not_for_noise(
    inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slowness: float, spread: float, is_float: bool
) -> None:
    def measure(candidates: Any, protocol: Any, *, seed: int) -> dict[str, Trace]:
        def trace(name: str) -> Trace:
            drawn = np.random.default_rng(list(name.encode())).uniform(1 - spread, 1 + spread, protocol.processes)
            p50_s = 1e-3 if name == "float" else slowness * 1e-3
            rounds = tuple((p50_s * float(share),) * 3 for share in drawn for _ in range(protocol.rounds))
            return Trace("made up", (), (), (), (), rounds, 1, 1)

        return {candidate.name: trace(candidate.name) for candidate in candidates}

    monkeypatch.setattr(timing, "measure", measure)
    folder = perform(tmp_path, inputs, settings().model_copy(update={"timed_on": this_host()}))
    verdict = verdict_of(folder)
    assert verdict.is_float is is_float
    assert ((folder / "model.onnx").read_bytes() == (inputs.model / "model.onnx").read_bytes()) is is_float
    if is_float:
        assert "ship float: what could be shipped is slower than the float model here" in verdict.decision
        assert all(row.reason.startswith("slower than float here: 0.98") for row in verdict.table)
    else:
        assert "its speed cannot be told from float's here" in verdict.decision


@pytest.fixture(scope="module")
def brittle(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """A classifier whose answers hang on weights that are multiples of 1/64.

    Word i is read as its own unit vector, so that the logits are row i of the matrix plus the bias. The reduced range has
    steps of 1/64 and keeps the rows as they are; the full range has steps of 1/127 and shifts the margin of 0.001.
    """
    folder, words = tmp_path_factory.mktemp("brittle"), 50
    first = np.arange(words) / 64
    matrix = np.stack([first, first + 10 / 64], axis=1).astype(np.float32)
    matrix[0] = (1.0, 0.0)  # the largest weight sets the scale
    constants = {
        "table": np.eye(words, dtype=np.float32), "matrix": matrix, "axis": np.array([1], np.int64),
        "bias": np.array([10 / 64 - 0.001, 0], np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["vectors"]),
        helper.make_node("ReduceSum", ["vectors", "axis"], ["sum"], keepdims=0),
        helper.make_node("MatMul", ["sum", "matrix"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes, "brittle", [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), folder / "model.onnx")
    tokenizer = Tokenizer(models.WordLevel({f"w{i}": i for i in range(words)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    texts = [f"w{i}" for i in range(words)]
    write_examples(folder / "validation.arrow", texts, texts, [0] * words)
    return Inputs(folder, folder / "validation.arrow")


def test_quantize_of_a_model_whose_answers_flip_takes_the_next_scheme(brittle: Inputs, tmp_path: Path) -> None:
    verdict = verdict_of(perform(tmp_path, brittle, settings(FULL, REDUCED)))
    assert verdict.candidates[FULL] < 0.9
    assert verdict.candidates[REDUCED] == 1.0
    assert verdict.scheme == REDUCED


def test_quantize_when_no_candidate_is_good_enough_ships_float_and_says_so(brittle: Inputs, tmp_path: Path) -> None:
    folder = perform(tmp_path, brittle, settings(FULL))
    verdict = verdict_of(folder)
    assert verdict.scheme == "float"
    assert "ship float" in verdict.decision
    assert (folder / "model.onnx").read_bytes() == (brittle.model / "model.onnx").read_bytes()
    assert {row.outcome for row in verdict.table} == {"refused"}


def test_quantize_by_a_static_scheme_without_training_rows_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs training rows") as failure:
        perform(tmp_path, inputs, settings("static_wi8_ai8"))
    assert "--data" in failure.value.hint


def test_quantize_by_a_static_scheme_calibrates_on_the_training_rows(
    inputs: Inputs, rows: Callable[..., Any], tmp_path: Path
) -> None:
    texts, classes = rows(40, seed=3)
    write_examples(tmp_path / "train.arrow", [f"t{i}" for i in range(40)], texts, classes)
    with_train = Inputs(inputs.model, inputs.validation, tmp_path / "train.arrow")
    verdict = verdict_of(perform(tmp_path / "stages", with_train, settings("static_wi8_au8_per_channel", min_agreement=0.9)))
    assert verdict.scheme == "static_wi8_au8_per_channel"
    assert (verdict.coverage.weight_bytes_share, verdict.coverage.nodes_share) == (1.0, 1.0)
    assert verdict.table[0].calibration == "min-max"


def test_quantize_on_a_host_that_saturates_says_so_of_the_full_range_only(inputs: Inputs, tmp_path: Path) -> None:
    decisions = [
        verdict_of(perform(tmp_path, inputs, settings(scheme, host_saturates=True))).decision for scheme in (FULL, REDUCED)
    ]
    assert ["saturates u8 x s8" in decision for decision in decisions] == [True, False]


@pytest.mark.parametrize("family", ["distilbert", "roberta"])
def test_quantize_of_another_family_leaves_no_float_matrix(
    model_folder: Callable[[str], Path], tmp_path: Path, validation: Path, family: str
) -> None:
    done = Workspace(tmp_path).perform(
        "export", export.STAGE, export.Settings(max_ir_version=9, max_opset=20), export.Inputs(model_folder(family))
    )
    folder = perform(tmp_path, Inputs(done.folder, validation), settings(FULL, min_agreement=0.0))
    assert verdict_of(folder).coverage.float_nodes == ()
    assert verdict_of(folder).coverage.weight_bytes_share == 1.0
    assert verdict_of(folder).candidates[FULL] >= 0.8


def test_quantize_weights_leaves_the_root_loggers_level(inputs: Inputs, tmp_path: Path) -> None:
    import logging

    before = logging.getLogger().level
    quantize_weights(inputs.model / "model.onnx", tmp_path / "q.onnx", reduced_range=False, per_channel=False)
    assert logging.getLogger().level == before


@pytest.mark.parametrize(("missing", "hint"), [("model.onnx", "export"), ("tokenizer.json", "put tokenizer.json beside the model")])
def test_quantize_of_an_incomplete_folder_is_refused(tmp_path: Path, validation: Path, missing: str, hint: str) -> None:
    (tmp_path / "model").mkdir()
    for name in {"model.onnx", "tokenizer.json"} - {missing}:
        (tmp_path / "model" / name).write_text(json.dumps({}))
    with pytest.raises(ArtifactError, match=missing) as failure:
        perform(tmp_path / "stages", Inputs(tmp_path / "model", validation), settings())
    assert hint in failure.value.hint
