"""Storage: the system's word about it becomes one error, whose hint fits what -o names."""

import errno
import os
from pathlib import Path

import pytest

from edgedistill.errors import StorageError
from edgedistill.recipe_writer import RecipeAnswers, write_recipe
from edgedistill.storage import storage_errors


@pytest.mark.parametrize(("number", "is_file", "says", "hint"), [
    (errno.EACCES, False, "may not be written", "choose another folder with -o DIR"),
    (errno.EACCES, True, "may not be written", "choose a file in another folder with -o FILE"),
    (errno.EROFS, True, "the file system is read-only", "choose a file in another folder with -o FILE"),
    (errno.ENOTDIR, False, "a file stands where a folder is needed", "choose another folder with -o DIR"),
    (errno.ENOSPC, True, "the disk is full", "free some space and run the same command again: finished steps are kept"),
])
def test_storage_errors_when_the_system_refuses_then_one_error_whose_hint_fits(
    number: int, is_file: bool, says: str, hint: str
) -> None:
    with pytest.raises(StorageError) as caught, storage_errors(Path("out"), is_file=is_file):
        raise OSError(number, os.strerror(number), "out/x")
    assert (caught.value.message, caught.value.hint) == (f"out/x: {says}", hint)


def test_write_recipe_when_the_folder_may_not_be_written_then_the_hint_asks_for_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.csv").write_text("text,label\nhi,a\nho,b\n", encoding="utf-8")

    def refuse(path: Path, **rest: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError) as caught:
        write_recipe(RecipeAnswers(recipe_id="mine", task="text-classification", train=tmp_path / "train.csv"),
                     tmp_path / "locked" / "mine.yaml")
    assert caught.value.hint == "choose a file in another folder with -o FILE"
