"""Models built to break naive int8: each is caught, the node is named, and int8 is rescued or refused with the reason."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edgedistill.int8_settings import Quantization
from edgedistill.quantize.schemes import SchemeChoice
from edgedistill.quantize.stage import STAGE, Inputs, Settings, settings_for
from edgedistill.results import QuantizationVerdict
from edgedistill.stage import Workspace

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)

TOKENS, WIDTH, CLASSES = 400, 32, 4


def save_model(folder: Path, *, outlier: float = 0.0, huge_row: float = 1.0, weight_spread: str = "normal") -> Inputs:
    """Embedding, mean over the text, a bias (the residual's other half), a hidden layer, a matrix to the classes."""
    random = np.random.default_rng(5)
    table = random.normal(size=(TOKENS, WIDTH)).astype(np.float32)
    table[0] *= huge_row
    bias = np.zeros(WIDTH, np.float32)
    bias[3] = outlier
    hidden = (random.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH)).astype(np.float32)
    hidden[3] *= 0.0 if outlier else 1.0  # the layer has learned to ignore the outlier
    if weight_spread == "two values":
        hidden = np.where(random.random((WIDTH, WIDTH)) < 0.5, -0.2, 0.2).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"], "embedding"),
        helper.make_node("ReduceMean", ["rows"], ["mean"], "mean", axes=[1], keepdims=0),
        helper.make_node("Add", ["mean", "bias"], ["residual"], "residual"),
        helper.make_node("MatMul", ["residual", "hidden"], ["h"], "mlp_in"),
        helper.make_node("Tanh", ["h"], ["t"], "tanh"),
        helper.make_node("MatMul", ["t", "classes"], ["y"], "head"),
    ]
    constants = {"table": table, "bias": bias, "hidden": hidden,
                 "classes": random.normal(size=(WIDTH, CLASSES)).astype(np.float32)}
    graphs.save_graph(folder / "model.onnx", nodes, constants, inputs={"input_ids": (TensorProto.INT64, ["b", "s"])})
    ids = random.integers(1, TOKENS, (300, 6))
    answers = graphs.run(folder / "model.onnx", [{"input_ids": row[None]} for row in ids]).argmax(1)
    np.savez(folder / "judged.npz", input_ids=ids[:200], labels=answers[:200])
    np.savez(folder / "train.npz", input_ids=ids[200:], labels=answers[200:])
    return Inputs(folder, folder / "judged.npz", folder / "train.npz")


def settings(*schemes: str, static: tuple[str, ...] = (), target_saturates: bool = False, **wanted: object) -> Settings:
    found = settings_for(SchemeChoice(schemes, "the test says so", static), min_agreement=0.95, host_saturates=False,
                         wanted=Quantization.model_validate({"max_accuracy_loss": 0.03} | wanted))
    return found.model_copy(update={"target_saturates": target_saturates})


def verdict_of(tmp_path: Path, inputs: Inputs, wanted: Settings) -> QuantizationVerdict:
    done = Workspace(tmp_path / "stages").perform("quantize", STAGE, wanted, inputs)
    return QuantizationVerdict.read_json(done.folder / "verdict.json")


def test_a_model_that_breaks_nothing_is_quantized_as_it_is(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, save_model(tmp_path), settings("dynamic_wi8_afp32", static=("static_wi8_ai8",)))
    assert verdict.scheme == "dynamic_wi8_afp32"
    assert verdict.coverage.weight_bytes_share == 1.0
    assert {row.scheme: row.outcome for row in verdict.table} == {"dynamic_wi8_afp32": "chosen", "static_wi8_ai8": "not tried"}


@pytest.mark.parametrize("schemes", [("dynamic_wi8_afp32_per_channel",), ("static_wi8_ai8_per_channel",)])
def test_an_outlier_channel_in_a_residual_is_named_and_its_product_put_back_to_float(
    tmp_path: Path, schemes: tuple[str, ...]
) -> None:
    verdict = verdict_of(tmp_path, save_model(tmp_path, outlier=300.0), settings(*schemes, min_coverage=0.6))
    assert verdict.scheme == schemes[0]
    assert verdict.table[0].outcome == "refused"
    assert "agrees with the float model on" in verdict.table[0].reason
    chosen = next(row for row in verdict.table if row.outcome == "chosen")
    assert chosen.float_nodes == ("mlp_in",)
    assert "mlp_in stay float" in verdict.decision
    assert next(iter(verdict.noisiest_nodes)) == "mlp_in"
    assert verdict.noisiest_by == ("qdq-graph" if schemes[0].startswith("static") else "rounding")
    assert verdict.coverage.float_nodes == ("mlp_in",)
    assert verdict.coverage.weight_bytes_share > 0.7
    assert chosen.agreement >= 0.95


def test_an_outlier_channel_is_refused_where_the_floor_of_coverage_leaves_no_node_in_float(tmp_path: Path) -> None:
    inputs = save_model(tmp_path, outlier=300.0)
    verdict = verdict_of(tmp_path, inputs, settings("dynamic_wi8_afp32_per_channel", min_coverage=0.95))
    assert verdict.scheme == "float"
    assert "ship float" in verdict.decision
    assert "rounded alone, int8 leaves least of mlp_in" in verdict.decision
    assert verdict.coverage.weight_bytes_share == 0.0
    shipped = next((tmp_path / "stages").glob("quantize/*/model.onnx"))
    assert shipped.read_bytes() == (inputs.model / "model.onnx").read_bytes()


@pytest.mark.parametrize("scheme", ["dynamic_wi8_afp32_per_channel", "static_wi8_au8_per_channel"])
def test_an_embedding_with_one_huge_row_gets_a_scale_a_row(tmp_path: Path, scheme: str) -> None:
    verdict = verdict_of(tmp_path, save_model(tmp_path, huge_row=2000.0), settings(scheme))
    assert next(iter(verdict.noisiest_nodes)) == "embedding"
    assert verdict.table[0].outcome == "refused"
    assert "a scale for each row of embedding" in verdict.decision
    assert verdict.scheme == scheme
    assert (verdict.coverage.weight_bytes_share, verdict.coverage.nodes_share) == (1.0, 1.0)
    assert next(row for row in verdict.table if row.outcome == "chosen").agreement >= 0.95


def test_weights_that_saturate_without_vnni_are_named_and_rescued_by_seven_bits(tmp_path: Path) -> None:
    inputs = save_model(tmp_path, weight_spread="two values")
    verdict = verdict_of(tmp_path, inputs, settings("dynamic_wi8_afp32", target_saturates=True))
    assert verdict.table[0].outcome == "refused"
    assert "can saturate on the target in mlp_in" in verdict.table[0].reason
    assert verdict.scheme == "dynamic_wi8_afp32_reduced_range"


@pytest.mark.parametrize("scheme", ["static_wi8_au8", "static_wi8_ai8"])
def test_weights_that_saturate_are_refused_where_nothing_may_be_tried_instead(tmp_path: Path, scheme: str) -> None:
    inputs = save_model(tmp_path, weight_spread="two values")
    verdict = verdict_of(tmp_path, inputs, settings(scheme, target_saturates=True, trials=0))
    assert verdict.scheme == "float"
    assert "can saturate on the target in mlp_in" in verdict.decision


def test_weights_that_saturate_are_no_matter_where_the_target_sums_in_32_bits(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, save_model(tmp_path, weight_spread="two values"), settings("dynamic_wi8_afp32"))
    assert verdict.scheme == "dynamic_wi8_afp32"
