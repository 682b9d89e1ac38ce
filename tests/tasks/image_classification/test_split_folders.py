"""Folders of splits: known by any usual spelling, and refused where they may be something else."""

from pathlib import Path

import pytest

from edgedistill.errors import DataError
from edgedistill.prepare.columns import Columns
from edgedistill.tasks.image_classification.sources import open_source
from edgedistill.tasks.image_classification.split_folders import split_folder

COLUMNS = Columns("image", "label")


def tree(root: Path, *places: str) -> Path:
    """Folders with an empty file that is called a picture in each."""
    for place in places:
        (root / place).mkdir(parents=True)
        (root / place / "a.png").touch()
    return root


def classes(root: Path, split: str = "train") -> set[str | None]:
    return set(open_source(root, COLUMNS, split=split).labels())


@pytest.mark.parametrize(("train", "validation", "test"), [
    ("Train", "Valid", "Test"), ("TRAINING", "Validation", "Testing"), ("train", "dev", "TEST"),
    ("seg_train", "seg_val", "seg_test"), ("train-images", "val-images", "test-images"), ("My_Train", "my_dev", "my_Test"),
])
def test_split_folder_when_spelled_otherwise_then_found(train: str, validation: str, test: str, tmp_path: Path) -> None:
    tree(tmp_path, *(f"{name}/{kind}" for name in (train, validation, test) for kind in ("cat", "dog")), "seg_pred")
    assert [split_folder(tmp_path, name) for name in ("train", "validation", "test")] == [
        tmp_path / name for name in (train, validation, test)]
    assert classes(tmp_path) == classes(tmp_path, "test") == {"cat", "dog"}


@pytest.mark.parametrize("places", [
    ("train", "bus", "car"), ("train_station", "test_tube"), ("train_station/old", "harbour/new"), ("Train/a", "train_b"),
    ("dev_board", "testing"), ("crosstrain/a", "crosstest/a"),
])
def test_folder_when_classes_are_called_like_splits_then_they_stay_classes(places: tuple[str, ...], tmp_path: Path) -> None:
    tree(tmp_path, *places)
    if places[0] == "Train/a":
        assert classes(tmp_path) == {"a"}
        return
    assert classes(tmp_path) == {place.partition("/")[0] for place in places}


@pytest.mark.parametrize(("places", "said", "hint"), [
    (("Train/cat", "training/cat"), "Train and training could each be the train split", "data.train: {}/Train"),
    (("train/day", "train/night", "bus/day", "bus/night"), "is train a split or a class", "data.train: {}/train;"),
    (("a_train/x", "a_test/x", "b_train/x", "b_test/x"), "a_train, b_train|a_train and b_train", "data.train: {}/a_train"),
    (("val/cat", "val/dog", "test/cat", "test/dog"), r"test and val hold folders of the same names \(cat, dog\)",
     "data.validation: {}/val, data.test: {}/test;"),
    (("one/cat", "one/dog", "two/cat", "two/dog"), "are these the classes", "data.train: {}/one, data.test: {}/two;"),
    (("cat/train", "cat/test", "dog/train", "dog/test"), "are these the splits", "put the splits above the classes"),
    (("train", "test"), "test and train are called like splits", "make folders such as {}/test/cat"),
])
def test_folder_when_it_may_be_divided_in_two_ways_then_refused_with_what_to_write(
    places: tuple[str, ...], said: str, hint: str, tmp_path: Path
) -> None:
    tree(tmp_path, *places)
    with pytest.raises(DataError, match=said) as refused:
        open_source(tmp_path, COLUMNS)
    assert hint.replace("{}", str(tmp_path)) in refused.value.hint


def test_folder_when_pictures_lie_beside_the_same_folders_then_they_are_of_classes(tmp_path: Path) -> None:
    tree(tmp_path, *(f"{kind}/{place}" for kind in ("cat", "dog") for place in ("indoor", "outdoor")))
    (tmp_path / "cat" / "b.png").touch()
    assert classes(tmp_path) == {"cat", "dog"}


def test_folder_when_test_has_no_classes_then_says_how_to_leave_it_out(tmp_path: Path) -> None:
    tree(tmp_path, "train/cat", "train/dog", "test")
    with pytest.raises(DataError, match="in the test split") as refused:
        open_source(tmp_path, COLUMNS, split="test")
    assert f"data.train: {tmp_path / 'train'} leaves that folder out" in refused.value.hint
