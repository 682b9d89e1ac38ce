"""The distill stage: targets by id, a student from a teacher, the baseline, and the same bytes after a kill."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from edgedistill.batch_order import plan_batches
from edgedistill.distill import without_teacher, work
from edgedistill.distill.stage import BASELINE, STUDENT, BaselineInputs, StudentInputs, StudentSettings
from edgedistill.distill.student_model import student_config
from edgedistill.distill.text_sets import text_training_set
from edgedistill.errors import ArtifactError, RecipeError
from edgedistill.evaluate.torch_model import TorchModel
from edgedistill.examples import NO_LABEL, read_examples, write_examples
from edgedistill.recipe import Distillation, LossTerm
from edgedistill.results import Fit, Labels, TrainingLog
from edgedistill.shape import StudentShape
from edgedistill.soft_labels import Origin, read_soft_labels, write_soft_labels
from edgedistill.stage import Done, Workspace
from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.teach.sentence_vectors import VIEWS

VOCABULARY = 55
SHAPE = StudentShape(id="tiny", layers=1, hidden=16, heads=2, intermediate=32, vocabulary=100)
SETTINGS = StudentSettings(
    shape=SHAPE, initialisation="cut", distillation=Distillation(rows_seen=12 * 16, batch_size=16, learning_rate=5e-3, patience=12),
    max_tokens=16, seed=3,
)


LOW_RANK = SHAPE.model_copy(update={"id": "thin", "embedding_rank": 6})


class Killed(BaseException):
    """Stands for SIGKILL."""


@dataclass(frozen=True)
class Data:
    """Paths of the examples and of soft labels for all of them: random logits, by id."""

    folder: Path
    logits: dict[str, list[float]]
    vectors: dict[str, list[list[float]]]

    def inputs(self, teacher: Path) -> StudentInputs:
        path = self.folder
        return StudentInputs(
            teacher, path / "train.arrow", path / "transfer.arrow", path / "validation.arrow", path / "soft_labels.arrow",
            path / "labels.json", path / "token_vectors.npy",
            path / "sentence_vectors.npy",
        )


@pytest.fixture(scope="module")
def data(rows: Callable[..., Any], labels: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    ids: list[str] = []
    for name, n, seed in (("train", 40, 1), ("transfer", 60, 2), ("validation", 20, 3)):
        texts, classes = rows(n, seed=seed)
        names = [f"{name}-{i}" for i in range(n)]
        write_examples(folder / f"{name}.arrow", names, texts, [NO_LABEL] * n if name == "transfer" else classes)
        ids += names
    shuffled = [ids[i] for i in random.permutation(len(ids))]  # where a row stands must not matter
    logits = random.normal(0, 3, (len(ids), 3)).astype(np.float32)
    write_soft_labels(folder / "soft_labels.arrow", [(shuffled, logits)], classes=3, origin=Origin("t", "k", "d"))
    (folder / "labels.json").write_text(Labels(labels=labels).to_json())
    np.save(folder / "token_vectors.npy", random.normal(size=(VOCABULARY, 8)).astype(np.float16))
    vectors = random.normal(size=(len(ids), VIEWS, 5)).astype(np.float16)
    np.save(folder / "sentence_vectors.npy", vectors)
    return Data(folder, dict(zip(shuffled, logits.tolist(), strict=True)), dict(zip(shuffled, vectors.tolist(), strict=True)))


def distil(root: Path, teacher: Path, data: Data, **changes: Any) -> Done:
    return Workspace(root).perform("distill", STUDENT, SETTINGS.model_copy(update=changes), data.inputs(teacher))


@pytest.fixture(scope="module")
def distilled(model_folder: Callable[[str], Path], data: Data, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A student of the tiny BERT. Not to be changed."""
    return distil(tmp_path_factory.mktemp("stages"), model_folder("bert"), data)


@pytest.fixture(scope="module")
def bpe_teacher(make_classifier: Callable[..., Any], data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa with a byte-pair tokenizer."""
    folder = tmp_path_factory.mktemp("roberta")
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], show_progress=False)
    tokenizer.train_from_iterator(read_examples(data.folder / "train.arrow").texts, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.enable_truncation(16)
    tokenizer.save(str(folder / "tokenizer.json"))
    make_classifier("roberta", vocab_size=tokenizer.get_vocab_size(), pad_token_id=1).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("batch_size", "seed"), [(7, 0), (16, 1), (1, 2)])
def test_training_set_pairs_each_text_with_its_own_label_in_any_batch(
    data: Data, model_folder: Callable[[str], Path], batch_size: int, seed: int
) -> None:
    encoder, soft = TextEncoder.load(model_folder("bert")), read_soft_labels(data.folder / "soft_labels.arrow")
    tables = [read_examples(data.folder / f"{name}.arrow") for name in ("transfer", "train")]
    made = text_training_set(encoder, tables, soft)
    ids = [name for table in tables for name in table.ids]
    hard = [int(label) for table in tables for label in table.labels]
    texts = [text for table in tables for text in table.texts]
    for batch in plan_batches(made.encoded.lengths, batch_size=batch_size, steps=-(-100 // batch_size), seed=seed):
        got = made.__getitems__(batch)
        for row, index in enumerate(batch):
            assert got["soft_labels"][row].tolist() == data.logits[ids[index]]
            assert got["labels"][row] == hard[index]
            mask = got["attention_mask"][row].astype(bool)
            assert got["input_ids"][row][mask].tolist() == encoder.tokenizer.encode(texts[index]).ids


def test_training_set_with_an_example_that_has_no_soft_label_is_refused(
    data: Data, model_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    write_examples(tmp_path / "more.arrow", ["train-0", "unheard-of"], ["lamp", "song"], [0, 1])
    soft = read_soft_labels(data.folder / "soft_labels.arrow")
    with pytest.raises(ArtifactError, match="unheard-of"):
        text_training_set(TextEncoder.load(model_folder("bert")), [read_examples(tmp_path / "more.arrow")], soft)


def test_distill_makes_a_student_that_loads_in_transformers(distilled: Done, labels: tuple[str, ...], data: Data) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(distilled.folder)
    assert type(model).__name__ == "BertForSequenceClassification"
    assert tuple(model.config.id2label.values()) == labels
    assert (model.config.hidden_size, model.config.num_hidden_layers, model.config.intermediate_size) == (16, 1, 32)
    text = read_examples(data.folder / "train.arrow").texts[0]
    tokenizer = AutoTokenizer.from_pretrained(distilled.folder)
    with torch.inference_mode():
        expected = model.eval()(**tokenizer(text, return_tensors="pt")).logits.numpy()
    found = TorchModel(distilled.folder).logits(TextEncoder.load(distilled.folder).encode([text]).batch([0]))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_distill_leaves_the_model_and_no_scratch(distilled: Done) -> None:
    assert {path.name for path in distilled.folder.iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "training_log.json", "fit.json", "manifest.json",
    }
    assert len(TrainingLog.read_json(distilled.folder / "training_log.json").points) == 12


def test_distill_writes_down_the_hard_and_the_soft_loss_that_alpha_weighs(distilled: Done) -> None:
    alpha = json.loads(distilled.manifest.settings_json)["distillation"]["alpha"]
    points = TrainingLog.read_json(distilled.folder / "training_log.json").points
    assert any(point.hard_loss for point in points)  # a few batches may hold no text with a label
    assert all(point.soft_loss for point in points)
    for point in points:
        # every validation row has a label; the trainer averages batches, the terms rows: equal to a few percent
        weighed = alpha * (point.validation_soft_loss or 0.0) + (1 - alpha) * (point.validation_hard_loss or 0.0)
        assert weighed == pytest.approx(point.validation_loss, rel=0.05)


def test_distill_says_how_the_student_was_made(distilled: Done) -> None:
    told = " ".join(decision.what for decision in distilled.manifest.decisions)
    assert "cut tiny out of the teacher" in told
    assert "of the teacher's 55 tokens" in told


def test_distill_writes_how_closely_the_student_follows_the_teacher(distilled: Done, data: Data) -> None:
    fit = Fit.read_json(distilled.folder / "fit.json")
    assert (fit.train.rows, fit.validation.rows, fit.labelled_rows) == (40, 20, 20)
    model, encoder = TorchModel(distilled.folder), TextEncoder.load(distilled.folder)
    examples = read_examples(data.folder / "validation.arrow")
    answers = np.concatenate([model.logits(encoder.encode([text]).batch([0])) for text in examples.texts]).argmax(1)
    taught = np.array([data.logits[name] for name in examples.ids]).argmax(1)
    assert fit.validation.agreement == pytest.approx((answers == taught).mean())
    assert fit.student_right == (answers == examples.labels).sum()


def test_distill_asks_what_the_vocabulary_loses_of_evenly_spread_rows(
    model_folder: Callable[[str], Path], data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def measure(teacher: Any, encoder: Any, texts: list[str], *, expected: Any) -> None:
        asked.extend(texts)
        assert expected.tolist() == [data.logits[f"validation-{row}"] for row in (0, 10, 19)]
        raise Killed

    monkeypatch.setattr(work, "_VOCABULARY_ROWS", 3)
    monkeypatch.setattr(work, "measure_vocabulary", measure)
    with pytest.raises(Killed):
        distil(tmp_path, model_folder("bert"), data)
    validation = read_examples(data.folder / "validation.arrow").texts
    assert asked == [validation[0], validation[10], validation[19]]


LOOKING_INSIDE = SETTINGS.distillation.model_copy(update={"losses": tuple(map(LossTerm.model_validate, (
    {"name": "hidden-states", "until": 0.9, "decay": "linear"}, {"name": "attentions", "from": 0.1, "until": 0.6},
    {"name": "minilm-v1", "weight": 0.5}, {"name": "minilm-v2"}, {"name": "decoupled-kd", "beta": 2.0},
)))})


@pytest.mark.parametrize("kind", ["cut", "random", "bpe", "inside", "low-rank"])
def test_distill_when_killed_and_resumed_gives_the_same_bytes(
    model_folder: Callable[[str], Path], bpe_teacher: Path, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    teacher = bpe_teacher if kind == "bpe" else model_folder("bert")
    changes: dict[str, Any] = {"initialisation": "random" if kind == "random" else "cut"}
    if kind == "inside":
        changes["distillation"] = LOOKING_INSIDE
    if kind == "low-rank":
        changes["shape"] = LOW_RANK
    whole = distil(tmp_path / "whole", teacher, data, **changes).folder
    real, calls = work.teacher_loss, 0

    def dying(*arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += torch.is_grad_enabled()
        if calls == 8:
            raise Killed
        return real(*arguments)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(work, "teacher_loss", dying)
        distil(tmp_path / "killed", teacher, data, **changes)
    resumed = distil(tmp_path / "killed", teacher, data, **changes).folder
    names = sorted(path.name for path in whole.iterdir() if path.name != "manifest.json")
    assert names == sorted(path.name for path in resumed.iterdir() if path.name != "manifest.json")
    assert [name for name in names if (whole / name).read_bytes() != (resumed / name).read_bytes()] == []


def test_distill_with_a_thin_embedding_leaves_a_stock_student_whose_table_has_that_rank(
    model_folder: Callable[[str], Path], bpe_teacher: Path, data: Data, tmp_path: Path
) -> None:
    for name, teacher in (("bert", model_folder("bert")), ("bpe", bpe_teacher)):
        done = distil(tmp_path / name, teacher, data, shape=LOW_RANK)
        folder, told = done.folder, [decision.what for decision in done.manifest.decisions]
        assert any("knows all but 0.00% of its tokens of train" in what for what in told) == (name == "bpe")
        table = load_file(folder / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
        assert torch.linalg.matrix_rank(table.double(), rtol=1e-5) == LOW_RANK.embedding_rank
        assert AutoModelForSequenceClassification.from_pretrained(folder).config.embedding_rank == LOW_RANK.embedding_rank
        assert not any("word_embeddings.rows" in name for name in load_file(folder / "model.safetensors"))


def test_distill_with_losses_on_internals_leaves_a_plain_student_that_they_have_changed(
    model_folder: Callable[[str], Path], data: Data, distilled: Done, tmp_path: Path
) -> None:
    decoupled_only = LOOKING_INSIDE.model_copy(update={"losses": LOOKING_INSIDE.losses[-1:]})
    weights = {
        name: load_file(distil(tmp_path / name, model_folder("bert"), data, distillation=settings).folder / "model.safetensors")
        for name, settings in (("inside", LOOKING_INSIDE), ("decoupled", decoupled_only))
    }
    weights["plain"] = load_file(distilled.folder / "model.safetensors")
    layer = "bert.encoder.layer.0.attention.self.query.weight"
    assert weights["inside"].keys() == weights["plain"].keys()  # no projections
    assert len({tuple(tensors[layer].flatten().tolist()) for tensors in weights.values()}) == 3
    config = json.loads(next((tmp_path / "inside").rglob("config.json")).read_text())
    assert config == json.loads((distilled.folder / "config.json").read_text())


def test_distill_with_losses_that_pair_tokens_refuses_a_byte_pair_teacher_before_any_work(
    bpe_teacher: Path, data: Data, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=r"hidden-states, attentions, minilm-v1, minilm-v2 .*no WordPiece"):
        distil(tmp_path, bpe_teacher, data, distillation=LOOKING_INSIDE)
    assert not list(tmp_path.rglob("*.partial"))


def test_distill_of_a_byte_pair_teacher_with_decoupled_kd_trains(bpe_teacher: Path, data: Data, tmp_path: Path) -> None:
    logits_alone = SETTINGS.distillation.model_copy(update={"losses": (LossTerm(name="decoupled-kd"),)})
    done = distil(tmp_path, bpe_teacher, data, distillation=logits_alone)
    assert TrainingLog.read_json(done.folder / "training_log.json").points


def test_training_set_pairs_the_students_tokens_with_the_teachers_and_its_vectors_in_any_batch(
    model_folder: Callable[[str], Path], distilled: Done, data: Data
) -> None:
    student, teacher = TextEncoder.load(distilled.folder), TextEncoder.load(model_folder("bert"))
    tables = [read_examples(data.folder / f"{name}.arrow") for name in ("train", "transfer")]
    needs: Any = SimpleNamespace(is_asking=True, is_on_sentences=True)
    made = work._with_guidance(text_training_set(student, tables, None), tables, needs, data.inputs(model_folder("bert")))
    ids = [name for table in tables for name in table.ids]
    texts = [text for table in tables for text in table.texts]
    for batch in plan_batches(made.encoded.lengths, batch_size=7, steps=15, seed=1):
        got = made.__getitems__(batch)
        for row, index in enumerate(batch):
            mask = got["attention_mask"][row].astype(bool)
            assert got["input_ids"][row][mask].tolist() == student.tokenizer.encode(texts[index]).ids
            assert got["teacher_input_ids"][row][mask].tolist() == teacher.tokenizer.encode(texts[index]).ids
            assert got["sentence_vectors"][row].tolist() == data.vectors[ids[index]]


def test_distill_of_a_byte_pair_teacher_starts_anew_with_a_vocabulary_of_its_own(
    bpe_teacher: Path, data: Data, tmp_path: Path
) -> None:
    done = distil(tmp_path, bpe_teacher, data)
    told = " ".join(decision.what + decision.why for decision in done.manifest.decisions)
    assert "embeddings out of the teacher's contextual output" in told
    assert "cannot be cut" in told
    assert "trained a WordPiece vocabulary" in told
    size = json.loads((done.folder / "config.json").read_text())["vocab_size"]
    assert load_file(done.folder / "model.safetensors")["bert.embeddings.word_embeddings.weight"].shape[0] == size
    encoded = TextEncoder.load(done.folder).encode(read_examples(data.folder / "validation.arrow").texts)
    assert encoded.ids.max() < size


def test_distill_learns_what_the_teacher_says_and_not_the_hard_labels(
    model_folder: Callable[[str], Path], data: Data, tmp_path: Path
) -> None:
    alpha_1 = SETTINGS.distillation.model_copy(update={"alpha": 1.0, "rows_seen": 100 * 16, "losses": ()})
    wide = SHAPE.model_copy(update={"hidden": 32, "heads": 4})
    folder = distil(tmp_path, model_folder("bert"), data, distillation=alpha_1, shape=wide).folder
    model, encoder = TorchModel(folder), TextEncoder.load(folder)
    examples = read_examples(data.folder / "train.arrow")
    answers = np.concatenate([model.logits(encoder.encode([text]).batch([0])) for text in examples.texts]).argmax(1)
    by_teacher = (answers == np.array([data.logits[name] for name in examples.ids]).argmax(1)).mean()
    by_label = (answers == examples.labels).mean()
    assert by_teacher > by_label + 0.1


@pytest.mark.parametrize(("initialisation", "expected"), [("cut", 0.02), ("random", 0.25), ("contextual", 0.25)])
def test_distill_when_layers_start_from_random_weights_then_their_spread_fits_the_width(
    model_folder: Callable[[str], Path], data: Data, tmp_path: Path, initialisation: str, expected: float
) -> None:
    student = distil(tmp_path / "student", model_folder("bert"), data, initialisation=initialisation).folder
    assert SHAPE.hidden == 16
    assert json.loads((student / "config.json").read_text())["initializer_range"] == pytest.approx(expected)


def test_baseline_then_starts_with_a_spread_that_fits_its_width_though_the_student_was_cut(
    distilled: Done, data: Data, tmp_path: Path
) -> None:
    inputs = BaselineInputs(
        distilled.folder / "config.json", distilled.folder / "tokenizer.json", data.folder / "train.arrow",
        data.folder / "validation.arrow",
    )
    folder = Workspace(tmp_path / "baseline").perform("baseline", BASELINE, SETTINGS, inputs).folder
    weights = load_file(folder / "model.safetensors")["bert.encoder.layer.0.intermediate.dense.weight"]
    assert float(weights.std()) == pytest.approx(SHAPE.hidden**-0.5, rel=0.25)  # and a short training


def test_baseline_of_a_student_with_a_thin_embedding_has_one_too(
    model_folder: Callable[[str], Path], data: Data, tmp_path: Path
) -> None:
    student = distil(tmp_path / "student", model_folder("bert"), data, shape=LOW_RANK).folder
    inputs = BaselineInputs(
        student / "config.json", student / "tokenizer.json", data.folder / "train.arrow", data.folder / "validation.arrow"
    )
    folder = Workspace(tmp_path / "baseline").perform("baseline", BASELINE, SETTINGS, inputs).folder
    table = load_file(folder / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    assert torch.linalg.matrix_rank(table.double(), rtol=1e-5) == LOW_RANK.embedding_rank


def test_baseline_trains_the_students_shape_on_hard_labels_alone(distilled: Done, data: Data, tmp_path: Path) -> None:
    inputs = BaselineInputs(
        distilled.folder / "config.json", distilled.folder / "tokenizer.json", data.folder / "train.arrow",
        data.folder / "validation.arrow",
    )
    first, second = (Workspace(tmp_path / name).perform("baseline", BASELINE, SETTINGS, inputs) for name in ("a", "b"))
    weights, of_student = (load_file(folder / "model.safetensors") for folder in (first.folder, distilled.folder))
    assert {name: value.shape for name, value in weights.items()} == {name: value.shape for name, value in of_student.items()}
    assert (first.folder / "tokenizer.json").read_bytes() == (distilled.folder / "tokenizer.json").read_bytes()
    assert (first.folder / "model.safetensors").read_bytes() == (second.folder / "model.safetensors").read_bytes()
    assert not (first.folder / "checkpoints").exists()
    assert os.listdir(first.folder).count("training_log.json") == 1


def test_baseline_that_learns_nothing_is_trained_anew_and_leaves_no_trace_but_a_decision(
    distilled: Done, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(without_teacher, "has_learned_nothing", lambda curve, constant: True)
    inputs = BaselineInputs(
        distilled.folder / "config.json", distilled.folder / "tokenizer.json", data.folder / "train.arrow",
        data.folder / "validation.arrow",
    )
    done = Workspace(tmp_path).perform("baseline", BASELINE, SETTINGS, inputs)
    told = [decision.what for decision in done.manifest.decisions]
    assert len(told) == 4
    assert all("anew at a learning rate of" in what for what in told[1:3])
    assert told[3] == "the student without the teacher learned nothing at any of three learning rates"
    assert not [path for path in done.folder.iterdir() if path.is_dir()]
    assert len(load_file(done.folder / "model.safetensors")) == len(load_file(distilled.folder / "model.safetensors"))


@pytest.mark.parametrize(("rows_seen", "batch_size", "says"), [(199, 1, True), (200, 1, False), (199, 32, False)])
def test_few_passes_when_not_even_every_text_is_seen_once_then_says_so(rows_seen: int, batch_size: int, says: bool) -> None:
    settings = SETTINGS.model_copy(update={"distillation": Distillation(rows_seen=rows_seen, batch_size=batch_size)})
    told = work._few_passes(settings, 150, 50)
    assert [decision.what for decision in told] == (
        ["the student sees 199 of 200 texts: 150 for training and 50 of the transfer set"] if says else [])


@pytest.mark.parametrize(("heads", "says"), [(2, ""), (4, ", with 2 heads, which fit the teacher's, and not the 4 of the shape")])
def test_first_weights_when_the_student_has_other_heads_than_its_shape_then_said(
    heads: int, says: str, tiny_config: Callable[..., Any], labels: tuple[str, ...]
) -> None:
    teacher: Any = SimpleNamespace(config=tiny_config("bert"))  # heads of 8: two of them make a width of 16
    wanted = SETTINGS.model_copy(update={"shape": SHAPE.model_copy(update={"heads": heads}), "initialisation": "random"})
    config = student_config(wanted.shape, labels, vocabulary=20, positions=16, teacher=teacher)
    nothing: Any = SimpleNamespace(kept_tokens=None)
    model, decision = work._first_weights(wanted, teacher, nothing, config, nothing, nothing)
    assert model.config.num_attention_heads == 2
    assert decision.what == f"started tiny from random weights{says}"
