"""Parts of the teacher's answers that outlive a kill."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgedistill.processes import Group, working_in
from edgedistill.teach.answer_parts import AnswerParts, Arrays, resume


def numbers(first: int, *, last: int = 4) -> Iterator[Arrays]:
    for number in range(first, last):
        yield {"value": np.array([number], np.int64)}


def values(arrays: Iterator[Arrays]) -> list[int]:
    return [int(found["value"][0]) for found in arrays]


def test_resume_when_nothing_is_finished_then_all_is_computed_and_kept(tmp_path: Path) -> None:
    parts = AnswerParts(tmp_path / "parts")
    assert values(resume(parts, numbers)) == [0, 1, 2, 3]
    assert parts.finished() == 4


def test_resume_when_some_is_finished_then_only_the_rest_is_computed(tmp_path: Path) -> None:
    parts, asked = AnswerParts(tmp_path / "parts"), []
    begun = resume(parts, numbers)
    next(begun), next(begun)

    def rest(first: int) -> Iterator[Arrays]:
        asked.append(first)
        return numbers(first)

    assert values(resume(parts, rest)) == [0, 1, 2, 3]
    assert asked == [2]


@pytest.mark.parametrize("damage", ["short", "flipped", "empty", "gone"])
def test_resume_when_a_part_is_damaged_then_it_and_what_follows_is_made_anew(damage: str, tmp_path: Path) -> None:
    parts, asked = AnswerParts(tmp_path / "parts"), []
    values(resume(parts, numbers))
    file = tmp_path / "parts" / "1.npz"
    whole = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        flipped = whole.replace(np.int64(1).tobytes(), np.int64(9).tobytes())
        file.write_bytes({"short": whole[:-40], "flipped": flipped, "empty": b""}[damage])

    def rest(first: int) -> Iterator[Arrays]:
        asked.append(first)
        return numbers(first)

    assert values(resume(parts, rest)) == [0, 1, 2, 3]
    assert asked == [1]


def test_read_when_a_write_was_cut_short_then_the_part_is_not_there(tmp_path: Path) -> None:
    parts = AnswerParts(tmp_path)
    (tmp_path / "0.tmp").write_bytes(b"PK half a part")
    assert parts.read("0") is None
    parts.write("0", {"value": np.zeros(2)})
    assert [path.name for path in tmp_path.iterdir()] == ["0.npz"]


def test_resume_in_a_process_that_only_helps_then_it_computes_what_the_main_one_lacks_and_writes_nothing(tmp_path: Path) -> None:
    class Helper(Group):
        rank, size = 1, 2

        def on_main(self, work: object) -> None:
            return None

        def share(self, text: str) -> str:
            return "3"

    with working_in(Helper()):
        assert values(resume(AnswerParts(tmp_path / "parts"), numbers)) == [3]
    assert not (tmp_path / "parts").exists()
