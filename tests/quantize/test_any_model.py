"""`quantize` on ONNX files of other makers: each becomes int8 that is judged rightly, or one clear error."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, version_converter

import edgedistill
from edgedistill.cli.app import run_command_line
from edgedistill.errors import ArtifactError, DataError, EdgedistillError, RecipeError, UsageError
from edgedistill.int8_settings import PostTraining
from edgedistill.quantize.plain_form import is_dynamic, plain_form
from edgedistill.results import QuantizationVerdict
from edgedistill.user_paths import open_calibration

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)

FLOAT = TensorProto.FLOAT
INPUT = {"x": (FLOAT, ["n", 16])}
DYNAMIC, STATIC, WEIGHTS = "dynamic_wi8_afp32", "static_wi8_ai8", "weight_only_wi8_afp32_per_channel"


def weight(*shape: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)


def make(
    nodes: list[onnx.NodeProto], constants: Mapping[str, np.ndarray], *, inputs: Mapping[str, tuple] = INPUT,
    outputs: Mapping[str, int] = {"y": FLOAT}, opset: int = 17, ir_version: int = 8,  # noqa: B006
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, ir_version=ir_version, opset_imports=[helper.make_opsetid("", opset)])


def perceptron(*, inputs: Mapping[str, tuple] = INPUT, opset: int = 17, ir_version: int = 8) -> onnx.ModelProto:
    nodes = [helper.make_node("MatMul", ["x", "w1"], ["a"], "hidden"), helper.make_node("Relu", ["a"], ["b"], "relu"),
             helper.make_node("MatMul", ["b", "w2"], ["y"], "head")]
    return make(nodes, {"w1": weight(16, 64), "w2": weight(64, 4, seed=1)}, inputs=inputs, opset=opset, ir_version=ir_version)


def pixels(rows: int = 120) -> np.ndarray:
    return np.random.default_rng(7).normal(size=(rows, 16)).astype(np.float32)


def answer(path: Path, x: np.ndarray, output: int = 0) -> np.ndarray:
    return graphs.run(path, [{"x": x}]) if output == 0 else graphs.onnxruntime.InferenceSession(str(path)).run(None, {"x": x})[output]


def quantize(
    tmp_path: Path, model: onnx.ModelProto | Path, *, target: str = "raspberry-pi", scheme: str = DYNAMIC,
    arrays: Mapping[str, np.ndarray] | None = None, **wanted: object,
) -> QuantizationVerdict:
    path = tmp_path / "mine.onnx" if isinstance(model, onnx.ModelProto) else model
    if isinstance(model, onnx.ModelProto):
        onnx.save(model, path)
    np.savez(tmp_path / "rows.npz", **(arrays or {"x": pixels()}))
    settings = PostTraining.model_validate({"scheme": scheme, "timing": False, "trials": 0} | wanted)
    return edgedistill.quantize(path, tmp_path / "rows.npz", tmp_path / "int8", target=edgedistill.load_target(target), wanted=settings)


def made(tmp_path: Path) -> onnx.ModelProto:
    return onnx.load(tmp_path / "int8" / "model.onnx")


# what a model is


def test_is_dynamic_of_what_a_dynamic_and_a_static_scheme_make(tmp_path: Path) -> None:
    onnx.save(perceptron(), tmp_path / "float.onnx")
    assert not is_dynamic(tmp_path / "float.onnx")
    for scheme in (DYNAMIC, STATIC):
        quantize(tmp_path, perceptron(), scheme=scheme)
        assert is_dynamic(tmp_path / "int8" / "model.onnx") == (scheme == DYNAMIC)


# what a model answers


def broken(*, columns: int, extra: tuple[onnx.NodeProto, ...] = (), outputs: Mapping[str, int] = {"y": FLOAT}) -> onnx.ModelProto:  # noqa: B006
    """A head behind an outlier that a scale for all channels drowns everything else in."""
    outlier, head = np.zeros(16, np.float32), weight(16, 1, seed=3)
    outlier[3], head[3] = 3000.0, 0.0
    matrix = head if columns == 1 else np.concatenate([head, -head], axis=1)
    nodes = [helper.make_node("Add", ["x", "outlier"], ["r"], "residual"), helper.make_node("MatMul", ["r", "w"], ["z"], "head"), *extra]
    return make(nodes, {"w": matrix, "outlier": outlier}, outputs=outputs)


IDENTITY = (helper.make_node("Identity", ["z"], ["y"], "out"),)
SIGMOID = (helper.make_node("Sigmoid", ["z"], ["s"], "sigmoid"), helper.make_node("Squeeze", ["s"], ["y"], "out"))
BOTH = (helper.make_node("Identity", ["z"], ["y"], "out"), helper.make_node("Sigmoid", ["z"], ["p"], "sigmoid"))
LABEL_FIRST = (helper.make_node("ArgMax", ["z"], ["label"], "argmax", axis=1, keepdims=0), helper.make_node("Identity", ["z"], ["y"], "out"))


@pytest.mark.parametrize(("columns", "extra", "outputs", "is_labelled"), [
    (1, IDENTITY, {"y": FLOAT}, True),
    (1, SIGMOID, {"y": FLOAT}, False),
    (1, SIGMOID, {"y": FLOAT}, True),
    (1, BOTH, {"y": FLOAT, "p": FLOAT}, False),
    (1, BOTH, {"y": FLOAT, "p": FLOAT}, True),
    (2, LABEL_FIRST, {"label": TensorProto.INT64, "y": FLOAT}, False),
], ids=["one logit with labels", "sigmoid without labels", "sigmoid with labels", "logit and its sigmoid without labels",
        "logit and its sigmoid with labels", "label before scores"])
def test_int8_that_decides_otherwise_is_never_certified(
    tmp_path: Path, columns: int, extra: tuple, outputs: Mapping[str, int], is_labelled: bool
) -> None:
    model = broken(columns=columns, extra=extra, outputs=outputs)
    onnx.save(model, tmp_path / "mine.onnx")
    rows = pixels()
    z = rows @ numpy_helper.to_array(model.graph.initializer[0])[:, 0]
    arrays = {"x": rows} | ({"labels": (z > 0).astype(int)} if is_labelled else {})
    verdict = quantize(tmp_path, tmp_path / "mine.onnx", scheme=STATIC, arrays=arrays)
    assert verdict.scheme == "float"
    assert verdict.table[0].agreement < 0.8
    assert verdict.table[0].kl_nats > 0.01
    if is_labelled:
        assert verdict.float_accuracy == 1.0


def test_a_binary_head_that_int8_keeps_is_quantized_and_its_decisions_are_compared(tmp_path: Path) -> None:
    model = make([helper.make_node("MatMul", ["x", "w1"], ["a"]), helper.make_node("Tanh", ["a"], ["b"]),
                  helper.make_node("MatMul", ["b", "w2"], ["z"]), helper.make_node("Sigmoid", ["z"], ["y"])],
                 {"w1": weight(16, 64), "w2": weight(64, 1, seed=1)})
    verdict = quantize(tmp_path, model, scheme=DYNAMIC, min_coverage=0.5)
    rows = pixels()
    before, after = answer(tmp_path / "mine.onnx", rows), answer(tmp_path / "int8" / "model.onnx", rows)
    assert verdict.scheme == DYNAMIC
    assert verdict.table[0].agreement >= 0.95
    assert verdict.table[0].kl_nats > 0
    assert np.mean((before > 0.5) == (after > 0.5)) >= 0.95


@pytest.mark.parametrize(("arrays", "hint"), [({}, "Sigmoid"), ({"labels": np.arange(120) % 3}, "labels of 0 and 1")])
def test_a_regression_is_refused(tmp_path: Path, arrays: Mapping[str, np.ndarray], hint: str) -> None:
    with pytest.raises(ArtifactError, match="one number a row") as failure:
        quantize(tmp_path, broken(columns=1, extra=IDENTITY), arrays={"x": pixels(), **arrays})
    assert hint in failure.value.hint


def test_a_model_that_answers_for_each_place_of_a_picture_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], "conv")]
    model = make(nodes, {"w": weight(36, 3).T.reshape(3, 4, 3, 3).copy()}, inputs={"x": (FLOAT, ["n", 4, 8, 8])})
    pictures = np.random.default_rng(2).normal(size=(20, 4, 8, 8)).astype(np.float32)
    with pytest.raises(ArtifactError, match="answers a row with the shape 1 x 3 x 6 x 6") as failure:
        quantize(tmp_path, model, arrays={"x": pictures})
    assert "(n, classes) or (n, tokens, classes)" in failure.value.hint


def test_a_model_that_puts_out_labels_alone_is_refused(tmp_path: Path) -> None:
    model = broken(columns=2, extra=LABEL_FIRST[:1], outputs={"label": TensorProto.INT64})
    with pytest.raises(ArtifactError, match="no scores of classes") as failure:
        quantize(tmp_path, model)
    assert "zipmap" in failure.value.hint


def test_probabilities_diverge_as_probabilities(tmp_path: Path) -> None:
    model = perceptron()
    quantize(tmp_path, model)
    plain = edgedistill.results.QuantizationVerdict.read_json(tmp_path / "int8" / "verdict.json").table[0]
    model.graph.node[-1].output[0] = "z"
    model.graph.node.append(helper.make_node("Softmax", ["z"], ["y"], "softmax", axis=1))
    found = quantize(tmp_path, model).table[0]
    assert found.kl_nats == pytest.approx(plain.kl_nats, rel=0.01)


# files beside the model


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A model with its weights in another file, named otherwise."""
    outlier = np.zeros(16, np.float32)
    outlier[3] = 3000.0
    first = weight(16, 64)
    first[3] = 0
    model = make([helper.make_node("Add", ["x", "outlier"], ["r"], "residual"), helper.make_node("MatMul", ["r", "w1"], ["a"], "hidden"),
                  helper.make_node("MatMul", ["a", "w2"], ["y"], "head")], {"w1": first, "w2": weight(64, 4, seed=1), "outlier": outlier})
    onnx.save(model, tmp_path / "mine.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    return tmp_path / "mine.onnx"


@pytest.mark.parametrize("as_folder", [False, True])
def test_ship_float_of_weights_in_another_file_writes_one_whole_file(outside: Path, tmp_path: Path, as_folder: bool) -> None:
    before = answer(outside, pixels())
    if as_folder:
        (tmp_path / "folder").mkdir()
        outside = outside.rename(tmp_path / "folder" / "model.onnx")
        (tmp_path / "weights.bin").rename(tmp_path / "folder" / "weights.bin")
    verdict = quantize(tmp_path, outside.parent if as_folder else outside, scheme=STATIC)
    assert verdict.scheme == "float"
    assert sorted(path.name for path in (tmp_path / "int8").iterdir()) == ["manifest.json", "model.onnx", "model.ort", "verdict.json"]
    assert answer(tmp_path / "int8" / "model.onnx", pixels()) == pytest.approx(before)
    assert verdict.float_size_bytes >= 4 * (16 * 64 + 64 * 4)


def test_weights_that_are_not_there_are_named(outside: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ArtifactError, match=r"weights\.bin, which is not there"):
        quantize(tmp_path, outside)


def test_a_model_over_two_gibibytes_is_refused(outside: Path, tmp_path: Path) -> None:
    with (tmp_path / "weights.bin").open("r+b") as stream:
        stream.truncate(2**31)
    with pytest.raises(ArtifactError, match="2 GiB at most"):
        plain_form(outside, tmp_path / "out.onnx", None)


# versions


@pytest.mark.parametrize("scheme", [DYNAMIC, STATIC, WEIGHTS])
@pytest.mark.parametrize(("opset", "ir_version"), [(26, 13), (21, 10), (11, 6), (9, 3), (17, 8)])
def test_versions_are_those_that_the_targets_runtime_reads(tmp_path: Path, scheme: str, opset: int, ir_version: int) -> None:
    model = perceptron(opset=opset, ir_version=ir_version)
    if ir_version < 4:
        model.graph.input.extend(helper.make_tensor_value_info(item.name, FLOAT, item.dims) for item in model.graph.initializer)
    verdict = quantize(tmp_path, model, scheme=scheme)
    found = made(tmp_path)
    assert verdict.scheme == scheme
    assert verdict.coverage.weight_bytes_share == 1.0
    assert found.ir_version <= 9
    assert 13 <= next(item.version for item in found.opset_import if item.domain == "") <= 20
    before, after = answer(tmp_path / "mine.onnx", pixels()), answer(tmp_path / "int8" / "model.onnx", pixels())
    assert np.mean(before.argmax(1) == after.argmax(1)) > 0.9


def test_an_opset_that_cannot_be_converted_is_refused_with_the_opset_to_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("No Adapter From Version 21 for Thing")

    monkeypatch.setattr(version_converter, "convert_version", fail)
    with pytest.raises(ArtifactError, match=r"opset 23, the target's runtime reads 20 at most.*No Adapter") as failure:
        quantize(tmp_path, perceptron(opset=23, ir_version=11))
    assert "opset 20" in failure.value.hint


def test_a_conversion_that_changes_answers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = version_converter.convert_version

    def spoil(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
        found = real(model, opset)
        found.graph.node[1].op_type = "Neg"
        return found

    monkeypatch.setattr(version_converter, "convert_version", spoil)
    with pytest.raises(ArtifactError, match="answers otherwise"):
        quantize(tmp_path, perceptron(opset=21, ir_version=8))


# forms of graphs


def as_constant_nodes(model: onnx.ModelProto) -> onnx.ModelProto:
    for item in list(model.graph.initializer):
        model.graph.node.insert(0, helper.make_node("Constant", [], [item.name], value=item))
    del model.graph.initializer[:]
    return model


def with_branch() -> onnx.ModelProto:
    """An If whose branches read values and weights of the outer graph: one that nothing else reads, one that becomes int8."""
    def branch(name: str, operator: str) -> onnx.GraphProto:
        out, inside = f"{name}_out", f"{name}_product"
        nodes = [helper.make_node("MatMul", ["x", "w1"], [inside]), helper.make_node("Add", [inside, "shift"], [f"{name}_moved"]),
                 helper.make_node(operator, ["b", f"{name}_moved"], [out])]
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(out, FLOAT, None)])

    model = perceptron()
    nodes = list(model.graph.node)
    flag = [helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0), helper.make_node("Greater", ["sum", "zero"], ["flag"])]
    choice = helper.make_node("If", ["flag"], ["c"], "if", then_branch=branch("then", "Add"), else_branch=branch("else", "Sub"))
    nodes[2].input[0] = "c"
    return make([*nodes[:2], *flag, choice, nodes[2]], {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
                | {"shift": weight(1, 64, seed=4), "zero": np.float32(0)})


def with_vector() -> onnx.ModelProto:
    """A product with a vector beside one with a matrix."""
    model = perceptron()
    return make([*model.graph.node[:2], helper.make_node("MatMul", ["b", "v"], ["s"], "vector"),
                 helper.make_node("Unsqueeze", ["s", "one"], ["u"], "unsqueeze"), helper.make_node("MatMul", ["b", "w2"], ["z"], "head"),
                 helper.make_node("Add", ["z", "u"], ["y"], "sum")],
                {item.name: numpy_helper.to_array(item) for item in model.graph.initializer} | {"v": weight(64), "one": np.array([1])})


@pytest.mark.parametrize("scheme", [DYNAMIC, STATIC, WEIGHTS])
@pytest.mark.parametrize("build", [lambda: as_constant_nodes(perceptron()), with_branch, with_vector],
                         ids=["constant nodes", "a branch reads outer weights", "a constant vector"])
def test_graphs_of_any_form_become_int8(tmp_path: Path, build: Callable[[], onnx.ModelProto], scheme: str) -> None:
    verdict = quantize(tmp_path, build(), scheme=scheme, min_coverage=0.2)
    assert verdict.scheme == scheme, verdict.decision
    assert verdict.coverage.weight_bytes_share > 0.2
    before, after = answer(tmp_path / "mine.onnx", pixels(1)), answer(tmp_path / "int8" / "model.onnx", pixels(1))
    assert after == pytest.approx(before, abs=0.2)


def half(model: onnx.ModelProto) -> onnx.ModelProto:
    for item in model.graph.initializer:
        item.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(item).astype(np.float16), item.name))
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.elem_type = TensorProto.FLOAT16
    return model


def with_eight_bits() -> onnx.ModelProto:
    nodes = [helper.make_node("Cast", ["q"], ["w"], to=FLOAT), helper.make_node("MatMul", ["x", "w"], ["y"])]
    return make(nodes, {"q": np.ones((16, 4), np.int8)})


def with_pairs() -> onnx.ModelProto:
    nodes = [helper.make_node("QuantizeLinear", ["x", "s"], ["q"]), helper.make_node("DequantizeLinear", ["q", "s"], ["d"]),
             helper.make_node("MatMul", ["d", "w"], ["y"])]
    return make(nodes, {"s": np.float32(0.1), "w": weight(16, 4)})


@pytest.mark.parametrize(("build", "message", "hint"), [
    (lambda: make([helper.make_node("Relu", ["x"], ["y"])], {}), "no constant float32 weight", "with its weights"),
    (lambda: half(perceptron()), "w1 is FLOAT16", "float32"),
    (with_eight_bits, "quantized already: its weight q is INT8", "float32 model"),
    (with_pairs, "quantized already: it has DequantizeLinear, QuantizeLinear", "float32 model"),
    (onnx.ModelProto, r"mine\.onnx.*: is not an ONNX model", ".onnx file"),
    (lambda: make([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.full((16, 4), np.nan, np.float32)}),
     r"mine\.onnx.*64 of the 64 numbers in w are nan or infinite", "train"),
], ids=["no weights", "half precision", "8-bit weights", "QDQ pairs", "empty file", "weights that are no numbers"])
def test_what_cannot_become_int8_is_refused(
    tmp_path: Path, build: Callable[[], onnx.ModelProto], message: str, hint: str
) -> None:
    with pytest.raises(ArtifactError, match=message) as failure:
        quantize(tmp_path, build())
    assert hint in failure.value.hint
    assert not (tmp_path / "int8").exists()


@pytest.mark.parametrize("scheme", [DYNAMIC, STATIC, WEIGHTS])
def test_what_quantize_wrote_is_not_quantized_again(tmp_path: Path, scheme: str) -> None:
    quantize(tmp_path, perceptron(), scheme=scheme)
    with pytest.raises(ArtifactError, match="quantized already"):
        quantize(tmp_path, (tmp_path / "int8" / "model.onnx").rename(tmp_path / "again.onnx"))


def test_an_ort_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.ort").write_bytes(b"ORTM")
    with pytest.raises(ArtifactError, match=r"m\.ort: is no \.onnx file"):
        quantize(tmp_path, tmp_path / "m.ort")


# rows


@pytest.mark.parametrize(("inputs", "arrays"), [
    (INPUT, {"x": pixels().astype(np.float64)}),
    (INPUT, {"x": (100 * pixels()).astype(np.int64)}),
    (INPUT, {"x": pixels(), "labels": np.full(120, -1)}),
    (INPUT, {"x": np.asfortranarray(pixels())}),
    ({"x": (FLOAT, [1, 16])}, {"x": pixels()}),
], ids=["float64", "integers", "no row is labelled", "Fortran's order", "a batch of 1"])
def test_rows_of_other_types_are_taken(tmp_path: Path, inputs: Mapping[str, tuple], arrays: Mapping[str, np.ndarray]) -> None:
    verdict = quantize(tmp_path, perceptron(inputs=inputs), arrays=arrays)
    assert verdict.scheme == DYNAMIC
    assert verdict.float_accuracy is None


@pytest.mark.parametrize(("inputs", "arrays", "message", "hint"), [
    (INPUT, {"x": pixels()[:, :12]}, "a row of x has the shape 1 x 12, the model takes any x 16", "shape"),
    (INPUT, {"x": pixels()[:, 0]}, "the shape 1, the model takes any x 16", "shape"),
    ({"x": (FLOAT, [8, 16])}, {"x": pixels()}, "the shape 1 x 16, the model takes 8 x 16", "batch of 1"),
    ({"x": (FLOAT, ["n", "any"])}, {"x": pixels()[:, :12]}, "does not answer x float32", "give rows as the model takes them"),
    (INPUT, {"x": pixels().astype(str)}, "x is <U.*, the model takes float32", "store it as float32"),
    (INPUT, {"x": pixels(), "labels": 10 + np.arange(120) % 4}, "the label 1. is no class; the model has 4", "from 0 to 3"),
    (INPUT, {"x": pixels(), "labels": -2 - np.arange(120) % 4}, "the label -. is no class", "-1 for none"),
], ids=["too narrow", "no second axis", "a batch of 8", "found out when it runs", "text", "labels beyond", "labels below"])
def test_rows_that_do_not_fit_are_refused(
    tmp_path: Path, inputs: Mapping[str, tuple], arrays: Mapping[str, np.ndarray], message: str, hint: str
) -> None:
    with pytest.raises(UsageError, match=message) as failure:
        quantize(tmp_path, perceptron(inputs=inputs), arrays=arrays)
    assert hint in failure.value.hint


def test_integers_that_do_not_fit_into_the_models_type_are_refused(tmp_path: Path) -> None:
    model = make([helper.make_node("Gather", ["table", "x"], ["e"]), helper.make_node("ReduceMean", ["e"], ["m"], axes=[1], keepdims=0),
                  helper.make_node("MatMul", ["m", "w"], ["y"])], {"table": weight(50, 16), "w": weight(16, 4)},
                 inputs={"x": (TensorProto.INT32, ["n", "s"])})
    ids = np.random.default_rng(0).integers(0, 50, (40, 5))
    assert quantize(tmp_path, model, arrays={"x": ids}).scheme == DYNAMIC
    with pytest.raises(DataError, match="does not fit into the model's int32"):
        quantize(tmp_path, model, arrays={"x": ids + 2**40})


def test_both_halves_of_a_file_hold_every_class_where_classes_alternate(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=pixels(61), labels=np.arange(61) % 2)
    with open_calibration(tmp_path / "rows.npz", tmp_path) as (judged, calibration):
        parts = [dict(np.load(file)) for file in (judged, calibration)]
    assert [set(part["labels"].tolist()) for part in parts] == [{0, 1}, {0, 1}]
    assert [len(part["x"]) for part in parts] == [31, 30]
    together = np.concatenate([part["x"] for part in parts])
    assert sorted(map(tuple, together)) == sorted(map(tuple, pixels(61)))


# settings


def test_calibration_rows_are_drawn_only_when_a_static_scheme_is_tried(tmp_path: Path) -> None:
    informative = {"calibration": {"selection": "informative"}}
    assert quantize(tmp_path, perceptron(), scheme="auto", **informative).scheme.startswith("dynamic")
    with pytest.raises(UsageError, match="soft labels") as failure:
        quantize(tmp_path, perceptron(), scheme=STATIC, **informative)
    assert "--set quantization.calibration.selection=random" in failure.value.hint


@pytest.mark.parametrize(("selection", "message"), [("informative", "soft labels"), ("class-balanced", "needs labels")])
def test_a_static_scheme_whose_calibration_rows_cannot_be_drawn_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, selection: str, message: str
) -> None:
    worked: list[object] = []
    monkeypatch.setattr(importlib.import_module("edgedistill.quantize.stage"), "_open_court", lambda *given: worked.append(given))
    with pytest.raises(UsageError, match=message) as failure:
        quantize(tmp_path, perceptron(), scheme=STATIC, calibration={"selection": selection})
    assert "--set quantization.calibration.selection=random" in failure.value.hint
    assert worked == []


def run_cli(tmp_path: Path, *arguments: str) -> int:
    onnx.save(perceptron(), tmp_path / "mine.onnx")
    np.savez(tmp_path / "rows.npz", x=pixels())
    return run_command_line(["quantize", str(tmp_path / "mine.onnx"), "-d", str(tmp_path / "rows.npz"), "-o", str(tmp_path / "int8"), *arguments])


def test_quantize_with_set_then_the_settings_count(tmp_path: Path) -> None:
    assert run_cli(tmp_path, "--scheme", STATIC, "--set", "quantization.calibration.method=entropy", "--set", "quantization.trials=0") == 0
    (row,) = QuantizationVerdict.read_json(tmp_path / "int8" / "verdict.json").table
    assert (row.scheme, row.calibration) == (STATIC, "entropy")


@pytest.mark.parametrize(("setting", "message"), [
    ("distillation.temperature=4", "a finished model is quantized by the sections quantization and parity alone"),
    ("quantization.calibrations.method=entropy", "calibrations"),
    ("quantization.aware=always", "aware"),
    ("quantization.trials", "not of the form key=value"),
])
def test_quantize_with_a_setting_that_does_not_count_is_refused(
    tmp_path: Path, setting: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(tmp_path, "--set", setting) == RecipeError.exit_code == EdgedistillError.exit_code + 1
    assert message in capsys.readouterr().err
