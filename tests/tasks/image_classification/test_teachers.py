"""Teachers of pictures from a folder: what they say is what transformers' own model and processor say."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    ConvNextConfig,
    ConvNextImageProcessor,
    MobileNetV2Config,
    MobileNetV2ImageProcessor,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTImageProcessor,
)

from edgedistill.errors import TeacherError
from edgedistill.examples import read_examples
from edgedistill.picture_settings import PictureChanges
from edgedistill.plan import PictureSize
from edgedistill.recipe import FineTuning
from edgedistill.results import Labels
from edgedistill.soft_labels import read_soft_labels
from edgedistill.stage import Workspace
from edgedistill.tasks.image_classification import teach_stage as stage
from edgedistill.tasks.image_classification import teacher_model
from edgedistill.tasks.image_classification.encoding import Preprocessing
from edgedistill.tasks.image_classification.pictures import Pixels, Rows, pixels_of, write_pictures
from edgedistill.tasks.image_classification.task import DOOR
from edgedistill.tasks.image_classification.transfer_set import read_transfer_set
from edgedistill.teach.answer_parts import AnswerParts, Arrays
from edgedistill.teach.files import SOFT_LABELS_FILE, TRANSFER_FILE

STORED = PictureSize(20, 3)
OWN, OTHER = ("a", "b"), ("cat", "dog", "eel")
TINY_RESNET = ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], layer_type="basic")
EDGE = {"shortest_edge": 32}
FAMILIES = {
    "vit": (ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=16,
                      patch_size=8), ViTImageProcessor(size={"height": 16, "width": 16})),
    "resnet": (TINY_RESNET, ConvNextImageProcessor(size=EDGE, crop_pct=0.875, resample=3)),
    "convnext": (ConvNextConfig(hidden_sizes=[4, 4, 8, 8], depths=[1, 1, 1, 1]), ConvNextImageProcessor(size=EDGE, crop_pct=0.7)),
    "mobilenet_v2": (MobileNetV2Config(depth_multiplier=0.35, image_size=32),
                     MobileNetV2ImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32})),
}
TUNING = FineTuning(epochs=1, learning_rate=1e-3, batch_size=8)


@dataclass(frozen=True)
class Given:
    """The data that `prepare` would have written, and a place for folders."""

    data: Path
    root: Path

    def teacher(self, family: str, names: Sequence[str]) -> Path:
        """Save a tiny classifier with its own processor."""
        config, processor = FAMILIES[family]
        torch.manual_seed(1)
        config = type(config).from_dict({**config.to_dict(), "id2label": dict(enumerate(names))})
        folder = self.root / f"{family}-{len(names)}-{names[0]}"
        AutoModelForImageClassification.from_config(config).save_pretrained(folder)
        processor.save_pretrained(folder)
        return folder

    def taught(self, folder: Path) -> tuple[Path, list[str]]:
        """Make the teacher ready; return its folder, and its decisions as one text each."""
        settings = stage.TeacherSettings(
            fine_tuning=TUNING, configuration=None, copies=1, changes=PictureChanges(mixup=0, cutmix=0), seed=3)
        inputs = stage.TeacherInputs(folder, *(self.data / name for name in ("train.arrow", "validation.arrow", "labels.json")))
        out = self.root / "taught"
        out.mkdir()
        stage.TEACHER.requires(settings, inputs)
        outcome = stage.TEACHER.run(settings, inputs, out)
        stage.TEACHER.ensures(out)
        return out, [f"{decision.what}: {decision.why}" for decision in outcome.decisions]


@pytest.fixture
def given(tmp_path: Path) -> Given:
    data = tmp_path / "data"
    data.mkdir()
    rng = np.random.default_rng(5)
    for name, count in (("train", 6), ("validation", 4), ("unlabelled", 3)):
        ids = [f"{name}-{row}" for row in range(count)]
        pixels = rng.integers(0, 256, (count, 20, 20, 3), dtype=np.uint8)
        write_pictures(data / f"{name}.arrow", Rows(ids, ids, [row % 2 for row in range(count)]), [pixels], size=STORED)
    (data / "labels.json").write_text(Labels(labels=OWN).to_json())
    return Given(data, tmp_path)


@pytest.mark.parametrize("names", [OWN, OTHER], ids=["taken", "fine-tuned"])
@pytest.mark.parametrize("family", FAMILIES)
def test_soft_labels_when_the_teacher_is_of_a_folder_then_what_transformers_says(
    family: str, names: tuple[str, ...], given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_model, "multiplies_bf16", lambda _: False)
    teacher, decisions = given.taught(given.teacher(family, names))
    assert ("took the teacher as it is" in decisions[0]) == (names == OWN)
    assert ("other classes than the data's (3: cat, dog, eel)" in decisions[0]) == (names == OTHER)
    assert json.loads((teacher / "config.json").read_text())["id2label"] == {"0": "a", "1": "b"}
    out = given.root / "soft"
    out.mkdir()
    settings = stage.SoftLabelSettings(rows=5, copies=1, changes=PictureChanges(), seed=3)
    files = ("train.arrow", "validation.arrow", "labels.json", "unlabelled.arrow")
    stage.SOFT_LABELS.run(settings, stage.SoftLabelInputs(teacher, *(given.data / name for name in files)), out)
    found = read_soft_labels(out / SOFT_LABELS_FILE)
    processor = AutoImageProcessor.from_pretrained(teacher, use_fast=False)
    model = AutoModelForImageClassification.from_pretrained(teacher).eval()
    train, own, validation = (read_examples(given.data / f"{name}.arrow") for name in ("train", "unlabelled", "validation"))
    made = read_transfer_set(out / TRANSFER_FILE, train=train, unlabelled=own)
    assert made.numbers[:3].tolist() == [6, 7, 8]
    copies = np.concatenate([pixels_of(own).take(range(3)), made.changer.make(made.numbers[3:] - 9)])
    assert len(copies) == 3 + 5
    of_splits = [(examples.ids, pixels_of(examples).take(range(len(examples)))) for examples in (train, validation)]
    for ids, pixels in (*of_splits, (made.ids, copies)):
        pictures = list(pixels)
        with torch.inference_mode():
            expected = model(**processor(pictures, return_tensors="pt")).logits.numpy()
        np.testing.assert_allclose(found.logits[found.rows_of(ids)], expected, atol=1e-4)


@pytest.mark.parametrize(("family", "taken"), [("vit", 0), ("resnet", 36), ("mobilenet_v2", 36)])
def test_teach_when_the_teacher_takes_larger_pictures_than_are_stored_then_said(family: str, taken: int, given: Given) -> None:
    teacher, decisions = given.taught(given.teacher(family, OWN))
    sides = f"pictures of 20 x 20 pixels, enlarged to {taken} x {taken}"
    assert any(sides in decision for decision in decisions) == (taken > 0)
    assert any(f"--set pictures.side={taken}" in decision for decision in decisions) == (taken > 0)
    told = DOOR.not_checked(given.data, teacher)
    assert len(told) == (taken > 0)
    assert all(sides in sentence and f"--set pictures.side={taken}" in sentence for sentence in told)


@pytest.mark.parametrize(("taken", "stored", "said"), [
    (224, 96, "--set pictures.side=224 stores what the teacher takes, for both"),
    (600, 96, "--set pictures.side=512 stores larger ones, for both"), (600, 512, "no larger ones than 512 x 512 are stored"),
])
def test_larger_pictures_when_the_teacher_takes_more_than_is_stored_then_nothing_is_advised_that_a_recipe_refuses(
    taken: int, stored: int, said: str
) -> None:
    pixels = Pixels((np.zeros((1, stored, stored, 1), np.uint8),), PictureSize(stored, 1))
    assert stage.larger_pictures(Preprocessing(PictureSize(taken, 1), (0.5,), (0.5,)), pixels) == said


def test_enlarged_when_the_teacher_takes_what_is_stored_or_less_then_nothing() -> None:
    pixels = Pixels((np.zeros((1, 20, 20, 3), np.uint8),), STORED)
    for side in (16, 20):
        assert stage.enlarged(Preprocessing(PictureSize(side, 3), (0.5,) * 3, (0.5,) * 3), pixels) == ""


@pytest.mark.parametrize(("names", "is_taken"), [
    (("a", "b"), True), (("b", "a"), True), (("b", "c", "a"), True), (("LABEL_0", "LABEL_1"), True),
    (("a", "c"), False), (("x", "y"), False), (("LABEL_0", "LABEL_1", "LABEL_2"), False), (OTHER, False)])
def test_is_taken_when_the_teacher_knows_all_classes_of_the_data(names: tuple[str, ...], is_taken: bool, tmp_path: Path) -> None:
    config = {"architectures": ["ViTForImageClassification"], "id2label": {str(i): name for i, name in enumerate(names)}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert stage.is_taken(tmp_path, OWN) == is_taken


@pytest.mark.parametrize("names", [("b", "a"), ("a", "b", "c")])
def test_teach_when_the_data_were_prepared_for_another_teacher_then_refused_with_the_command(
    names: tuple[str, ...], given: Given
) -> None:
    with pytest.raises(TeacherError) as refused:
        given.taught(given.teacher("vit", names))
    assert "edgedistill prepare --recipe" in str(refused.value.hint)


def test_load_with_new_head_when_as_many_outputs_then_only_the_head_is_new(given: Given) -> None:
    folder = given.teacher("resnet", ("x", "y"))
    old = AutoModelForImageClassification.from_pretrained(folder).state_dict()
    torch.manual_seed(7)
    new = teacher_model.load_with_new_head(folder, OWN)
    changed = {name for name, value in new.state_dict().items() if not torch.equal(value, old[name])}
    assert changed == {"classifier.1.weight", "classifier.1.bias"}
    assert new.config.id2label == {0: "a", 1: "b"}


def test_teach_when_the_folder_holds_no_classifier_then_fine_tuned(given: Given) -> None:
    folder = given.root / "body"
    torch.manual_seed(1)
    ResNetModel(TINY_RESNET).save_pretrained(folder)
    FAMILIES["resnet"][1].save_pretrained(folder)
    _, decisions = given.taught(folder)
    assert "its folder holds no trained classifier" in decisions[0]


@pytest.mark.parametrize("cut_at", ["4"])
def test_soft_labels_cut_short_go_on_after_the_last_batch_and_have_the_same_bytes(
    cut_at: str, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "pictures_a_batch", lambda how: 2)
    teacher, _ = given.taught(given.teacher(next(iter(FAMILIES)), OWN))
    settings = stage.SoftLabelSettings(rows=5, copies=1, changes=PictureChanges(), seed=3)
    files = ("train.arrow", "validation.arrow", "labels.json", "unlabelled.arrow")
    inputs = stage.SoftLabelInputs(teacher, *(given.data / name for name in files))
    whole = Workspace(given.root / "whole").perform("soft", stage.SOFT_LABELS, settings, inputs).folder
    write = AnswerParts.write

    def killed(parts: AnswerParts, name: str, arrays: Arrays) -> None:
        if name == cut_at:
            raise KeyboardInterrupt
        write(parts, name, arrays)

    with monkeypatch.context() as short, pytest.raises(KeyboardInterrupt):
        short.setattr(AnswerParts, "write", killed)
        Workspace(given.root / "cut").perform("soft", stage.SOFT_LABELS, settings, inputs)
    written: list[str] = []
    monkeypatch.setattr(AnswerParts, "write", lambda parts, name, arrays: (written.append(name), write(parts, name, arrays)))
    done = Workspace(given.root / "cut").perform("soft", stage.SOFT_LABELS, settings, inputs).folder
    assert written == [str(number) for number in range(int(cut_at), 9)]  # 3 batches of train, 4 of the transfer set, 2 of validation
    for name in (SOFT_LABELS_FILE, TRANSFER_FILE):
        assert (done / name).read_bytes() == (whole / name).read_bytes()
    assert not (done / "parts").exists()
