"""A fake-quantized student answers as its int8 file does, and is a float student again afterwards."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnxruntime
import pytest
import torch

from edgedistill.distill.aware.parts import Fusion, find_parts, read_fusion
from edgedistill.distill.aware.ranges import learn_ranges
from edgedistill.distill.aware.student import fake_quantized
from edgedistill.distill.low_rank_embedding import round_to_rank, split_embedding
from edgedistill.errors import ArtifactError
from edgedistill.export.norm_form import NormForm
from edgedistill.export.stage import STAGE as EXPORT
from edgedistill.export.stage import Inputs, Settings
from edgedistill.low_rank import RANK_KEY
from edgedistill.quantize.candidates import Candidate, make_candidate
from edgedistill.quantize.rows import EncodedRows, each
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.stage import Workspace
from edgedistill.tasks.text_classification.encoding import TextEncoder


@pytest.fixture(scope="module")
def folder(
    make_classifier: Callable[..., Any], write_tokenizer_files: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A student with outliers: a channel of every matrix, and a row of the embedding, are far larger than the rest."""
    made = tmp_path_factory.mktemp("outliers")
    model = make_classifier("bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, initializer_range=0.15)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 2 and "embeddings" not in name:
                weight[1] *= 12
                weight[:, 2] *= 8
        model.bert.embeddings.word_embeddings.weight[7] *= 10
    model.save_pretrained(made)
    write_tokenizer_files(made)
    return made


@pytest.fixture(scope="module", params=get_args(NormForm))
def exported(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    work, settings = Workspace(tmp_path_factory.mktemp("stages")), Settings(max_ir_version=10, max_opset=18, norms=request.param)
    return work.perform("export", EXPORT, settings, Inputs(folder)).folder / "model.onnx"


@pytest.fixture(scope="module")
def texts(folder: Path, rows: Callable[..., Any]) -> EncodedRows:
    return EncodedRows(TextEncoder.load(folder).encode(rows(40, seed=5)[0]), None)


def load(folder: Path) -> Any:
    from transformers import BertForSequenceClassification

    return BertForSequenceClassification.from_pretrained(folder).eval()


def answers(model: Any, batches: list[Any]) -> np.ndarray:
    with torch.inference_mode():
        return np.concatenate([model(**{k: torch.from_numpy(v) for k, v in batch.items()}).logits.numpy() for batch in batches])


def answers_of_file(path: Path, texts: EncodedRows, *, is_as_written: bool) -> np.ndarray:
    """Answers of onnxruntime; as written: 1.32 fuses restored weights into products that round their inputs as well."""
    options = onnxruntime.SessionOptions()
    if is_as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options)
    names = [item.name for item in session.get_inputs()]
    return np.concatenate([session.run(None, {name: row[name] for name in names})[0] for row in each(texts)])


@pytest.mark.parametrize("name", [
    "dynamic_wi8_afp32", "dynamic_wi8_afp32_per_channel_reduced_range", "dynamic_wu8_afp32", "static_wi8_ai8_per_channel",
    "static_wi8_au8_reduced_range", "static_wu8_au8", "static_wu8_au8_per_channel",
    "weight_only_wi8_afp32_per_channel",
])
def test_student_when_fake_quantized_then_answers_as_its_int8_file_and_not_as_float(
    folder: Path, exported: Path, texts: EncodedRows, tmp_path: Path, name: str
) -> None:
    scheme = parse_scheme(name)
    make_candidate(exported, tmp_path / "int8.onnx", Candidate(scheme), calibration=lambda: each(texts))
    expected = answers_of_file(tmp_path / "int8.onnx", texts, is_as_written=scheme.kind == "weight_only")
    model = load(folder)
    parts = find_parts(model, read_fusion(exported))
    ranges = learn_ranges(model, parts.products, texts, "min-max") if scheme.needs_calibration else None
    in_float = answers(model, list(each(texts)))
    with fake_quantized(model, parts, scheme, ranges=ranges):
        found = answers(model, list(each(texts)))
    assert np.abs(found - expected).max() < 1e-3
    assert np.abs(in_float - expected).max() > 0.1


def test_student_when_its_embedding_is_thin_then_its_two_parts_are_rounded_as_in_the_file(
    folder: Path, texts: EncodedRows, tmp_path: Path
) -> None:
    thin, model = tmp_path / "thin", load(folder)
    round_to_rank(model, 6)
    setattr(model.config, RANK_KEY, 6)
    model.save_pretrained(thin)
    for file in folder.glob("*token*.json"):
        (thin / file.name).write_bytes(file.read_bytes())
    settings = Settings(max_ir_version=10, max_opset=18)
    graph = Workspace(tmp_path / "stages").perform("export", EXPORT, settings, Inputs(thin)).folder / "model.onnx"
    scheme = parse_scheme("dynamic_wi8_afp32_per_channel")
    make_candidate(graph, tmp_path / "int8.onnx", Candidate(scheme), calibration=lambda: each(texts))
    expected = answers_of_file(tmp_path / "int8.onnx", texts, is_as_written=False)
    model = load(thin)
    in_float = answers(model, list(each(texts)))
    split_embedding(model)
    with fake_quantized(model, find_parts(model, read_fusion(graph)), scheme):
        found = answers(model, list(each(texts)))
    assert np.abs(in_float - expected).max() > 0.1
    assert np.abs(found - expected).max() < 1e-3


def test_student_when_texts_are_padded_then_a_dynamic_scheme_rounds_each_as_if_it_were_alone(
    folder: Path, exported: Path, texts: EncodedRows
) -> None:
    model = load(folder)
    parts = find_parts(model, read_fusion(exported))
    with fake_quantized(model, parts, parse_scheme("dynamic_wi8_afp32")):
        alone, together = answers(model, list(each(texts))), answers(model, [texts.encoded.batch(np.arange(len(texts)))])
    np.testing.assert_allclose(together, alone, atol=1e-3)


def test_student_when_it_is_fake_quantized_no_longer_then_answers_as_before_under_the_same_names(
    folder: Path, exported: Path, texts: EncodedRows
) -> None:
    model = load(folder)
    names, before = list(model.state_dict()), answers(model, list(each(texts)))
    with fake_quantized(model, find_parts(model, read_fusion(exported)), parse_scheme("dynamic_wi8_afp32")):
        assert list(model.state_dict()) == names
        assert not np.allclose(answers(model, list(each(texts))), before, atol=0.1)
    np.testing.assert_array_equal(answers(model, list(each(texts))), before)


def test_student_when_it_learns_fake_quantized_then_every_parameter_that_int8_touches_has_a_gradient(
    folder: Path, exported: Path, texts: EncodedRows
) -> None:
    model = load(folder)
    parts = find_parts(model, read_fusion(exported))
    with fake_quantized(model, parts, parse_scheme("dynamic_wi8_afp32_per_channel")):
        batch = {name: torch.from_numpy(values) for name, values in texts.encoded.batch([0, 1, 2]).items()}
        model(**batch).logits.square().sum().backward()
    touched = [layer.weight for product in parts.products for layer in product.layers]
    touched += [table.weight for table in parts.tables] + [norm.weight for norm in parts.norms]
    assert len(touched) == 14 + 3 + 1
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in touched)


def test_find_parts_when_attention_is_fused_then_queries_keys_and_values_are_one_matrix(folder: Path, exported: Path) -> None:
    model = load(folder)
    fusion = read_fusion(exported)
    parts = find_parts(model, fusion)
    assert fusion == Fusion(attentions=2, has_embedding=True)
    assert [len(product.layers) for product in parts.products] == [3, 1, 1, 1, 3, 1, 1, 1, 1, 1]
    apart = find_parts(model, Fusion(attentions=0, has_embedding=False))
    assert [len(product.layers) for product in apart.products] == [1] * 14
    assert apart.norms == ()


def test_find_parts_when_the_graph_is_of_another_model_then_refused(folder: Path) -> None:
    with pytest.raises(ArtifactError, match="3 fused attentions of a model with 2"):
        find_parts(load(folder), Fusion(attentions=3, has_embedding=True))


def test_fake_quantized_when_a_static_scheme_lacks_a_range_then_refused(folder: Path, exported: Path) -> None:
    model = load(folder)
    parts = find_parts(model, read_fusion(exported))
    with pytest.raises(ValueError, match=r"without the range of bert\.encoder"), \
            fake_quantized(model, parts, parse_scheme("static_wi8_ai8")):
        pass
