"""The transfer set of pictures: numbers and classes on disk, the copies made again from them."""

from pathlib import Path

import numpy as np
import pytest

from edgedistill.errors import ArtifactError
from edgedistill.examples import NO_LABEL, Examples, read_examples
from edgedistill.picture_settings import PictureChanges
from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification.pictures import Rows, write_pictures
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
