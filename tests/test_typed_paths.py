"""Typed paths: what is typed in a shell, and what was probably meant by a path that is not there."""

import shlex
from pathlib import Path

import pytest

from edgedistill.typed_paths import likely_meant, look_there, not_there, quoted


def test_quoted_when_a_path_holds_blanks_then_a_shell_reads_it_as_one_word() -> None:
    assert shlex.split(f"ls {quoted(Path('meine Daten mit Umlaut/x.csv'))}") == ["ls", "meine Daten mit Umlaut/x.csv"]


@pytest.mark.parametrize(("name", "meant"), [
    ("trian.tsv", "train.tsv"), ("train.csv", "train.tsv"), ("train", "train.tsv"), ("recipe.yml", "recipe.yaml"),
    ("other.yaml", None), ("zzz", None),
])
def test_likely_meant_when_a_file_is_not_there_then_one_whose_stem_is_like_it(tmp_path: Path, name: str, meant: str | None) -> None:
    for there in ("train.tsv", "recipe.yaml"):
        (tmp_path / there).touch()
    assert likely_meant(tmp_path / name) == (None if meant is None else tmp_path / meant)


def test_not_there_when_the_folder_is_not_there_either_then_suggests_nothing(tmp_path: Path) -> None:
    assert not_there(tmp_path / "nowhere" / "x.csv") == f"{tmp_path}/nowhere/x.csv: no such file"


def test_look_there_when_folders_are_missing_then_lists_the_nearest_that_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "meine Daten"
    folder.mkdir()
    (folder / "file").touch()
    for path in (folder / "x.csv", folder / "a" / "b" / "x.csv", folder / "file" / "x.csv"):
        assert look_there(path) == f"ls '{folder}'"
