"""Pictures on disk: what is larger than an Arrow array may be is written in pieces, and reads back as one."""

from pathlib import Path

import numpy as np
import pytest

from edgedistill.examples import read_examples
from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification import pictures
from edgedistill.tasks.image_classification.pictures import Rows, pixels_of, write_pictures

SIZE = PictureSize(4, 1)
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1), dtype=np.uint8)


def test_write_pictures_when_larger_than_a_piece_then_pieces_that_read_back_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_PIECE_BYTES", 2 * 16)
    write_pictures(tmp_path / "p.arrow", Rows("abcde", "vwxyz", (0, 1, 2, -1, 4)), [PIXELS], size=SIZE)
    examples = read_examples(tmp_path / "p.arrow")
    found = pixels_of(examples)
    assert [len(part) for part in found.parts] == [2, 2, 1]
    np.testing.assert_array_equal(found.take([4, 0, 3, 2, 1]), PIXELS[[4, 0, 3, 2, 1]])
    assert (list(examples.ids), examples.shown, examples.labels.tolist()) == (list("abcde"), list("vwxyz"), [0, 1, 2, -1, 4])


def test_write_pictures_when_there_are_none_then_a_file_without_rows(tmp_path: Path) -> None:
    write_pictures(tmp_path / "p.arrow", Rows((), (), ()), [], size=SIZE)
    assert len(pixels_of(read_examples(tmp_path / "p.arrow"))) == 0
