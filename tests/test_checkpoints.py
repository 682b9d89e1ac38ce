"""Which checkpoint a training goes on from: a whole one, whose best is there too."""

import json
from pathlib import Path

import pytest

from edgedistill.checkpoints import checkpoint_of, last_complete, mark_complete


def make(checkpoints: Path, step: int, *, best: int | None = None, is_marked: bool = True) -> Path:
    folder = checkpoint_of(checkpoints, step)
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text(json.dumps({"best_global_step": best}))
    (folder / "optimizer.pt").write_bytes(b"moments" * step)
    if is_marked:
        mark_complete(folder)
    return folder


def test_last_complete_when_all_are_whole_then_the_latest_by_number(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        make(tmp_path, step, best=9)
    assert last_complete(tmp_path) == checkpoint_of(tmp_path, 100)


def test_last_complete_when_there_is_none_then_none(tmp_path: Path) -> None:
    assert last_complete(tmp_path / "nowhere") is None


@pytest.mark.parametrize("damage", ["unmarked", "empty mark", "half a mark", "empty file", "other bytes", "no file", "a list"])
def test_last_complete_when_the_latest_is_damaged_then_the_one_before_and_it_is_removed(damage: str, tmp_path: Path) -> None:
    before, latest = make(tmp_path, 3, best=3), make(tmp_path, 6, best=3)
    mark, file = latest / "complete", latest / "optimizer.pt"
    if damage == "unmarked":
        mark.unlink()
    elif damage == "no file":
        file.unlink()
    elif damage in ("empty file", "other bytes"):
        file.write_bytes(b"" if damage == "empty file" else b"M" + file.read_bytes()[1:])
    else:
        mark.write_text({"empty mark": "", "half a mark": mark.read_text()[:20], "a list": "[]"}[damage])
    assert last_complete(tmp_path) == before
    assert not latest.exists()


def test_last_complete_when_the_best_of_the_latest_is_gone_then_one_that_has_its_best(tmp_path: Path) -> None:
    make(tmp_path, 6, best=6)
    make(tmp_path, 12, best=9)
    assert last_complete(tmp_path) == checkpoint_of(tmp_path, 6)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-6"]


def test_last_complete_when_no_best_is_left_then_the_training_begins_anew(tmp_path: Path) -> None:
    make(tmp_path, 12, best=9)
    assert last_complete(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_last_complete_when_nothing_was_looked_at_before_it_then_no_best_is_asked_for(tmp_path: Path) -> None:
    made = make(tmp_path, 3)
    assert last_complete(tmp_path) == made
