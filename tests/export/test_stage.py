"""Export: the same answers, any batch and length, fewer nodes, versions that an older runtime reads."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgedistill.errors import ArtifactError
from edgedistill.evaluate.onnx_model import OnnxModel
from edgedistill.evaluate.predictor import open_predictor, predict
from edgedistill.evaluate.torch_model import TorchModel
from edgedistill.export.exporter import export_classifier, limit_versions
from edgedistill.export.stage import STAGE, Inputs, Settings
from edgedistill.stage import Workspace
from edgedistill.tasks.text_classification.encoding import TextEncoder


def random_batch(batch: int, length: int, *, seed: int) -> dict[str, np.ndarray]:
    """Random tokens with padding at the end of every row but the first."""
    random = np.random.default_rng(seed)
    ends = np.array([length, *random.integers(1, length + 1, batch - 1)])
    mask = np.arange(length)[None, :] < ends[:, None]
    ids = np.where(mask, random.integers(5, 55, (batch, length)), 0)
    return {"input_ids": ids, "attention_mask": mask.astype(np.int64), "token_type_ids": np.zeros_like(ids)}


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (1, 16), (7, 5), (16, 12), (3, 30)])
def test_export_gives_torchs_logits_for_any_batch_and_length(exported: Any, batch: int, length: int) -> None:
    inputs = random_batch(batch, length, seed=batch * 100 + length)
    expected = TorchModel(exported.model).logits(inputs)
    for path in (exported.raw, exported.folder / "model.onnx"):
        found = OnnxModel(path).logits(inputs)
        assert found.shape == (batch, 3)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_export_answers_real_texts_as_torch_does(exported: Any, rows: Callable[..., Any]) -> None:
    encoded = TextEncoder.load(exported.folder).encode(rows(40, seed=5)[0])
    expected = predict(open_predictor(exported.model), encoded, batch_size=8)
    np.testing.assert_allclose(predict(open_predictor(exported.folder), encoded), expected, atol=1e-4)


def test_export_fuses_the_graph(exported: Any) -> None:
    before, after = (onnx.load(path).graph.node for path in (exported.raw, exported.folder / "model.onnx"))
    assert len(after) < len(before)
    kinds = Counter(node.op_type for node in after)
    assert "Erf" not in kinds
    assert kinds["LayerNormalization"] + kinds["SkipLayerNormalization"] + kinds["EmbedLayerNormalization"] == 5
    if "distilbert" not in str(exported.model):  # its attention is written in a way that the optimizer does not know
        assert kinds["Attention"] == 2  # one a layer
        assert len(after) < len(before) / 2


def test_export_stays_within_the_runtimes_versions(exported: Any) -> None:
    model = onnx.load(exported.folder / "model.onnx")
    assert model.ir_version <= 9
    versions = {item.domain: item.version for item in model.opset_import}
    assert versions[""] <= 20
    used = {node.domain for node in model.graph.node}
    assert used <= set(versions)


def test_export_leaves_one_file_and_the_tokenizer_as_it_was(exported: Any) -> None:
    names = {path.name for path in exported.folder.iterdir()}
    assert names == {"model.onnx", "config.json", "tokenizer.json", "tokenizer_config.json", "manifest.json"}
    assert (exported.folder / "tokenizer.json").read_bytes() == (exported.model / "tokenizer.json").read_bytes()


def test_export_twice_gives_the_same_bytes(exported: Any, export_settings: Settings, tmp_path: Path) -> None:
    again = Workspace(tmp_path).perform("export", STAGE, export_settings, Inputs(exported.model)).folder
    assert (again / "model.onnx").read_bytes() == (exported.folder / "model.onnx").read_bytes()


def test_export_names_no_folder_of_this_machine(exported: Any) -> None:
    content = (exported.folder / "model.onnx").read_bytes()
    assert b"site-packages" not in content
    assert str(exported.model).encode() not in content


def test_limit_versions_lowers_the_ir_version_and_the_model_still_answers(exported: Any, tmp_path: Path) -> None:
    path = Path(shutil.copy(exported.folder / "model.onnx", tmp_path))
    limit_versions(path, max_ir_version=7, max_opset=20)
    assert onnx.load(path).ir_version == 7
    inputs = random_batch(2, 6, seed=0)
    np.testing.assert_array_equal(OnnxModel(path).logits(inputs), OnnxModel(exported.folder / "model.onnx").logits(inputs))


def test_limit_versions_with_an_older_opset_is_refused(exported: Any, tmp_path: Path) -> None:
    path = Path(shutil.copy(exported.folder / "model.onnx", tmp_path))
    with pytest.raises(ArtifactError, match="opset 18, the target's runtime reads 17 at most"):
        limit_versions(path, max_ir_version=9, max_opset=17)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_export_of_an_incomplete_folder_is_refused(
    model_folder: Callable[[str], Path], export_settings: Settings, tmp_path: Path, name: str
) -> None:
    model = Path(shutil.copytree(model_folder("bert"), tmp_path / "model"))
    (model / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        Workspace(tmp_path / "stages").perform("export", STAGE, export_settings, Inputs(model))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_export_of_a_damaged_folder_is_refused(
    model_folder: Callable[[str], Path], export_settings: Settings, tmp_path: Path, name: str
) -> None:
    model = Path(shutil.copytree(model_folder("bert"), tmp_path / "model"))
    (model / name).write_bytes((model / name).read_bytes()[:300])
    with pytest.raises(ArtifactError, match="transformers makes no sequence classifier"):
        Workspace(tmp_path / "stages").perform("export", STAGE, export_settings, Inputs(model))
    with pytest.raises(ArtifactError, match="transformers makes no sequence classifier"):
        TorchModel(model)


def test_export_of_an_architecture_without_an_export_is_refused(
    tmp_path: Path, vocabulary: dict[str, int]
) -> None:
    from transformers import FNetConfig, FNetForSequenceClassification

    config = FNetConfig(vocab_size=len(vocabulary), hidden_size=8, num_hidden_layers=1, intermediate_size=8)
    FNetForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(ArtifactError, match="optimum exports no fnet"):
        export_classifier(tmp_path, tmp_path / "model.onnx")
