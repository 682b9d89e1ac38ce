"""The transfer set of pictures: numbers and classes on disk, the copies made again from them."""

from pathlib import Path

import numpy as np
import pytest
from onnxruntime.quantization.quant_utils import compute_scale_zp

from edgedistill.errors import ArtifactError
from edgedistill.examples import NO_LABEL, Examples, read_examples
from edgedistill.picture_settings import PictureChanges
from edgedistill.plan import PictureSize
from edgedistill.soft_labels import Origin, read_soft_labels, write_soft_labels
from edgedistill.tasks.image_classification import distill_work
from edgedistill.tasks.image_classification.changes import ChangedPictures, Changer
from edgedistill.tasks.image_classification.encoding import PictureEncoder, Preprocessing, as_inputs
from edgedistill.tasks.image_classification.pictures import Pixels, Rows, write_pictures
from edgedistill.tasks.image_classification.teach_stage import student_preprocessing
from edgedistill.tasks.image_classification.transfer_set import (
    TransferSet,
    draw_transfer_set,
    read_transfer_set,
    write_transfer_set,
)

CHANGES = PictureChanges(shift=0.2, mixup=0.3, cutmix=0.2)


def table(folder: Path, name: str, rows: int) -> Examples:
    ids = [f"{name}-{row}" for row in range(rows)]
    pixels = np.random.default_rng(rows).integers(0, 256, (rows, 8, 8, 1), dtype=np.uint8)
    path = folder / f"{name}.arrow"
    write_pictures(path, Rows(ids, ids, [row % 3 for row in range(rows)]), [pixels], size=PictureSize(8, 1))
    return read_examples(path)


def shades(folder: Path, name: str, low: int, rows: int) -> Examples:
    """Pictures of one shade each, from `low` on; the classes in turn."""
    ids = [f"{name}-{row}" for row in range(rows)]
    pixels = np.arange(low, low + rows, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
    write_pictures(folder / f"{name}.arrow", Rows(ids, ids, [row % 3 for row in range(rows)]), [pixels], size=PictureSize(8, 1))
    return read_examples(folder / f"{name}.arrow")


@pytest.fixture
def train(tmp_path: Path) -> Examples:
    return table(tmp_path, "train", 6)


@pytest.fixture
def own(tmp_path: Path) -> Examples:
    return table(tmp_path, "unlabelled", 4)


@pytest.fixture
def made(train: Examples, own: Examples) -> TransferSet:
    return draw_transfer_set(train, own, CHANGES, rows=200, seed=7)


def test_draw_then_the_users_pictures_come_first_and_all_are_named(made: TransferSet) -> None:
    assert len(made) == len(made.numbers) == len(made.labels) == 204
    assert made.numbers[:4].tolist() == [6, 7, 8, 9]
    assert len(set(made.ids)) == 204
    assert sorted(made.numbers[4:]) == list(range(10, 210))


def test_draw_then_a_copy_of_one_labelled_picture_has_its_class_and_no_other_has_one(made: TransferSet) -> None:
    assert (made.labels[:4] == NO_LABEL).all()
    copies = made.numbers[4:] - 10
    own_picture, is_mixed = copies % 10, made.changer.is_mixed(copies)
    expected = np.where((own_picture < 6) & ~is_mixed, own_picture % 3, NO_LABEL)
    np.testing.assert_array_equal(made.labels[4:], expected)
    assert 30 < (made.labels != NO_LABEL).sum() < 90  # 60 % are of train, half of them mixed


def test_read_when_written_then_the_same_pictures_to_the_byte(
    made: TransferSet, train: Examples, own: Examples, tmp_path: Path
) -> None:
    write_transfer_set(tmp_path / "transfer.arrow", made)
    found = read_transfer_set(tmp_path / "transfer.arrow", train=train, unlabelled=own)
    assert found.ids == made.ids
    np.testing.assert_array_equal(found.labels, made.labels)
    copies = found.numbers[4:] - 10
    np.testing.assert_array_equal(found.changer.make(copies), made.changer.make(copies))
    write_transfer_set(tmp_path / "again.arrow", found)
    assert (tmp_path / "again.arrow").read_bytes() == (tmp_path / "transfer.arrow").read_bytes()


def test_read_when_of_other_pictures_then_refused(made: TransferSet, train: Examples, tmp_path: Path) -> None:
    write_transfer_set(tmp_path / "transfer.arrow", made)
    with pytest.raises(ArtifactError, match="drawn from 10 pictures, and there are 12"):
        read_transfer_set(tmp_path / "transfer.arrow", train=train, unlabelled=train)


def test_read_when_it_holds_pictures_then_refused(train: Examples, own: Examples, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no transfer set of pictures"):
        read_transfer_set(tmp_path / "train.arrow", train=train, unlabelled=own)


def test_draw_when_nothing_is_made_then_the_users_pictures_alone(train: Examples, own: Examples, tmp_path: Path) -> None:
    made = draw_transfer_set(train, own, CHANGES, rows=0, seed=7)
    assert made.numbers.tolist() == [6, 7, 8, 9]
    write_transfer_set(tmp_path / "transfer.arrow", made)
    assert len(read_transfer_set(tmp_path / "transfer.arrow", train=train, unlabelled=own)) == 4


def test_copies_when_the_teacher_was_trained_with_the_same_seed_then_others(made: TransferSet) -> None:
    copies = made.numbers[4:] - 10
    plain = copies[~made.changer.is_mixed(copies)]
    of_teacher = Changer(made.changer.pixels, made.changer.kinds, made.changer.seed, is_mixing=False).make(plain)
    is_same = (made.changer.make(plain) == of_teacher).all(axis=(1, 2, 3))
    assert not is_same.any()


def test_training_set_then_each_row_has_its_own_pixels_label_and_logits(tmp_path: Path) -> None:
    """A picture has a shade of its own, its logit is its shade, and nothing is changed but what is mixed."""
    train, own = (shades(tmp_path, name, low, rows) for name, low, rows in (("train", 10, 6), ("unlabelled", 100, 4)))
    none = PictureChanges(shift=0, rotation_degrees=0, zoom=0, contrast=0, mixup=0.4, cutmix=0)
    made = draw_transfer_set(train, own, none, rows=60, seed=5)
    plain = Preprocessing(PictureSize(8, 1), (0.0,), (1 / 255,))
    taught = PictureEncoder(Preprocessing(PictureSize(8, 1), (0.0,), (2 / 255,)))
    answers = ChangedPictures(made.changer, plain, np.concatenate([np.arange(6), made.numbers]))
    shade = answers.batch(range(len(answers)))["pixel_values"][:, 0, 0, 0]
    ids = [*train.ids, *made.ids]
    turned = np.random.default_rng(0).permutation(len(ids))  # in the file the answers stand in another order
    write_soft_labels(tmp_path / "soft.arrow", [([ids[i] for i in turned], shade[turned, None])], classes=1,
                      origin=Origin("a", "b", "c"))
    found = distill_work._training_set(plain, train, made, read_soft_labels(tmp_path / "soft.arrow"), teacher=taught)
    batch = found.__getitems__(list(range(len(found))))
    assert len(found) == 6 + 4 + 60
    np.testing.assert_allclose(batch["pixel_values"][:, 0, 0, 0], batch["soft_labels"][:, 0], atol=1e-3)
    np.testing.assert_allclose(batch["pixel_values"], 2 * batch["teacher_pixel_values"], atol=1e-3)
    is_of_train = np.isin(shade.round(), np.arange(10, 16))
    has_class = batch["labels"] != NO_LABEL
    assert 20 < has_class.sum() < 50
    assert (is_of_train | ~has_class).all()
    np.testing.assert_array_equal(batch["labels"][has_class], (shade.round()[has_class].astype(int) - 10) % 3)


def test_student_preprocessing_when_black_and_white_occur_then_each_level_is_an_int8_step() -> None:
    how = student_preprocessing(Pixels((np.zeros((1, 16, 16, 1), np.uint8),), PictureSize(16, 1)))
    levels = as_inputs(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), how).ravel()
    low, high = np.array(levels.min()), np.array(levels.max())
    zero_point, scale = compute_scale_zp(low, high, np.array(-128, np.int8), np.array(127, np.int8), symmetric=False)
    steps = levels / np.float32(scale) + np.float32(zero_point)
    np.testing.assert_allclose(steps, np.arange(-128, 128), atol=1e-3)
