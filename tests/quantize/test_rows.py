"""Rows by arrays."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgedistill.errors import DataError
from edgedistill.examples import write_examples
from edgedistill.quantize.rows import SomeRows, each, read_rows, require_inputs, some_rows


def saved(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


def test_read_rows_of_arrays_keeps_kinds_and_takes_labels_apart(tmp_path: Path) -> None:
    pixels = np.arange(24, dtype=np.float32).reshape(3, 2, 2, 2)
    rows = read_rows(saved(tmp_path / "r.npz", pixels=pixels, labels=np.array([1, 0, 2], np.int32)), tmp_path, limit=2)
    assert len(rows) == 2
    assert rows.labels.tolist() == [1, 2]  # spread over all
    assert [row["pixels"].tolist() for row in each(rows)] == [pixels[:1].tolist(), pixels[2:].tolist()]
    some = SomeRows(rows, np.array([1]))
    assert (len(some), some.labels.tolist(), some.row(0)["pixels"][0, 0, 0, 0]) == (1, [2], 16.0)


def test_read_rows_of_examples_that_are_sorted_by_class_hold_every_class(model_folder: Callable[[str], Path], tmp_path: Path) -> None:
    classes = [row // 20 for row in range(60)]
    write_examples(tmp_path / "v.arrow", [f"v-{row}" for row in range(60)], [f"quick lamp {row}" for row in range(60)], classes)
    rows = read_rows(tmp_path / "v.arrow", model_folder("bert"), limit=6)
    assert rows.labels is not None
    assert rows.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert len(list(each(rows))) == 6


def test_some_rows_when_there_are_no_more_then_all_as_they_are(tmp_path: Path) -> None:
    rows = read_rows(saved(tmp_path / "r.npz", a=np.zeros((3, 2))), tmp_path)
    assert some_rows(rows, 3) is rows


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros((2, 3)), "b": np.zeros((3, 3))}, "2, 3 rows"),
        ({"labels": np.zeros(3, int)}, "no rows"),
        ({"a": np.zeros((2, 3)), "labels": np.zeros(3, int)}, "one integer a row"),
        ({"a": np.zeros((2, 3)), "labels": np.zeros(2)}, "one integer a row"),
    ],
)
def test_read_rows_of_arrays_that_are_no_rows_is_refused(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message) as failure:
        read_rows(saved(tmp_path / "r.npz", **arrays), tmp_path)
    assert "np.savez" in failure.value.hint


def test_read_rows_of_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.npz").write_bytes(b"no zip")
    with pytest.raises(DataError, match="is not an .npz"):
        read_rows(tmp_path / "r.npz", tmp_path)


def test_require_inputs_names_what_is_missing_and_what_is_there(tmp_path: Path) -> None:
    file = saved(tmp_path / "r.npz", ids=np.zeros((2, 3), int))
    with pytest.raises(DataError, match="the model wants mask; there is ids"):
        require_inputs(read_rows(file, tmp_path), ["ids", "mask"], file)
