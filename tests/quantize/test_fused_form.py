"""Transformers of another maker are fused before they are quantized, where a config.json says what the fuser must know."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgedistill
from edgedistill.errors import ArtifactError
from edgedistill.int8_settings import PostTraining
from edgedistill.quantize import stage
from edgedistill.quantize.fused_form import fused_form


@pytest.fixture(scope="module")
def foreign(model_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as optimum's exporter leaves it, with rows: the graph is not fused."""
    from edgedistill.export.exporter import export_classifier

    folder = tmp_path_factory.mktemp("optimum")
    export_classifier(model_folder("bert"), folder / "model.onnx")
    shutil.copyfile(model_folder("bert") / "config.json", folder / "config.json")
    ids = np.random.default_rng(1).integers(5, 40, (40, 6))
    np.savez(folder / "rows.npz", input_ids=ids, attention_mask=np.ones_like(ids), token_type_ids=np.zeros_like(ids))
    return folder


def operators(path: Path) -> set[str]:
    return {node.op_type for node in onnx.load(path).graph.node}


def quantize(foreign: Path, model: Path, out: Path) -> set[str]:
    edgedistill.quantize(model, foreign / "rows.npz", out, target=edgedistill.load_target("raspberry-pi"),
                         wanted=PostTraining(scheme="dynamic_wi8_afp32", timing=False, trials=0, max_accuracy_loss=1))
    return operators(out / "model.onnx")


@pytest.mark.parametrize("name", [".", "model.onnx"])
def test_a_transformer_with_its_config_beside_it_is_fused(foreign: Path, tmp_path: Path, name: str) -> None:
    assert not {"Attention", "SkipLayerNormalization"} & operators(foreign / "model.onnx")
    found = quantize(foreign, foreign / name, tmp_path / "int8")
    assert found >= {"QAttention", "SkipLayerNormalization"}
    assert "Softmax" not in found


def test_a_transformer_without_a_config_is_quantized_as_it_is(foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    shutil.copyfile(foreign / "model.onnx", tmp_path / "alone" / "bert.onnx")
    found = quantize(foreign, tmp_path / "alone" / "bert.onnx", tmp_path / "int8")
    assert "Softmax" in found
    assert "QAttention" not in found


def test_fused_form_is_fused_once_and_reads_no_newer_ir_version(foreign: Path, tmp_path: Path) -> None:
    fused = fused_form(foreign / "model.onnx", tmp_path / "fused.onnx", model=foreign)
    assert fused == tmp_path / "fused.onnx"
    assert onnx.load(fused).ir_version <= onnx.load(foreign / "model.onnx").ir_version
    assert fused_form(fused, tmp_path / "again.onnx", model=foreign) == fused


@pytest.mark.parametrize("config", [{"model_type": "bert", "num_attention_heads": 2, "hidden_size": 8}, {"model_type": "resnet"}, {}])
def test_fused_form_of_a_graph_with_nothing_to_fuse_is_the_file_itself(tmp_path: Path, config: dict[str, object]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    weight = numpy_helper.from_array(np.eye(8, dtype=np.float32), "w")
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 8]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", info[:1], info[1:], [weight])
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "model.onnx")
    assert fused_form(tmp_path / "model.onnx", tmp_path / "fused.onnx", model=tmp_path) == tmp_path / "model.onnx"
    assert not (tmp_path / "fused.onnx").exists()


def test_a_fused_graph_that_answers_otherwise_is_not_taken(
    foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(source: Path, out: Path, form: str) -> Path:
        model = onnx.load(source)
        bias = next(item for item in model.graph.initializer if item.name.endswith("classifier.bias"))
        bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 1, bias.name))
        onnx.save(model, out)
        return out

    monkeypatch.setattr(stage, "in_norm_form", broken)
    found = quantize(foreign, foreign, tmp_path / "int8")
    assert "Softmax" in found
    assert "QAttention" not in found
    assert "answers otherwise once its nodes are fused for the target" in caplog.text


def test_a_damaged_config_is_refused(foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ArtifactError, match="is no JSON") as failure:
        fused_form(foreign / "model.onnx", tmp_path / "fused.onnx", model=tmp_path)
    assert "config.json" in failure.value.hint
