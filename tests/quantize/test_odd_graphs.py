"""Graphs that other exporters write and that the quantizers alone would break, or be broken by."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedistill.errors import ArtifactError
from edgedistill.int8_settings import PostTraining
from edgedistill.quantize import court as court_module
from edgedistill.quantize.activation_values import stream_activations
from edgedistill.quantize.candidates import Candidate, make_candidate
from edgedistill.quantize.court import Court
from edgedistill.quantize.coverage import measure_coverage
from edgedistill.quantize.judgement import Goal
from edgedistill.quantize.layers import measure_layers
from edgedistill.quantize.plain_form import plain_form
from edgedistill.quantize.rows import read_rows
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.schemes import SchemeChoice
from edgedistill.quantize.sensitivity import noise_by_node
from edgedistill.quantize.stage import STAGE, Inputs, settings_for
from edgedistill.quantize.static_quantizer import Calibration, nodes_to_quantize, quantize_statically
from edgedistill.stage import Workspace

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)

make = helper.make_node
VECTOR = {"x": (TensorProto.FLOAT, ["n", 16])}
IMAGE = {"x": (TensorProto.FLOAT, ["n", 3, 12, 12])}
PER_CHANNEL = "static_wi8_au8_per_channel"


def weight(*shape: int, seed: int = 0) -> np.ndarray:
    fan_in = shape[0] if len(shape) == 2 else np.prod(shape[1:])
    return (np.random.default_rng(seed).normal(size=shape) / np.sqrt(fan_in)).astype(np.float32)


def vectors(n: int) -> list[dict[str, np.ndarray]]:
    return [{"x": row[None]} for row in np.random.default_rng(1).normal(size=(n, 16)).astype(np.float32)]


def static(source: Path, rows, scheme: str = PER_CHANNEL, method: str = "min-max") -> Path:
    out = source.with_name(f"{scheme}.onnx")
    quantize_statically(source, out, parse_scheme(scheme), calibration=Calibration(lambda: iter(rows), method))
    return out


def error(source: Path, out: Path, rows) -> float:
    before, after = graphs.run(source, rows), graphs.run(out, rows)
    return float(np.abs(after - before).max() / np.abs(before).max())


def constant(name: str, value: np.ndarray) -> onnx.NodeProto:
    return make("Constant", [], [name], name, value=numpy_helper.from_array(value, ""))


def padded(path: Path, pad_value: onnx.NodeProto | np.ndarray) -> Path:
    """Conv, Relu, Pad, Conv, pooling, Gemm; the value of the Pad as a node or as an initialiser."""
    is_node = isinstance(pad_value, onnx.NodeProto)
    nodes = [
        *([pad_value] if is_node else []), make("Conv", ["x", "w1"], ["a"], "c1"), make("Relu", ["a"], ["b"], "relu"),
        make("Pad", ["b", "pads", "value"], ["c"], "pad"), make("Conv", ["c", "w2"], ["d"], "c2"),
        make("GlobalAveragePool", ["d"], ["e"], "pool"), make("Flatten", ["e"], ["f"], "flatten"),
        make("Gemm", ["f", "w3", "b3"], ["y"], "head"),
    ]
    constants = {"w1": weight(8, 3, 3, 3), "w2": weight(8, 8, 3, 3, seed=1), "w3": weight(8, 5, seed=2), "b3": weight(1, 5)[0],
                 "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1])} | ({} if is_node else {"value": pad_value})
    return graphs.save_graph(path, nodes, constants, inputs=IMAGE)


@pytest.mark.parametrize("value", [0.0, 0.7])
@pytest.mark.parametrize("is_node", [True, False])
def test_a_pad_with_a_constant_value_is_quantized(tmp_path: Path, value: float, is_node: bool) -> None:
    number = np.float32(value)
    source = padded(tmp_path / "m.onnx", constant("value", np.array(number)) if is_node else number)
    out = static(source, graphs.image_rows(20))
    assert error(source, out, graphs.image_rows(20, seed=3)) < 0.1
    assert "pad" in {node.name for node in nodes_to_quantize(onnx.load(source).graph)}


def test_the_rescue_ranks_the_products_alone_of_a_net_with_clips_and_sums_on_constants(tmp_path: Path) -> None:
    nodes = [
        make("Mul", ["x", "two"], ["s"], "scale"), make("Add", ["s", "mean"], ["m"], "shift"),
        make("Conv", ["m", "w1"], ["a"], "c1"), make("Clip", ["a", "low", "high"], ["b"], "relu6"),
        make("Resize", ["b", "", "scales"], ["r"], "resize", mode="nearest"), make("Conv", ["r", "w2"], ["c"], "c2"),
        make("Reshape", ["c", "shape"], ["f"], "reshape"), make("Gemm", ["f", "w3"], ["y"], "head"),
    ]
    constants = {"two": np.float32(2), "mean": weight(3, 1, 1), "w1": weight(8, 3, 3, 3), "low": np.float32(0),
                 "high": np.float32(6), "scales": np.array([1, 1, 0.5, 0.5], np.float32), "w2": weight(8, 8, 5, 5, seed=1),
                 "shape": np.array([-1, 8]), "w3": weight(8, 5, seed=2)}
    source, rows = graphs.save_graph(tmp_path / "m.onnx", nodes, constants, inputs=IMAGE), graphs.image_rows(4)
    for scheme, calibration in ((PER_CHANNEL, Calibration(lambda: iter(rows))), ("dynamic_wi8_afp32", None)):
        found = noise_by_node(source, lambda: iter(rows), parse_scheme(scheme), calibration=calibration)
        assert {item.node for item in found} == {"c1", "c2", "head"}


def test_values_of_the_graphs_own_inputs_are_streamed_as_they_are(tmp_path: Path) -> None:
    path = graphs.save_graph(tmp_path / "m.onnx", [make("Gemm", ["x", "w"], ["y"], "only")], {"w": weight(16, 3)}, inputs=VECTOR)
    rows = vectors(2)
    found = list(stream_activations(onnx.load(path), ["x"], lambda: iter(rows))())
    assert [list(row) for row in found] == [["x"], ["x"]]
    assert noise_by_node(path, lambda: iter(rows), parse_scheme("dynamic_wi8_afp32"))[0].node == "only"


def test_a_verdict_on_a_net_that_only_zeros_flow_into_can_be_written(tmp_path: Path) -> None:
    nodes = [make("MatMul", ["x", "zeros"], ["a"], "dead"), make("MatMul", ["a", "w"], ["b"], "starved"),
             make("MatMul", ["x", "v"], ["c"], "alive"), make("Add", ["b", "c"], ["y"], "sum")]
    graphs.save_graph(tmp_path / "model.onnx", nodes, {"zeros": np.zeros((16, 8), np.float32), "w": np.zeros((8, 4), np.float32),
                                                       "v": weight(16, 4, seed=3)}, inputs=VECTOR)
    verdict = hold_court(tmp_path, scheme="dynamic_wi8_afp32", min_agreement=1.1)
    assert verdict.scheme == "float"
    assert all(np.isfinite(list(verdict.noisiest_nodes.values())))


def hold_court(folder: Path, *, scheme: str, min_agreement: float = 0.9, n: int = 40):
    from edgedistill.results import QuantizationVerdict

    np.savez(folder / "rows.npz", x=np.concatenate([row["x"] for row in vectors(n)]))
    settings = settings_for(SchemeChoice((scheme,), "the test says so", ()), min_agreement=min_agreement, host_saturates=False,
                            wanted=PostTraining(timing=False, trials=1))
    done = Workspace(folder / "stages").perform("quantize", STAGE, settings, Inputs(folder, folder / "rows.npz", folder / "rows.npz"))
    return QuantizationVerdict.read_json(done.folder / "verdict.json")


def save_shared(path: Path) -> Path:
    nodes = [make("MatMul", ["x", "w"], ["a"], "l0"), make("Identity", ["w"], ["w1"], "i1"), make("Identity", ["w1"], ["w2"], "i2"),
             make("MatMul", ["a", "w1"], ["b"], "l1"), make("MatMul", ["b", "w2"], ["c"], "l2"), make("MatMul", ["c", "v"], ["y"], "head")]
    return graphs.save_graph(path, nodes, {"w": weight(16, 16), "v": weight(16, 4, seed=1)}, inputs=VECTOR)


def test_a_weight_that_layers_share_through_identities_becomes_int8_everywhere(tmp_path: Path) -> None:
    source = save_shared(tmp_path / "m.onnx")
    plain = plain_form(source, tmp_path / "plain.onnx", None)
    assert [node.op_type for node in onnx.load(plain).graph.node] == ["MatMul"] * 4
    np.testing.assert_array_equal(graphs.run(plain, vectors(3)), graphs.run(source, vectors(3)))
    make_candidate(plain, tmp_path / "q.onnx", Candidate(parse_scheme("dynamic_wi8_afp32")), calibration=None)
    assert measure_coverage(tmp_path / "q.onnx").nodes_share == 1.0


def save_stacked(path: Path) -> Path:
    nodes = [make("Reshape", ["x", "s1"], ["a"], "in"), make("MatMul", ["a", "w"], ["b"], "experts"),
             make("Reshape", ["b", "s2"], ["c"], "out"), make("MatMul", ["c", "v"], ["y"], "head")]
    constants = {"s1": np.array([-1, 4, 1, 4]), "w": weight(4, 4, 8), "s2": np.array([-1, 32]), "v": weight(32, 4, seed=1)}
    return graphs.save_graph(path, nodes, constants, inputs=VECTOR)


def test_stacked_matrices_stay_float_where_a_dynamic_scheme_has_a_scale_a_column(tmp_path: Path) -> None:
    source = save_stacked(tmp_path / "m.onnx")
    for scheme, floating in (("dynamic_wi8_afp32_per_channel", ("experts",)), ("dynamic_wi8_afp32", ())):
        make_candidate(source, tmp_path / "q.onnx", Candidate(parse_scheme(scheme)), calibration=None)
        assert measure_coverage(tmp_path / "q.onnx").float_nodes == floating
        assert error(source, tmp_path / "q.onnx", vectors(8)) < 0.1


def test_stacked_matrices_have_one_scale_in_a_static_scheme(tmp_path: Path) -> None:
    source = save_stacked(tmp_path / "m.onnx")
    out = static(source, vectors(20))
    scales = {node.input[0]: node.input[1] for node in onnx.load(out).graph.node if node.op_type == "DequantizeLinear"}
    sizes = {item.name: numpy_helper.to_array(item).size for item in onnx.load(out).graph.initializer}
    assert sizes[scales["w_quantized"]] == 1
    assert sizes[scales["v_quantized"]] == 4
    assert error(source, out, vectors(8)) < 0.1


def test_a_candidate_that_does_not_run_is_refused_and_the_court_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = graphs.save_graph(tmp_path / "m.onnx", [make("MatMul", ["x", "w"], ["y"], "only")], {"w": weight(16, 4)}, inputs=VECTOR)
    np.savez(tmp_path / "rows.npz", x=np.concatenate([row["x"] for row in vectors(8)]))

    def broken(source: Path, out: Path, candidate: Candidate, **others: object) -> None:
        model = onnx.load(source)
        if not candidate.scheme.is_per_channel:
            make_candidate(source, out, candidate, calibration=None)
            return
        model.graph.node[0].op_type = "NoSuchOperator"
        onnx.save(model, out)

    monkeypatch.setattr(court_module, "make_candidate", broken)
    court = Court(source, tmp_path, read_rows(tmp_path / "rows.npz", tmp_path, limit=8), None, Goal(0.9, 0.01, 0.5))
    refused = court.judge(Candidate(parse_scheme("dynamic_wi8_afp32_per_channel")))
    assert refused.missed[0].startswith("onnxruntime cannot run it: onnxruntime ")
    assert str(tmp_path) not in refused.missed[0].partition("does not load it")[0]
    assert (refused.evidence.agreement, refused.evidence.accuracy) == (0.0, None)
    assert court.judge(Candidate(parse_scheme("dynamic_wi8_afp32"))).keeps_the_goal


@pytest.mark.parametrize("groups", [1, 2])
def test_a_transposed_convolution_in_groups_is_quantized_per_channel(tmp_path: Path, groups: int) -> None:
    nodes = [make("Conv", ["x", "w1", "b1"], ["a"], "c1"), make("ConvTranspose", ["a", "w2", "b2"], ["b"], "up", group=groups),
             make("Relu", ["b"], ["c"], "relu"), make("GlobalAveragePool", ["c"], ["d"], "pool"),
             make("Flatten", ["d"], ["e"], "flatten"), make("Gemm", ["e", "w3"], ["y"], "head")]
    constants = {"w1": weight(8, 3, 3, 3), "b1": weight(1, 8)[0], "w2": weight(8, 16 // groups, 2, 2, seed=1),
                 "b2": weight(1, 16)[0], "w3": weight(16, 4, seed=2)}
    source = graphs.save_graph(tmp_path / "m.onnx", nodes, constants, inputs=IMAGE)
    assert error(source, static(source, graphs.image_rows(20)), graphs.image_rows(10, seed=3)) < 0.1


def test_masks_are_no_weights(tmp_path: Path) -> None:
    nodes = [make("Cast", ["mask"], ["m"], "cast", to=TensorProto.FLOAT), make("Slice", ["causal", "zero", "one"], ["s"], "slice"),
             make("Cast", ["s"], ["t"], "cast2", to=TensorProto.FLOAT), make("ReduceMax", ["m"], ["u"], "max", keepdims=0),
             make("ReduceMax", ["t"], ["v"], "max2", keepdims=0), make("MatMul", ["x", "w"], ["a"], "product"),
             make("Add", ["a", "u"], ["b"], "add"), make("Add", ["b", "v"], ["y"], "add2")]
    constants = {"mask": np.ones((16, 16), np.uint8), "causal": np.ones((64, 64), bool), "zero": np.array([0]), "one": np.array([1]),
                 "w": weight(16, 4)}
    source = graphs.save_graph(tmp_path / "m.onnx", nodes, constants, inputs=VECTOR)
    assert plain_form(source, tmp_path / "plain.onnx", None) == source  # not refused as quantized already
    make_candidate(source, tmp_path / "q.onnx", Candidate(parse_scheme("dynamic_wi8_afp32")), calibration=None)
    found = measure_coverage(tmp_path / "q.onnx")
    assert (found.weight_bytes_share, found.bytes_by_part["other"] >= 64 * 64 + 16 * 16) == (1.0, True)
    assert sum(layer.int8_bytes + layer.float_bytes for layer in measure_layers(tmp_path / "q.onnx", float_nodes=())) == 64


def test_an_8_bit_weight_that_a_product_reads_behind_a_cast_is_refused(tmp_path: Path) -> None:
    nodes = [make("Cast", ["w"], ["v"], "cast", to=TensorProto.FLOAT), make("MatMul", ["x", "v"], ["y"], "product")]
    source = graphs.save_graph(tmp_path / "m.onnx", nodes, {"w": np.ones((16, 4), np.int8)}, inputs=VECTOR)
    with pytest.raises(ArtifactError, match="quantized already: its weight w is INT8"):
        plain_form(source, tmp_path / "plain.onnx", None)


def test_an_error_of_the_plain_form_names_the_file_that_was_given(tmp_path: Path) -> None:
    nodes = [constant("w", weight(16, 16)), make("MatMul", ["x", "w"], ["a"], "same"), make("MatMul", ["a", "v"], ["y"], "same")]
    graphs.save_graph(tmp_path / "model.onnx", nodes, {"v": weight(16, 4)}, inputs=VECTOR)
    with pytest.raises(ArtifactError) as refused:
        hold_court(tmp_path, scheme="dynamic_wi8_afp32")
    assert refused.value.message.startswith(f"{tmp_path / 'model.onnx'}: onnxruntime")
    assert "candidates" not in refused.value.message
    assert "export the model anew" in (refused.value.hint or "")


def test_what_lies_behind_the_last_convolution_is_not_rounded(tmp_path: Path) -> None:
    nodes = [make("Conv", ["x", "w1"], ["a"], "c1"), make("Relu", ["a"], ["b"], "r1"), make("Conv", ["b", "w2"], ["c"], "c2"),
             make("Relu", ["c"], ["d"], "r2"), make("GlobalAveragePool", ["d"], ["e"], "pool"), make("Flatten", ["e"], ["y"], "flatten")]
    source = graphs.save_graph(tmp_path / "m.onnx", nodes, {"w1": weight(8, 3, 3, 3), "w2": weight(4, 8, 1, 1, seed=1)}, inputs=IMAGE)
    assert [node.name for node in nodes_to_quantize(onnx.load(source).graph)] == ["c1", "r1", "c2", "r2"]
    rows = graphs.image_rows(64, seed=3)
    out = static(source, rows)
    assert len(np.unique(graphs.run(out, rows))) > 200  # of 256 numbers; of 8 bits of one scale half as many
    assert measure_coverage(out).nodes_share == 1.0


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 2.0), (0.5, 1.0), (0.5, 2.0), (1.0, 0.0)])
def test_the_factors_of_a_gemm_are_in_its_weight_and_bias_before_it_is_quantized(tmp_path: Path, alpha: float, beta: float) -> None:
    nodes = [make("Gemm", ["x", "w", "b"], ["a"], "first", alpha=alpha, beta=beta, transB=1), make("Relu", ["a"], ["r"], "relu"),
             make("Gemm", ["r", "v", "b"], ["y"], "second", beta=beta)]
    constants = {"w": weight(32, 16), "b": 2 * weight(1, 32)[0], "v": weight(32, 32, seed=1)}
    source = graphs.save_graph(tmp_path / "m.onnx", nodes, constants, inputs=VECTOR)
    plain = plain_form(source, tmp_path / "plain.onnx", None)
    np.testing.assert_allclose(graphs.run(plain, vectors(4)), graphs.run(source, vectors(4)), atol=1e-5)
    assert error(source, static(plain, vectors(40)), vectors(10)) < 0.1
    make_candidate(plain, tmp_path / "q.onnx", Candidate(parse_scheme("dynamic_wi8_afp32")), calibration=None)
    assert measure_coverage(tmp_path / "q.onnx").nodes_share == 1.0
    assert error(source, tmp_path / "q.onnx", vectors(10)) < 0.1


def test_a_weight_that_two_gemms_share_keeps_its_alpha(tmp_path: Path) -> None:
    nodes = [make("Gemm", ["x", "w"], ["a"], "first", alpha=0.5), make("Gemm", ["a", "w"], ["y"], "second")]
    source = graphs.save_graph(tmp_path / "m.onnx", nodes, {"w": weight(16, 16)}, inputs=VECTOR)
    assert plain_form(source, tmp_path / "plain.onnx", None) == source
