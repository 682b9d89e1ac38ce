"""Taking a step over: only what has the right key and the right bytes."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from edgedistill.adoption import take_over
from edgedistill.document import Document
from edgedistill.stage import Done, Outcome, Stage, Workspace


class Settings(Document):
    text: str


@dataclass(frozen=True)
class Nothing:
    """No inputs."""


def _write(settings: Settings, inputs: Nothing, out: Path) -> Outcome:
    (out / "made.txt").write_text(settings.text, encoding="utf-8")
    return Outcome()


STAGE = Stage(name="write", version=1, run=_write)


@pytest.fixture
def made(tmp_path: Path) -> Done:
    return Workspace(tmp_path / "other").perform("write", STAGE, Settings(text="hello"), Nothing())


def test_take_over_when_key_and_bytes_are_right_then_the_step_is_found_done(made: Done, tmp_path: Path) -> None:
    target = tmp_path / "mine" / "write" / made.manifest.key
    assert take_over(made.folder, target, key=made.manifest.key)
    assert (target / "made.txt").read_text(encoding="utf-8") == "hello"
    assert sorted(p.name for p in target.parent.iterdir()) == [made.manifest.key]


def test_take_over_when_another_key_is_wanted_then_nothing_is_copied(made: Done, tmp_path: Path) -> None:
    target = tmp_path / "mine" / "write" / "k"
    assert not take_over(made.folder, target, key="k")
    assert not target.exists()


def test_take_over_when_the_other_result_is_damaged_then_refused(made: Done, tmp_path: Path) -> None:
    (made.folder / "made.txt").write_text("HELLO", encoding="utf-8")
    assert not take_over(made.folder, tmp_path / "mine", key=made.manifest.key)


def test_take_over_when_the_result_is_here_already_then_the_other_folder_is_not_needed(made: Done, tmp_path: Path) -> None:
    assert take_over(tmp_path / "gone", made.folder, key=made.manifest.key)
