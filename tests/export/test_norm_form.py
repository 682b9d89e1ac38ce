"""Norms apart where the target's runtime is faster so: the same answers, and nothing that the runtime fuses at load."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgedistill
from edgedistill.catalog import load_target, target_ids
from edgedistill.export.norm_form import in_norm_form, norm_form
from edgedistill.export.stage import STAGE, Inputs, settings_for
from edgedistill.host import Host
from edgedistill.int8_settings import PostTraining
from edgedistill.local_target import Machine, described_target
from edgedistill.recipe import Parity
from edgedistill.stage import Workspace
from edgedistill.target import Target

WIDTH = 8
FUSED, NORM = "SkipLayerNormalization", "LayerNormalization"


def machine(architecture: str, runtime: str) -> Target:
    features = ("avx512_vnni",) if architecture == "x86_64" else ("asimddp",)
    host = Host(system="Linux", architecture=architecture, cpu="some", cores=2, features=features, ram_bytes=2**32, python="3.12")
    return described_target(Machine("some", "some machine", host, 2e9, runtime))


@pytest.mark.parametrize(("architecture", "runtime", "form"), [
    ("x86_64", "1.29.1", "fused"), ("x86_64", "1.30.0", "apart"), ("x86_64", "1.32.0", "apart"), ("aarch64", "1.32.0", "fused"),
])
def test_norm_form_when_asked_for_a_machine_then_by_architecture_and_runtime(architecture: str, runtime: str, form: str) -> None:
    target = machine(architecture, runtime)
    assert norm_form(target) == form
    assert settings_for(target).norms == form


def test_norm_form_when_a_shipped_profile_takes_an_old_runtime_then_fused() -> None:
    assert {norm_form(load_target(name)) for name in target_ids()} == {"fused"}


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def operators_as_run(path: Path, scratch: Path) -> Counter[str]:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(scratch / "as_run.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return operators(scratch / "as_run.onnx")


def test_export_when_the_runtime_is_new_then_norms_are_apart_and_the_answers_the_same(exported: Any, tmp_path: Path) -> None:
    target = machine("x86_64", "1.32.0")
    done = Workspace(tmp_path / "stages").perform("export", STAGE, settings_for(target), Inputs(exported.model))
    apart = done.folder / "model.onnx"
    assert operators(apart)["Sum"] >= 4  # two a layer
    assert FUSED not in operators(apart)
    assert FUSED not in operators_as_run(apart, tmp_path)
    assert {path.name for path in done.folder.iterdir()} == {path.name for path in exported.folder.iterdir()}
    assert any("stay apart" in decision.what for decision in done.manifest.decisions)
    ids = np.random.default_rng(0).integers(5, 50, (3, 7)).astype(np.int64)
    given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    expected, answer = (run(path, given) for path in (exported.folder / "model.onnx", apart))
    np.testing.assert_allclose(expected, answer, atol=1e-5)


def run(path: Path, given: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (answer, *_) = session.run(None, {item.name: given[item.name] for item in session.get_inputs()})
    return answer


def graph_of(path: Path, nodes: Sequence[onnx.NodeProto], outputs: Sequence[str] = ("y",)) -> Path:
    """Write a graph of x and z, each (n, 2, WIDTH), with a gain, an offset and a bias."""
    rng = np.random.default_rng(0)
    weights = [numpy_helper.from_array(rng.normal(size=WIDTH).astype(np.float32), name) for name in ("gain", "offset", "bias")]
    info = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2, WIDTH]) for name in ("x", "z", *outputs)}
    graph = helper.make_graph(list(nodes), "g", [info["x"], info["z"]], [info[name] for name in outputs], weights)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=opsets), path)
    return path


def fused_norm(*inputs: str, outputs: Sequence[str] = ("y",)) -> onnx.NodeProto:
    return helper.make_node(FUSED, list(inputs), list(outputs), name="norm", domain="com.microsoft", epsilon=1e-6)


CASES: dict[str, tuple[list[onnx.NodeProto], Sequence[str], Counter[str]]] = {
    "fused": ([fused_norm("x", "z", "gain", "offset")], ("y",), Counter(Sum=1, LayerNormalization=1)),
    "without offset": ([fused_norm("x", "z", "gain")], ("y",), Counter(Sum=1, LayerNormalization=1)),
    "with bias": ([fused_norm("x", "z", "gain", "offset", "bias")], ("y",), Counter(Add=1, Sum=1, LayerNormalization=1)),
    "with its sum": ([fused_norm("x", "z", "gain", "offset", outputs=("y", "", "", "s"))], ("y", "s"),
                     Counter(Sum=1, LayerNormalization=1)),
    "that the runtime would fuse": (
        [helper.make_node("Add", ["x", "z"], ["s"]), helper.make_node(NORM, ["s", "gain", "offset"], ["y"], axis=-1)], ("y",),
        Counter(Sum=1, LayerNormalization=1)),
}


@pytest.mark.parametrize("case", CASES)
def test_in_norm_form_when_apart_then_the_same_answers_from_sum_and_norm(case: str, tmp_path: Path) -> None:
    nodes, outputs, kinds = CASES[case]
    source = graph_of(tmp_path / "given.onnx", nodes, outputs)
    apart = in_norm_form(source, tmp_path / "apart.onnx", "apart")
    onnx.checker.check_model(str(apart), skip_opset_compatibility_check=True)
    assert operators(apart) == kinds
    assert FUSED in operators_as_run(source, tmp_path)
    assert FUSED not in operators_as_run(apart, tmp_path)
    rng = np.random.default_rng(1)
    given = {name: rng.normal(size=(3, 2, WIDTH)).astype(np.float32) for name in "xz"}
    sessions = [onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]) for path in (source, apart)]
    for one, other in zip(*(session.run(list(outputs), given) for session in sessions), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_in_norm_form_when_a_bias_is_added_or_nothing_normalised_then_the_file_itself(tmp_path: Path) -> None:
    biased = [helper.make_node("Add", ["x", "bias"], ["s"]), helper.make_node(NORM, ["s", "gain", "offset"], ["y"], axis=-1)]
    plain = [helper.make_node("Add", ["x", "z"], ["y"])]
    for name, nodes in (("biased", biased), ("plain", plain)):
        source = graph_of(tmp_path / f"{name}.onnx", nodes)
        assert in_norm_form(source, tmp_path / "apart.onnx", "apart") == source
    fused = graph_of(tmp_path / "fused.onnx", CASES["fused"][0])
    assert in_norm_form(fused, tmp_path / "apart.onnx", "fused") == fused
    assert not (tmp_path / "apart.onnx").exists()


def test_in_norm_form_when_a_net_has_convolutions_then_its_sums_stay(tmp_path: Path) -> None:
    picture = ["n", 2, WIDTH, 1]
    weight = numpy_helper.from_array(np.ones((2, 2, 1, 1), np.float32), "w")
    norm = [numpy_helper.from_array(np.ones(1, np.float32), name) for name in ("gain", "offset")]
    nodes = [helper.make_node("Conv", ["x", "w"], ["a"]), helper.make_node("Conv", ["a", "w"], ["b"]),
             helper.make_node("Add", ["a", "b"], ["s"]), helper.make_node(NORM, ["s", "gain", "offset"], ["y"], axis=-1)]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, picture) for name in "xy"]
    graph = helper.make_graph(nodes, "g", info[:1], info[1:], [weight, *norm])
    source = tmp_path / "convolutions.onnx"
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)]), source)
    assert in_norm_form(source, tmp_path / "apart.onnx", "apart") == source


def test_quantize_when_another_makers_graph_is_for_a_new_runtime_then_its_norms_are_apart(
    model_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    from edgedistill.export.exporter import export_classifier

    export_classifier(model_folder("bert"), tmp_path / "model.onnx")
    (tmp_path / "config.json").write_bytes((model_folder("bert") / "config.json").read_bytes())
    ids = np.random.default_rng(1).integers(5, 40, (40, 6))
    np.savez(tmp_path / "rows.npz", input_ids=ids, attention_mask=np.ones_like(ids), token_type_ids=np.zeros_like(ids))
    edgedistill.quantize(tmp_path, tmp_path / "rows.npz", tmp_path / "int8", target=machine("x86_64", "1.32.0"),
                         wanted=PostTraining(scheme="dynamic_wi8_afp32", timing=False, trials=0, max_accuracy_loss=1),
                         gates=Parity(int8_min_agreement=0.5))
    found = operators(tmp_path / "int8" / "model.onnx")
    assert found["Sum"] == 4
    assert found["QAttention"] == 2
    assert not found[FUSED]
