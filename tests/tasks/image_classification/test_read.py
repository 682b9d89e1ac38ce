"""At which size pictures are stored where nobody says: by some of them, of which nothing but two figures is kept."""

import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgedistill.errors import DataError
from edgedistill.plan import PictureSize
from edgedistill.prepare.columns import Columns
from edgedistill.tasks.image_classification.read import choose_size, require_openable
from edgedistill.tasks.image_classification.sources import Picture, Source, open_source


def source_of(pictures: Sequence[np.ndarray], asked: list[int] | None = None) -> Source:
    def rows(numbers: Sequence[int] | None) -> Iterator[Picture]:
        for number in range(len(pictures)) if numbers is None else numbers:
            if asked is not None:
                asked.append(number)
            yield Picture(f"row {number}", "a", pictures[number])

    return Source("fake", rows, lambda: iter(["a"] * len(pictures)), count=len(pictures))


class Large(Sequence):
    """Pictures of 3 MB that are made when asked for."""

    def __len__(self) -> int:
        return 60

    def __getitem__(self, number: int) -> np.ndarray:
        return np.ones((1000, 1000, 3), np.uint8)


def test_choose_size_when_pictures_are_large_then_none_is_kept() -> None:
    tracemalloc.start()
    size = choose_size(source_of(Large()), side=None, channels=None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == PictureSize(96, 3)
    assert peak < 15e6


def test_choose_size_when_the_first_classes_are_small_and_grey_then_the_others_count_too() -> None:
    small, large = np.zeros((20, 20), np.uint8), np.zeros((120, 120, 3), np.uint8)
    pictures = [small] * 400 + [large] * 600
    assert choose_size(source_of(pictures), side=None, channels=None) == PictureSize(96, 3)
    assert choose_size(source_of(pictures), side=None, channels=1) == PictureSize(96, 1)


def test_choose_size_when_there_are_many_then_looks_at_200_from_the_first_to_the_last() -> None:
    asked: list[int] = []
    choose_size(source_of([np.zeros((20, 20), np.uint8)] * 1000, asked), side=None, channels=None)
    assert (len(asked), asked[0], asked[-1]) == (200, 0, 999)
    assert max(np.diff(asked)) <= 6


def test_choose_size_when_nobody_knows_how_many_then_looks_at_the_first() -> None:
    asked: list[int] = []
    source = replace(source_of([np.zeros((20, 20), np.uint8)] * 1000, asked), count=None)
    assert choose_size(source, side=None, channels=None) == PictureSize(32, 1)
    assert asked == list(range(200))


def test_choose_size_when_none_can_be_opened_then_refused() -> None:
    with pytest.raises(DataError, match="fake: none of 3 pictures can be opened, the first: row 0: cannot identify"):
        choose_size(source_of([b"no picture"] * 3), side=None, channels=None)
    with pytest.raises(DataError, match="none of 200 pictures, evenly taken of 1,000, can be opened"):
        choose_size(source_of([b"no picture"] * 1000), side=None, channels=None)


def test_require_openable_when_paths_of_a_table_are_wrong_then_says_where_they_start(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("image,label\n" + "".join(f"a{i}.png,{i % 2}\n" for i in range(30)), encoding="utf-8")
    source = open_source(tmp_path / "d.csv", Columns("image", "label"))
    with pytest.raises(DataError, match=r"the first: a0\.png: .*No such file") as refused:
        require_openable(source)
    assert refused.value.hint == f"correct the paths: they start from the folder of the table, {tmp_path}"


def test_require_openable_when_the_first_can_be_opened_then_looks_at_no_other() -> None:
    asked: list[int] = []
    require_openable(source_of([np.zeros((4, 4), np.uint8)] * 50, asked))
    assert asked == [0]
