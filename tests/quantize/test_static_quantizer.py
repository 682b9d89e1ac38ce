"""Static int8: what becomes int8, what stays float, and that onnxruntime really multiplies integers."""

import importlib.util
import platform
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgedistill.errors import ArtifactError
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.static_quantizer import Calibration, quantize_statically

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)

TEXT, IMAGE = graphs.attention_rows(40), graphs.image_rows(40)
ON_X86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="onnxruntime fuses u8 x s8 products on x86-64")


def quantized(source: Path, scheme: str, rows, method: str = "min-max", excluded=()) -> Path:
    out = source.with_name(f"{scheme}.onnx")
    quantize_statically(source, out, parse_scheme(scheme), calibration=Calibration(lambda: iter(rows), method), excluded=excluded)
    return out


def relative_error(source: Path, out: Path, rows) -> float:
    before, after = graphs.run(source, rows), graphs.run(out, rows)
    return float(np.abs(after - before).mean() / np.abs(before - before.mean(axis=0)).mean())


@pytest.mark.parametrize("scheme", ["static_wi8_ai8", "static_wi8_au8_per_channel", "static_wu8_au8", "static_wi8_au8_reduced_range"])
@pytest.mark.parametrize("method", ["min-max", "percentile", "entropy"])
def test_a_text_model_keeps_its_answers(tmp_path: Path, scheme: str, method: str) -> None:
    source = graphs.save_attention(tmp_path / "m.onnx")
    assert relative_error(source, quantized(source, scheme, TEXT, method), graphs.attention_rows(30, seed=9)) < 0.1


@pytest.mark.parametrize("scheme", ["static_wi8_ai8_per_channel", "static_wi8_au8", "static_wu8_au8"])
def test_a_cnn_keeps_its_answers(tmp_path: Path, scheme: str) -> None:
    source = graphs.save_cnn(tmp_path / "m.onnx")
    assert relative_error(source, quantized(source, scheme, IMAGE), graphs.image_rows(20, seed=9)) < 0.2


@pytest.mark.parametrize("save", ["save_attention", "save_cnn"])
def test_every_weight_is_8_bits_wide(tmp_path: Path, save: str) -> None:
    source = getattr(graphs, save)(tmp_path / "m.onnx")
    out = quantized(source, "static_wi8_ai8", TEXT if save == "save_attention" else IMAGE)
    kinds = {i.name: i.data_type for i in onnx.load(out).graph.initializer if len(i.dims) >= 2}
    assert set(kinds.values()) <= {TensorProto.INT8, TensorProto.UINT8}
    assert len(kinds) == 4


@ON_X86
def test_onnxruntime_multiplies_integers_in_a_text_model(tmp_path: Path) -> None:
    for scheme in ("static_wi8_ai8", "static_wi8_au8_per_channel"):
        run = Counter(graphs.runtime_operators(quantized(graphs.save_attention(tmp_path / "m.onnx"), scheme, TEXT), tmp_path))
        assert (run["MatMul"], run["Gemm"], run["MatMulIntegerToFloat"], run["QGemm"]) == (0, 0, 2, 1)


@ON_X86
def test_onnxruntime_convolves_integers_in_a_cnn(tmp_path: Path) -> None:
    run = Counter(graphs.runtime_operators(quantized(graphs.save_cnn(tmp_path / "m.onnx"), "static_wi8_au8_per_channel", IMAGE), tmp_path))
    assert (run["Conv"], run["QLinearConv"], run["QGemm"], run["QLinearAdd"]) == (0, 3, 1, 1)


def test_the_residual_and_the_logits_of_a_text_model_are_not_rounded(tmp_path: Path) -> None:
    graph = onnx.load(quantized(graphs.save_attention(tmp_path / "m.onnx"), "static_wi8_ai8", TEXT)).graph
    makers = {output: node.op_type for node in graph.node for output in node.output}
    residual = next(node for node in graph.node if node.name == "residual")
    assert makers[residual.input[0]] == "MatMul"
    assert makers["y"] == "Gemm"
    assert [node.op_type for node in graph.node].count("QuantizeLinear") == 3  # the inputs of the three products


def test_an_excluded_node_stays_float_by_the_name_of_the_fused_node(tmp_path: Path) -> None:
    source = graphs.save_attention(tmp_path / "m.onnx")
    kinds = {i.name: i.data_type for i in onnx.load(quantized(source, "static_wi8_ai8", TEXT, excluded=["attention", "embedding"])).graph.initializer}
    assert (kinds["encoder.qkv"], kinds["embedding.table"]) == (TensorProto.FLOAT, TensorProto.FLOAT)
    assert kinds["encoder.out_quantized"] == TensorProto.INT8


def test_a_reduced_range_keeps_to_seven_bits_and_a_channel_has_its_own_scale(tmp_path: Path) -> None:
    source = graphs.save_attention(tmp_path / "m.onnx")
    out = quantized(source, "static_wi8_au8_per_channel_reduced_range", TEXT)
    graph = onnx.load(out).graph
    values = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    restored = [node for node in graph.node if node.op_type == "DequantizeLinear"]
    scales = {node.input[0]: values[node.input[1]] for node in restored if node.input[1] in values}
    assert np.abs(values["encoder.qkv_quantized"].astype(int)).max() <= 64
    assert scales["encoder.qkv_quantized"].shape == (96,)
    assert scales["classifier.weight_quantized"].shape == (5,)


def test_quantizing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    source = graphs.save_attention(tmp_path / "m.onnx")
    first = quantized(source, "static_wi8_ai8", TEXT, "entropy").read_bytes()
    assert quantized(source, "static_wi8_ai8", TEXT, "entropy").read_bytes() == first


def test_the_versions_of_the_float_file_stay(tmp_path: Path) -> None:
    source = graphs.save_attention(tmp_path / "m.onnx")
    before, after = onnx.load(source), onnx.load(quantized(source, "static_wi8_ai8", TEXT))
    assert after.ir_version == before.ir_version
    assert {(o.domain, o.version) for o in after.opset_import} == {(o.domain, o.version) for o in before.opset_import}


def test_a_model_of_an_old_opset_is_brought_to_the_first_that_has_axes(tmp_path: Path) -> None:
    source = graphs.save_cnn(tmp_path / "m.onnx", has_norms=False)
    model = onnx.load(source)
    model.opset_import[0].version = 11
    onnx.save(model, source)
    out = quantized(source, "static_wi8_au8_per_channel", IMAGE)
    assert onnx.load(out).opset_import[0].version == 13
    assert relative_error(source, out, IMAGE[:10]) < 0.2


def test_a_value_that_is_a_number_in_no_row_is_refused_by_its_name(tmp_path: Path) -> None:
    rows = [{"x": np.full((1, 3, 12, 12), np.nan, np.float32)}]
    with pytest.raises(ArtifactError, match="the value x of the model is no finite number") as refused:
        quantized(graphs.save_cnn(tmp_path / "m.onnx"), "static_wi8_ai8", rows)
    assert "--scheme dynamic" in refused.value.hint


def test_a_single_infinite_value_in_the_calibration_rows_changes_nothing(tmp_path: Path) -> None:
    source = graphs.save_cnn(tmp_path / "m.onnx", has_norms=False)
    broken = {"x": IMAGE[0]["x"].copy()}
    broken["x"][0, 0, 0, 0] = np.inf
    assert relative_error(source, quantized(source, "static_wi8_ai8", [*IMAGE, broken]), graphs.image_rows(30, seed=9)) < 0.2
