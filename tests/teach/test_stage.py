"""The teach stages: a teacher taken or fine-tuned, and its soft labels by example id."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from transformers import BertModel

from edgedistill.errors import ArtifactError, MissingDependencyError, TeacherError
from edgedistill.evaluate.torch_model import TorchModel
from edgedistill.examples import NO_LABEL, read_examples, write_examples
from edgedistill.manifest import GivenWarning
from edgedistill.recipe import FineTuning, TransferSet
from edgedistill.results import Labels, TrainingLog
from edgedistill.soft_labels import read_soft_labels
from edgedistill.stage import Workspace
from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.teach import table_labelling, tokenizer_files
from edgedistill.teach.answer_parts import AnswerParts, Arrays
from edgedistill.teach.fine_tuning import enough_epochs, tuning_schedule
from edgedistill.teach.labelling import origin_of
from edgedistill.teach.stage import (
    SOFT_LABELS,
    TEACHER,
    SoftLabelInputs,
    SoftLabelSettings,
    TeacherInputs,
    TeacherSettings,
)

SETTINGS = TeacherSettings(fine_tuning=FineTuning(epochs=2, batch_size=16, learning_rate=5e-3), max_tokens=16, seed=3)
SOFT = SoftLabelSettings(transfer_set=TransferSet(rows=90, copies=4), seed=3)


def perform_teacher(root: Path, model: Path, data: Path, *, labels: str = "labels.json") -> Path:
    inputs = TeacherInputs(model, data / "train.arrow", data / "validation.arrow", data / labels)
    return Workspace(root).perform("teach", TEACHER, SETTINGS, inputs).folder


def soft_inputs(teacher: Path, data: Path) -> SoftLabelInputs:
    return SoftLabelInputs(teacher, data / "train.arrow", data / "validation.arrow", data / "labels.json",
                           data / "unlabelled.arrow")


def answered(model: Path, data: Path, out: Path, *, names: tuple[str, ...], order: tuple[int, ...] | None = None) -> Path:
    """Copy data, with a teacher's own answers as the labels of validation; `order` gives each of its classes another number."""
    shutil.copytree(data, out)
    (out / "labels.json").write_text(Labels(labels=names).to_json())
    validation = read_examples(data / "validation.arrow")
    logits = TorchModel(model).logits(TextEncoder.load(model).encode(validation.texts).batch(range(len(validation))))
    decided = logits.argmax(axis=1)
    assert len(set(decided.tolist())) == len(names), "the tiny teacher should tell the texts apart"
    write_examples(out / "validation.arrow", validation.ids, validation.texts, np.asarray(order or range(len(names)))[decided].tolist())
    return out


@pytest.fixture(scope="module")
def teacher(model_folder: Callable[[str], Path], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return perform_teacher(tmp_path_factory.mktemp("stages"), model_folder("bert"), data)


@pytest.fixture(scope="module")
def soft_labels(teacher: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished soft-labels stage. Not to be changed."""
    return Workspace(tmp_path_factory.mktemp("stages")).perform("soft", SOFT_LABELS, SOFT, soft_inputs(teacher, data)).folder


def test_teach_with_a_fine_tuned_teacher_takes_it_as_it_is(teacher: Path, model_folder: Callable[[str], Path]) -> None:
    before, after = (load_file(folder / "model.safetensors") for folder in (model_folder("bert"), teacher))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert TrainingLog.read_json(teacher / "training_log.json").points == ()
    assert json.loads((teacher / "tokenizer.json").read_text())["truncation"]["max_length"] == 16


@pytest.mark.parametrize(("steps_a_pass", "epochs"), [(1, 200), (5, 40), (16, 13), (17, 12), (74, 12), (143, 11), (469, 4), (500, 3),
                                                       (1790, 3)])
def test_enough_epochs_makes_1500_steps_within_3_to_12_or_200_steps(steps_a_pass: int, epochs: int) -> None:
    assert enough_epochs(steps_a_pass) == epochs


@pytest.mark.parametrize(("rows", "epochs", "steps", "looks"), [
    (26, None, 200, 12), (26, 30, 30, 30), (4650, None, 1606, 11), (67_000, None, 6282, 3)])
def test_schedule_when_a_small_set_gets_many_passes_then_its_patience_is_longer_than_its_warm_up(
    rows: int, epochs: int | None, steps: int, looks: int
) -> None:
    schedule = tuning_schedule(FineTuning(epochs=epochs, learning_rate=1e-4), rows, seed=3)
    assert (schedule.steps, schedule.evaluations) == (steps, looks)
    assert epochs is not None or schedule.patience * (steps // looks) > schedule.warmup_share * steps


def test_teach_with_an_encoder_fine_tunes_it(
    tiny_config: Callable[..., Any], write_tokenizer_files: Callable[[Path], None], data: Path, labels: tuple[str, ...],
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    (tmp_path / "encoder").mkdir()
    BertModel(tiny_config("bert", id2label={0: "L"}, initializer_range=0.1)).save_pretrained(tmp_path / "encoder")
    write_tokenizer_files(tmp_path / "encoder")
    folders = [perform_teacher(tmp_path / name, tmp_path / "encoder", data) for name in ("once", "again")]
    assert folders[0].joinpath("model.safetensors").read_bytes() == folders[1].joinpath("model.safetensors").read_bytes()
    assert [point.step for point in TrainingLog.read_json(folders[0] / "training_log.json").points] == [3, 6]
    assert not (folders[0] / "checkpoints").exists()
    config = json.loads((folders[0] / "config.json").read_text())
    assert [config["id2label"][str(i)] for i in range(3)] == list(labels)
    assert TorchModel(folders[0]).logits(TextEncoder.load(folders[0]).encode(["the lamp"]).batch([0])).shape == (1, 3)


@pytest.mark.parametrize(
    ("names", "message"), [(("light", "music"), "3 classes, the data 2"), (("music", "light", "weather"), "another order")]
)
def test_teach_with_a_teacher_of_other_classes_is_refused(
    model_folder: Callable[[str], Path], data: Path, tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data" / "labels.json").write_text(Labels(labels=names).to_json())
    with pytest.raises(TeacherError, match=message):
        perform_teacher(tmp_path, model_folder("bert"), tmp_path / "data")


def test_teach_with_longer_texts_than_the_teacher_reads_is_refused_before_any_work(
    model_folder: Callable[[str], Path], data: Path, tmp_path: Path
) -> None:
    inputs = TeacherInputs(model_folder("bert"), data / "train.arrow", data / "validation.arrow", data / "labels.json")
    with pytest.raises(TeacherError, match="40 tokens at most, not 41") as failure:
        Workspace(tmp_path).perform("teach", TEACHER, SETTINGS.model_copy(update={"max_tokens": 41}), inputs)
    assert "teacher.max_tokens=40" in failure.value.hint
    assert not list(tmp_path.iterdir())


def test_teach_with_a_tokenizer_that_needs_a_missing_package_is_refused_before_any_work(
    model_folder: Callable[[str], Path], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer_files, "_is_installed", lambda module: False)
    model = Path(shutil.copytree(model_folder("bert"), tmp_path / "model"))
    (model / "tokenizer.json").rename(model / "spiece.model")
    with pytest.raises(MissingDependencyError, match="sentencepiece and protobuf are not installed"):
        perform_teacher(tmp_path / "stages", model, data)
    assert not (tmp_path / "stages").exists()


@pytest.mark.parametrize("has_file", [True, False], ids=["tokenizer.json", "vocab.txt"])
def test_teach_with_tokens_beyond_the_embedding_is_refused_before_any_training(
    has_file: bool, model_folder: Callable[[str], Path], data: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(model_folder("bert"), tmp_path / "model"))
    known = TextEncoder.load(model).tokenizer.get_vocab()
    if has_file:
        tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        tokenizer.add_tokens(["beyond"])
        tokenizer.save(str(model / "tokenizer.json"))
    else:
        (model / "tokenizer.json").unlink()
        (model / "vocab.txt").write_text("\n".join([*sorted(known, key=known.__getitem__), "beyond"]))
        (model / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    with pytest.raises(TeacherError, match=f"'beyond' has the id {len(known)}, and the teacher's embedding has {len(known)} rows"):
        perform_teacher(tmp_path / "stages", model, data)
    assert (tmp_path / "stages").exists() is not has_file


def test_teach_of_a_folder_that_is_not_there_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"config\.json: no such file"):
        perform_teacher(tmp_path, tmp_path / "nowhere", data)


def test_teach_with_a_binary_teacher_that_names_no_classes_takes_it_as_it_is(
    make_classifier: Callable[..., Any], write_tokenizer_files: Callable[[Path], None], data: Path, tmp_path: Path
) -> None:
    model = make_classifier("bert", id2label={0: "LABEL_0", 1: "LABEL_1"}, label2id={"LABEL_0": 0, "LABEL_1": 1})
    model.save_pretrained(tmp_path / "model")
    write_tokenizer_files(tmp_path / "model")
    own = answered(tmp_path / "model", data, tmp_path / "data", names=("bad", "good"))
    folder = perform_teacher(tmp_path, tmp_path / "model", own)
    assert torch.equal(load_file(folder / "model.safetensors")["classifier.weight"], model.classifier.weight)
    assert json.loads((folder / "config.json").read_text())["id2label"] == {"0": "bad", "1": "good"}


def test_teach_when_a_taken_teacher_knows_its_classes_by_number_in_another_order_then_refused_with_the_right_one(
    make_classifier: Callable[..., Any], write_tokenizer_files: Callable[[Path], None], data: Path, tmp_path: Path
) -> None:
    model = make_classifier("bert", id2label={0: "LABEL_0", 1: "LABEL_1"}, label2id={"LABEL_0": 0, "LABEL_1": 1})
    model.save_pretrained(tmp_path / "model")
    write_tokenizer_files(tmp_path / "model")
    turned = answered(tmp_path / "model", data, tmp_path / "data", names=("bad", "good"), order=(1, 0))
    with pytest.raises(TeacherError, match="in another order") as caught:
        perform_teacher(tmp_path, tmp_path / "model", turned)
    assert '"id2label": {"0": "good", "1": "bad"}' in caught.value.hint


def test_soft_labels_of_a_teacher_that_is_no_wordpiece_hold_no_token_vectors(
    teacher: Path, data: Path, soft_labels: Path, tmp_path: Path
) -> None:
    assert np.load(soft_labels / "token_vectors.npy").shape == (55, 3 * 32)
    other = Path(shutil.copytree(teacher, tmp_path / "teacher"))
    pieces = Tokenizer.from_file(str(other / "tokenizer.json"))
    words = models.WordLevel(pieces.get_vocab(), unk_token="[UNK]")
    pieces.model = words
    pieces.save(str(other / "tokenizer.json"))
    without = SoftLabelSettings(transfer_set=TransferSet(rows=0), seed=3)
    folder = Workspace(tmp_path / "stages").perform("soft", SOFT_LABELS, without, soft_inputs(other, data)).folder
    assert np.load(folder / "token_vectors.npy", mmap_mode="r").shape == (0, 0)


def test_soft_labels_hold_every_example_of_train_transfer_and_validation(soft_labels: Path, data: Path) -> None:
    ids = read_soft_labels(soft_labels / "soft_labels.arrow").ids.to_pylist()
    transfer = [f"transfer-{i:07d}" for i in range(90)]
    assert sorted(ids) == sorted([f"train-{i}" for i in range(48)] + transfer + [f"validation-{i}" for i in range(20)])


def test_soft_labels_are_the_teachers_raw_logits_of_the_text_with_that_id(
    soft_labels: Path, teacher: Path, data: Path
) -> None:
    found, model, encoder = read_soft_labels(soft_labels / "soft_labels.arrow"), TorchModel(teacher), TextEncoder.load(teacher)
    for path in (data / "train.arrow", soft_labels / "transfer.arrow", data / "validation.arrow"):
        examples = read_examples(path)
        encoded = encoder.encode(examples.texts)
        expected = np.concatenate([model.logits(encoded.batch([i])) for i in range(len(examples))])
        differences = np.abs(found.logits[found.rows_of(examples.ids)] - expected)
        assert differences.mean() < 0.1 * np.abs(expected).mean()  # bfloat16 where the host has it


def test_soft_labels_of_a_train_of_several_batches_have_the_basis_of_evenly_spread_rows(
    teacher: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_labelling, "BATCH_ROWS", 20)
    monkeypatch.setattr(table_labelling, "BASIS_ROWS", 12)
    settings = SoftLabelSettings(transfer_set=TransferSet(rows=0), seed=3)
    made = Workspace(tmp_path).perform("soft", SOFT_LABELS, settings, soft_inputs(teacher, data)).folder
    kept = np.load(made / "sentence_vectors.npy").astype(np.float64)
    off = [np.abs(kept[rows].mean(axis=0)).max() for rows in (np.linspace(0, 47, 12).round().astype(int), np.arange(12))]
    assert len(kept) == 48 + 20
    assert off[0] < 0.02  # principal components are centred on the rows that they are of
    assert off[1] > 0.05


def test_soft_labels_know_what_they_were_made_from(soft_labels: Path, teacher: Path, data: Path) -> None:
    origin = origin_of(soft_inputs(teacher, data), encoder_file="tokenizer.json")
    assert read_soft_labels(soft_labels / "soft_labels.arrow", expected=origin).origin == origin


def test_soft_labels_of_other_data_are_stale(soft_labels: Path, teacher: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    write_examples(tmp_path / "data" / "train.arrow", ["train-0"], ["another text"], [0])
    with pytest.raises(ArtifactError, match="stale soft labels: another data_sha256"):
        read_soft_labels(soft_labels / "soft_labels.arrow", expected=origin_of(
            soft_inputs(teacher, tmp_path / "data"), encoder_file="tokenizer.json"))


def test_soft_labels_transfer_texts_have_no_label_and_are_no_training_texts(soft_labels: Path, data: Path) -> None:
    transfer = read_examples(soft_labels / "transfer.arrow")
    assert len(transfer) == 90
    assert set(transfer.labels.tolist()) == {NO_LABEL}
    assert not set(transfer.texts) & set(read_examples(data / "train.arrow").texts)


def test_soft_labels_transfer_texts_are_no_validation_texts(
    soft_labels: Path, teacher: Path, data: Path, tmp_path: Path
) -> None:
    made = read_examples(soft_labels / "transfer.arrow").texts
    write_examples(tmp_path / "validation.arrow", ["v-0", "v-1"], [made[0].upper(), f" {made[40]}"], [0, 1])
    inputs = replace(soft_inputs(teacher, data), validation=tmp_path / "validation.arrow")
    done = Workspace(tmp_path / "stages").perform("soft", SOFT_LABELS, SOFT, inputs)
    again = read_examples(done.folder / "transfer.arrow").texts
    assert again[:88] == [text for i, text in enumerate(made) if i not in (0, 40)]
    assert not [decision for decision in done.manifest.decisions if "have neighbours" in decision.what]


def test_soft_labels_of_words_that_the_teacher_does_not_know_say_that_few_have_neighbours(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    texts = [f"sana{i} uus kieli lamp" for i in range(20)]  # one of the four words is known, but not in every text
    texts += [f"sana{i} uus kieli" for i in range(20)]
    write_examples(tmp_path / "train.arrow", [f"train-{i}" for i in range(40)], texts, [i % 3 for i in range(40)])
    inputs = replace(soft_inputs(teacher, data), train=tmp_path / "train.arrow")
    done = Workspace(tmp_path / "stages").perform("soft", SOFT_LABELS, SOFT, inputs)
    assert "only 14.3% of the words of the texts have neighbours" in done.manifest.decisions[1].what  # 20 of 140


def test_soft_labels_of_fewer_texts_than_there_are_say_how_many_they_were_made_from(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    settings = SOFT.model_copy(update={"transfer_set": SOFT.transfer_set.model_copy(update={"rows": 10})})
    done = Workspace(tmp_path).perform("soft", SOFT_LABELS, settings, soft_inputs(teacher, data))
    assert done.manifest.decisions[0].what == "made 10 unlabelled texts from 10 of 48 training texts"


def test_soft_labels_of_a_teacher_without_a_mask_token_say_that_nothing_is_masked(
    soft_labels: Path, teacher: Path, data: Path, tmp_path: Path
) -> None:
    maskless = Path(shutil.copytree(teacher, tmp_path / "teacher"))
    path = maskless / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8").replace("[MASK]", "[NONE]"), encoding="utf-8")
    done = Workspace(tmp_path / "stages").perform("soft", SOFT_LABELS, SOFT, soft_inputs(maskless, data))
    assert "masked no words" in [decision.what for decision in done.manifest.decisions]
    assert "masked no words" not in (soft_labels / "manifest.json").read_text(encoding="utf-8")


def test_soft_labels_made_again_have_the_same_bytes(soft_labels: Path, teacher: Path, data: Path, tmp_path: Path) -> None:
    again = Workspace(tmp_path).perform("soft", SOFT_LABELS, SOFT, soft_inputs(teacher, data)).folder
    for name in ("soft_labels.arrow", "transfer.arrow"):
        assert (again / name).read_bytes() == (soft_labels / name).read_bytes()


@pytest.mark.parametrize("least", [20, 10_000], ids=["basis of a sample", "basis of the first batch"])
def test_soft_labels_cut_short_go_on_after_the_last_batch_and_have_the_same_bytes(
    least: int, teacher: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_labelling, "BATCH_ROWS", least)
    whole = Workspace(tmp_path / "whole").perform("soft", SOFT_LABELS, SOFT, soft_inputs(teacher, data)).folder
    write = AnswerParts.write

    def killed_at_the_third(parts: AnswerParts, name: str, arrays: Arrays) -> None:
        if name == "2":
            raise KeyboardInterrupt
        write(parts, name, arrays)

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(AnswerParts, "write", killed_at_the_third)
        Workspace(tmp_path / "cut").perform("soft", SOFT_LABELS, SOFT, soft_inputs(teacher, data))
    written: list[str] = []
    monkeypatch.setattr(AnswerParts, "write", lambda parts, name, arrays: (written.append(name), write(parts, name, arrays)))
    done = Workspace(tmp_path / "cut").perform("soft", SOFT_LABELS, SOFT, soft_inputs(teacher, data)).folder
    assert written == ["2", "3"]  # 0 is the basis, 1 train; then the transfer set and validation
    assert sorted(path.name for path in done.iterdir()) == sorted(path.name for path in whole.iterdir())
    for name in ("soft_labels.arrow", "transfer.arrow", "sentence_vectors.npy", "token_vectors.npy"):
        assert (done / name).read_bytes() == (whole / name).read_bytes()


def test_soft_labels_without_a_transfer_set_hold_the_given_examples_only(teacher: Path, data: Path, tmp_path: Path) -> None:
    without = SoftLabelSettings(transfer_set=TransferSet(rows=0), seed=3)
    folder = Workspace(tmp_path).perform("soft", SOFT_LABELS, without, soft_inputs(teacher, data)).folder
    assert len(read_examples(folder / "transfer.arrow")) == 0
    assert len(read_soft_labels(folder / "soft_labels.arrow").ids) == 68


def test_soft_labels_of_unlabelled_texts_come_first_and_are_varied_too(
    teacher: Path, data: Path, tmp_path: Path
) -> None:
    own = ["quick quick lamp", "cold cold radio"]
    write_examples(tmp_path / "unlabelled.arrow", ["unlabelled-0", "unlabelled-1"], own, [NO_LABEL] * 2)
    inputs = replace(soft_inputs(teacher, data), unlabelled=tmp_path / "unlabelled.arrow")
    kinds = TransferSet(rows=100_000, copies=2, mixing=0, ngrams=0, neighbours=0, masking=0.3, exchanging=0, dropping=0)
    done = Workspace(tmp_path / "stages").perform("soft", SOFT_LABELS, SoftLabelSettings(transfer_set=kinds, seed=3), inputs)
    texts = read_examples(done.folder / "transfer.arrow").texts
    assert texts[:2] == own
    words = {"quick", "lamp", "cold", "radio", "[MASK]"}
    assert any("[MASK]" in text and "quick" in text and set(text.split()) <= words for text in texts[2:])
    assert "2 unlabelled ones" in done.manifest.decisions[0].what


def test_soft_labels_of_texts_without_spaces_have_a_transfer_set_of_texts_without_spaces(
    teacher: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = ("lamp", "song", "rain", "sun", "kitchen")
    texts = [f"我今天{words[i % 5]}很高兴因为天气{words[i // 5]}很好" for i in range(20)]
    write_examples(tmp_path / "train.arrow", [f"train-{i}" for i in range(20)], texts, [i % 3 for i in range(20)])
    inputs = replace(soft_inputs(teacher, data), train=tmp_path / "train.arrow")
    soft = SoftLabelSettings(transfer_set=TransferSet(rows=300, copies=20), seed=3)
    folder = Workspace(tmp_path / "stages").perform("soft", SOFT_LABELS, soft, inputs).folder
    made = read_examples(folder / "transfer.arrow").texts
    assert len(made) > 200
    assert not [text for text in made if " " in text]
    assert sum("[MASK]" in text for text in made) > 50
    assert {text.count("天") for text in made} >= {0, 1, 2, 3}
    assert "single word" not in caplog.text


def test_soft_labels_of_texts_that_are_one_word_each_are_warned_of(
    teacher: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = [f"{word}{'s' * i}" for i in range(5) for word in ("lamp", "song", "rain", "sun")]
    write_examples(tmp_path / "train.arrow", [f"train-{i}" for i in range(20)], texts, [i % 3 for i in range(20)])
    inputs = replace(soft_inputs(teacher, data), train=tmp_path / "train.arrow")
    Workspace(tmp_path / "stages").perform("soft", SOFT_LABELS, SOFT, inputs)
    assert "20 of 20 texts are a single word" in caplog.text
    assert "data.unlabelled" in caplog.text


def test_soft_labels_of_a_teacher_that_answers_nan_are_refused(teacher: Path, data: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(teacher, tmp_path / "teacher"))
    weights = load_file(broken / "model.safetensors")
    weights["classifier.bias"][1] = float("nan")
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(TeacherError, match="NaN"):
        Workspace(tmp_path / "stages").perform("soft", SOFT_LABELS, SOFT, soft_inputs(broken, data))
    assert not list((tmp_path / "stages").rglob("manifest.json"))


def test_teach_with_texts_that_are_cut_says_so_and_varies_what_is_read_of_them(
    model_folder: Callable[[str], Path], data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(data, tmp_path / "data")
    train = read_examples(data / "train.arrow")
    long = [f"{text} {' '.join(['quick'] * 20)} unread" for text in train.texts]
    write_examples(tmp_path / "data" / "train.arrow", train.ids, long, train.labels.tolist())
    model = Path(shutil.copytree(model_folder("bert"), tmp_path / "model"))
    (model / "tokenizer_config.json").write_text('{"truncation_side": "left"}', encoding="utf-8")
    inputs = TeacherInputs(model, *(tmp_path / "data" / name for name in ("train.arrow", "validation.arrow", "labels.json")))
    taught = Workspace(tmp_path / "stages").perform("teach", TEACHER, SETTINGS, inputs)
    told = taught.manifest.decisions[1]
    assert told.what == "100% of the training texts are longer than 16 tokens and are cut"
    assert "truncation_side: left" in told.why
    assert "--set teacher.max_tokens=40. The" in told.why  # its positions
    assert told.what in caplog.text
    assert isinstance(told, GivenWarning)
    soft = Workspace(tmp_path / "stages").perform("soft", SOFT_LABELS, SOFT, soft_inputs(taught.folder, tmp_path / "data"))
    made = read_examples(soft.folder / "transfer.arrow").texts
    assert len(made) == 90
    assert not any("unread" in text for text in made)
    assert max(len(text.split()) for text in made) <= 14  # 16 tokens, two of them special


def test_teach_with_texts_that_fit_says_nothing_of_a_cut(teacher: Path) -> None:
    assert "cut" not in (teacher / "manifest.json").read_text()
