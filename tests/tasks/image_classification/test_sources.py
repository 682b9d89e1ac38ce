"""Sources of labelled pictures: each kind gives the same pictures, and what is wrong is named."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgedistill.errors import DataError
from edgedistill.plan import PictureSize
from edgedistill.prepare.columns import Columns
from edgedistill.tasks.image_classification.decode import open_picture
from edgedistill.tasks.image_classification.read import decode
from edgedistill.tasks.image_classification.sources import as_bytes, open_source

COLUMNS = Columns("image", "label")


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def pixels_and_labels(path: Path, split: str = "train") -> tuple[np.ndarray, list[str | None]]:
    rows = list(open_source(path, COLUMNS, split=split).read())
    return np.stack([np.asarray(open_picture(row.source).image) for row in rows]), [row.label for row in rows]


@pytest.fixture
def arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (6, 5, 5), dtype=np.uint8), np.array([0, 1, 2, 0, 1, 2], np.uint8)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_when_read_then_the_arrays_that_were_written(ending: str, tmp_path: Path, arrays: tuple) -> None:
    images, labels = arrays
    for name, values in (("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)):
        content = idx(values)
        (tmp_path / (name + ending)).write_bytes(gzip.compress(content) if ending else content)
    source = open_source(tmp_path / f"train-images-idx3-ubyte{ending}", COLUMNS)
    found, names = pixels_and_labels(tmp_path / f"train-images-idx3-ubyte{ending}")
    np.testing.assert_array_equal(found, images)
    assert names == ["0", "1", "2", "0", "1", "2"]
    assert [file.name for file in source.files] == [f"train-labels-idx1-ubyte{ending}"]


def test_idx_when_the_labels_are_missing_then_says_which_file(tmp_path: Path, arrays: tuple) -> None:
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(arrays[0]))
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte"):
        open_source(tmp_path / "t10k-images-idx3-ubyte", COLUMNS)


def test_npz_when_read_then_the_arrays_under_usual_names_too(tmp_path: Path, arrays: tuple) -> None:
    np.savez(tmp_path / "d.npz", x=arrays[0], y=arrays[1])
    found, names = pixels_and_labels(tmp_path / "d.npz")
    np.testing.assert_array_equal(found, arrays[0])
    assert names[:3] == ["0", "1", "2"]


def test_as_bytes_when_floats_or_sixteen_bits_then_scaled_else_refused() -> None:
    assert as_bytes(np.full((1, 2, 2), 0.5, np.float32), "p").max() == 128
    assert as_bytes(np.full((1, 2, 2), 65535, np.uint16), "p").max() == 255
    with pytest.raises(DataError, match="pixels from -1"):
        as_bytes(np.full((1, 2, 2), -1.0), "p")
    with pytest.raises(DataError, match="shape"):
        as_bytes(np.zeros((1, 3, 8, 8), np.uint8), "p")


def test_parquet_when_bytes_with_class_names_then_labels_are_names(make_folder, tmp_path: Path) -> None:
    files = sorted(make_folder(rows=2).rglob("*.png"))
    table = pa.table({"image": [file.read_bytes() for file in files], "label": pa.array([0, 0, 1, 1], pa.int8())})
    names = {"label_names": json.dumps(["dark", "light"])}
    pq.write_table(table.replace_schema_metadata(names), tmp_path / "d.parquet")
    found, labels = pixels_and_labels(tmp_path / "d.parquet")
    assert found.shape == (4, 20, 23, 3)
    assert labels == ["dark", "dark", "light", "light"]


def test_csv_when_it_has_paths_then_they_start_from_its_folder(make_folder) -> None:
    folder = make_folder(rows=2)
    rows = [f"{file.relative_to(folder)},{file.parent.name}" for file in sorted(folder.rglob("*.png"))]
    (folder / "d.csv").write_text("image,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    found, labels = pixels_and_labels(folder / "d.csv")
    assert len(found) == 4
    assert labels == ["dark", "dark", "light", "light"]
    assert len(open_source(folder / "d.csv", COLUMNS).files) == 4


def test_folder_when_divided_into_splits_then_each_is_found(make_folder, tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    for split, rows in (("train", 3), ("val", 2)):
        make_folder(f"all/{split}", rows=rows)
    assert len(pixels_and_labels(tmp_path / "all", "train")[1]) == 6
    assert len(pixels_and_labels(tmp_path / "all", "validation")[1]) == 4


def test_folder_when_files_are_no_pictures_then_they_are_named(make_folder) -> None:
    folder = make_folder(rows=1)
    (folder / "dark" / "notes.txt").write_text("x", encoding="utf-8")
    (folder / "dark" / ".DS_Store").write_text("x", encoding="utf-8")
    assert open_source(folder, COLUMNS).ignored == ("dark/notes.txt",)


def test_sources_when_opened_then_know_how_many_pictures_they_have(make_folder, tmp_path: Path) -> None:
    folder = make_folder(rows=3)
    (folder / "list.csv").write_text("image,label\ndark/00.png,dark\nlight/01.png,light\n", encoding="utf-8")
    np.savez(tmp_path / "some.npz", image=np.zeros((4, 8, 8), np.uint8), label=np.arange(4))
    content = [(folder / "dark" / "00.png").read_bytes()] * 5
    pq.write_table(pa.table({"image": content, "label": ["a"] * 5}), tmp_path / "some.parquet")
    for path, count in ((folder, 6), (folder / "list.csv", 2), (tmp_path / "some.npz", 4), (tmp_path / "some.parquet", 5)):
        source = open_source(path, COLUMNS)
        assert source.count == len(list(source.read())) == count


def test_decode_when_it_takes_long_then_says_how_far_and_how_long_still(
    make_folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgedistill.progress._LINE_EVERY_S", 0.0)
    with caplog.at_level("INFO", logger="edgedistill"):
        decode(open_source(make_folder(rows=2), COLUMNS), PictureSize(8, 3), tmp_path / "raw")
    told = [record.getMessage() for record in caplog.records]
    assert [line.rpartition(", about ")[0] for line in told] == [f"decoding: {done} of 4 pictures" for done in (1, 2, 3)]


def test_folder_when_it_has_no_classes_then_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folders, one for each class"):
        open_source(tmp_path, COLUMNS)
