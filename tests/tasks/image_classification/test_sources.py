"""Sources of labelled pictures: each kind gives the same pictures, and what is wrong is named."""

import gzip
import json
import os
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from edgedistill.errors import DataError
from edgedistill.plan import PictureSize
from edgedistill.prepare.columns import Columns
from edgedistill.tasks.image_classification import sources
from edgedistill.tasks.image_classification.arrays import as_bytes
from edgedistill.tasks.image_classification.decode import READS_AVIF, open_picture
from edgedistill.tasks.image_classification.read import decode
from edgedistill.tasks.image_classification.sources import UNREAD_SUFFIXES, fingerprint, holds_split, open_source, require_classes

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


def test_as_bytes_when_black_and_white_then_white_is_255() -> None:
    for kind in (bool, np.uint8, np.int64, np.float32):
        assert as_bytes(np.eye(3, dtype=kind)[None], "p").tolist() == (np.eye(3)[None] * 255).tolist()
    assert as_bytes(np.array([[[0, 1, 2]]]), "p").max() == 2


@pytest.mark.parametrize(("content", "said"), [
    (b"", "cannot be read as .npz"), (b"PK no zip", "cannot be read as .npz"), (b"npy", "one array without a name")])
def test_npz_when_empty_damaged_or_of_another_kind_then_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    path.write_bytes(content)
    if content == b"npy":
        with path.open("wb") as stream:
            np.save(stream, np.zeros(3))
    with pytest.raises(DataError, match=said):
        open_source(path, COLUMNS)


@pytest.mark.parametrize(("labels", "names"), [
    (np.array([b"cat", b"dog"]), ["cat", "dog"]), (np.array([0.0, 1.0]), ["0", "1"]), (np.array([True, False]), ["true", "false"])])
def test_npz_when_labels_are_of_any_kind_then_classes_as_in_other_files(labels: np.ndarray, names: list[str], tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", image=np.zeros((2, 8, 8), np.uint8), label=labels)
    assert [row.label for row in open_source(tmp_path / "d.npz", COLUMNS).read()] == names


def saved_set(files: list[Path], folder: Path, splits: tuple[str, ...] = ()) -> Path:
    """A folder that `datasets` saved, with datasets.Image; with splits each has all files."""
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["dark", "light"])})
    rows = {"image": [str(file) for file in files], "label": [int(file.parent.name == "light") for file in files]}
    data = datasets.Dataset.from_dict(rows, features=features)
    (datasets.DatasetDict(dict.fromkeys(splits, data)) if splits else data).save_to_disk(str(folder))
    return folder


def test_saved_data_set_when_read_then_pictures_with_class_names_and_any_rows(make_folder, tmp_path: Path) -> None:
    folder = saved_set(sorted(make_folder(rows=2).rglob("*.png")), tmp_path / "saved")
    found, labels = pixels_and_labels(folder)
    assert found.shape == (4, 20, 23, 3)
    assert labels == ["dark", "dark", "light", "light"]
    source = open_source(folder, COLUMNS)
    assert source.count == 4
    assert [(row.name, row.label) for row in source.rows([1, 3])] == [("row 2", "dark"), ("row 4", "light")]


def test_saved_data_set_when_it_holds_splits_then_each_is_found_by_any_usual_name(make_folder, tmp_path: Path) -> None:
    files = sorted(make_folder(rows=2).rglob("*.png"))
    folder = saved_set(files, tmp_path / "saved", ("train", "valid"))
    assert holds_split(folder, "validation", COLUMNS)
    assert not holds_split(folder, "test", COLUMNS)
    assert len(pixels_and_labels(folder, "validation")[1]) == 4
    with pytest.raises(DataError, match="no split 'test'; it holds: train, valid"):
        open_source(folder, COLUMNS, split="test")


@pytest.mark.parametrize("name", ["state.json", "dataset_info.json"])
def test_saved_data_set_when_damaged_then_refused(name: str, make_folder, tmp_path: Path) -> None:
    folder = saved_set(sorted(make_folder(rows=2).rglob("*.png")), tmp_path / "saved")
    (folder / name).write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read as a saved data set"):
        open_source(folder, COLUMNS)


def test_parquet_when_datasets_wrote_it_with_images_then_the_same_and_any_rows(make_folder, tmp_path: Path) -> None:
    import datasets

    files = sorted(make_folder(rows=3).rglob("*.png"))
    data = datasets.load_from_disk(str(saved_set(files, tmp_path / "saved")))
    data.to_parquet(str(tmp_path / "d.parquet"), batch_size=2)
    found, labels = pixels_and_labels(tmp_path / "d.parquet")
    assert found.shape == (6, 20, 23, 3)
    assert labels == ["dark"] * 3 + ["light"] * 3
    some = list(open_source(tmp_path / "d.parquet", COLUMNS).rows([0, 2, 5]))
    assert [(row.name, row.label) for row in some] == [("row 1", "dark"), ("row 3", "dark"), ("row 6", "light")]
    for row, number in zip(some, (0, 2, 5), strict=True):
        np.testing.assert_array_equal(np.asarray(open_picture(row.source).image), found[number])


def test_parquet_when_a_class_number_has_no_name_then_it_has_no_label(tmp_path: Path) -> None:
    table = pa.table({"image": [b"x"], "label": pa.array([-1], pa.int8())})
    pq.write_table(table.replace_schema_metadata({"label_names": json.dumps(["a"])}), tmp_path / "d.parquet")
    with pytest.raises(DataError, match="row 1: has no label"):
        list(open_source(tmp_path / "d.parquet", COLUMNS).read())


def test_jsonl_when_it_has_paths_then_they_start_from_its_folder(make_folder) -> None:
    folder = make_folder(rows=2)
    rows = [json.dumps({"image": str(file.relative_to(folder)), "label": file.parent.name}) for file in sorted(folder.rglob("*.png"))]
    (folder / "d.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    found, labels = pixels_and_labels(folder / "d.jsonl")
    assert len(found) == 4
    assert labels == ["dark", "dark", "light", "light"]


def test_table_when_the_column_is_missing_then_the_hint_is_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("file,label\na.png,a\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column 'image'") as refused:
        open_source(tmp_path / "d.csv", COLUMNS)
    assert "pictures.column" in refused.value.hint


def test_table_when_the_label_is_missing_then_no_columns_of_flags_are_advised(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("image,zzz\na.png,a\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column 'label'") as refused:
        open_source(tmp_path / "d.csv", COLUMNS)
    assert "--label-column NAME" in refused.value.hint
    assert "--label-columns" not in refused.value.hint


@pytest.mark.parametrize(("line", "said", "hint"), [
    ('"a string"', "d.jsonl:1: a JSON object is expected", '{"image": "photos/1.jpg", "label": "cat"}'),
    ('{"image": 5, "label": "x"}', "column 'image' holds a number, a path is expected", "holds the pictures: pictures.column"),
    ('{"image": " ", "label": "x"}', "column 'image': the path is empty", "give it a path"),
    ('{"file": "a", "label": "x"}', "no column 'image'", "set pictures.column"),
    ('{"image": "a", "label": ["x"]}', "holds a list, one label is expected", "give each picture one label"),
])
def test_jsonl_when_a_line_is_wrong_then_message_and_hint_are_of_pictures(line: str, said: str, hint: str, tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(DataError) as refused:
        open_source(tmp_path / "d.jsonl", COLUMNS)
    assert said in refused.value.message
    assert hint in refused.value.hint
    assert "data.text_column" not in refused.value.hint


def unlabelled(kind: str, folder: Path) -> Path:
    """Four pictures in a source of a kind, without labels."""
    files = sorted(folder.rglob("*.png"))
    lines = [str(file.relative_to(folder)) for file in files]
    if kind == "folder":
        return folder
    path = folder / f"d.{kind}"
    if kind in ("csv", "txt"):
        path.write_text("\n".join(["image", *lines] if kind == "csv" else lines) + "\n", encoding="utf-8")
    elif kind == "jsonl":
        path.write_text("\n".join(json.dumps({"image": line}) for line in lines), encoding="utf-8")
    elif kind == "parquet":
        pq.write_table(pa.table({"image": [file.read_bytes() for file in files]}), path)
    elif kind == "npz":
        np.savez(path, image=np.stack([np.asarray(open_picture(file).image) for file in files]))
    else:
        path.with_name("x-images-idx3-ubyte").write_bytes(idx(np.stack([np.asarray(open_picture(f).image.convert("L")) for f in files])))
        return path.with_name("x-images-idx3-ubyte")
    return path


@pytest.mark.parametrize("kind", ["folder", "csv", "txt", "jsonl", "parquet", "npz", "idx"])
def test_source_when_there_are_no_labels_then_needs_none_if_none_are_asked_for(kind: str, make_folder, tmp_path: Path) -> None:
    (make_folder(rows=2) / "dark").rename(tmp_path / "flat")
    for file in (tmp_path / "photos" / "light").iterdir():
        file.rename(tmp_path / "flat" / f"light-{file.name}")
    path = unlabelled(kind, tmp_path / "flat")
    source = open_source(path, COLUMNS, is_labelled=False)
    assert source.count == 4
    assert [row.label for row in source.read()] == [None] * 4
    assert np.stack([np.asarray(open_picture(row.source).image) for row in source.read()]).shape[:3] == (4, 20, 23)
    with pytest.raises(DataError):
        list(open_source(path, COLUMNS).read())


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


@pytest.mark.parametrize("kind", ["text", "struct", "paths alone"])
def test_parquet_when_it_has_paths_then_the_pictures_belong_to_it_and_bytes_bring_none(kind: str, make_folder, tmp_path: Path) -> None:
    folder = make_folder(rows=2)
    files = sorted(folder.rglob("*.png"))
    names = [str(file.relative_to(folder)) for file in files]
    labels = [file.parent.name for file in files]
    structs = [{"path": name} | ({"bytes": None} if kind == "struct" else {}) for name in names]
    cells = names if kind == "text" else structs
    pq.write_table(pa.table({"image": cells, "label": labels}), folder / "d.parquet")
    source = open_source(folder / "d.parquet", COLUMNS)
    assert sorted(source.files) == files
    before = fingerprint([source])
    files[0].write_bytes(files[1].read_bytes())
    assert fingerprint([open_source(folder / "d.parquet", COLUMNS)]) != before
    pq.write_table(pa.table({"image": [{"bytes": file.read_bytes(), "path": file.name} for file in files], "label": labels}),
                   folder / "b.parquet")
    assert open_source(folder / "b.parquet", COLUMNS).files == ()
    pq.write_table(pa.table({"image": ["x" * 5000] * 4, "label": labels}), folder / "c.parquet")
    assert open_source(folder / "c.parquet", COLUMNS).files == ()


def test_csv_when_a_picture_is_called_with_a_tilde_then_it_is_no_home(make_folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_folder(rows=1)
    (folder / "dark" / "00.png").rename(folder / "~1.png")
    monkeypatch.setenv("HOME", str(folder / "light"))
    (folder / "d.csv").write_text("image,label\n~1.png,dark\n~/00.png,light\n", encoding="utf-8")
    assert list(open_source(folder / "d.csv", COLUMNS).files) == [folder / "~1.png", folder / "light" / "00.png"]


def test_folder_when_a_class_is_a_link_or_holds_one_then_its_pictures_are_read(make_folder, tmp_path: Path) -> None:
    folder, more = make_folder(rows=2), make_folder("more", rows=3)
    (folder / "grey").symlink_to(more / "light")
    (folder / "dark" / "deeper").symlink_to(more / "dark")
    assert len(list(open_source(folder, COLUMNS).read())) == 2 + 3 + 2 + 3


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


def test_folder_when_pictures_lie_beside_the_classes_or_a_class_has_none_then_they_are_named(make_folder) -> None:
    folder = make_folder(rows=1)
    (folder / "stray.png").write_bytes((folder / "dark" / "00.png").read_bytes())
    (folder / "list.csv").write_text("x", encoding="utf-8")
    (folder / "none").mkdir()
    source = open_source(folder, COLUMNS)
    assert (source.beside, source.empty, source.count) == (("stray.png",), ("none",), 2)


def test_folder_when_names_end_in_jfif_then_they_are_pictures(make_folder) -> None:
    folder = make_folder(rows=1)
    Image.new("RGB", (8, 8)).save(folder / "dark" / "a.jfif", format="JPEG")
    assert open_source(folder, COLUMNS).count == 3
    assert READS_AVIF is (".avif" not in UNREAD_SUFFIXES)


@pytest.mark.skipif(not READS_AVIF, reason="this Pillow was built without AVIF")
def test_folder_when_this_pillow_reads_avif_then_so_do_we(make_folder) -> None:
    folder = make_folder(rows=1)
    Image.new("RGB", (8, 8), (200, 0, 0)).save(folder / "dark" / "a.avif")
    (picture,) = [row for row in open_source(folder, COLUMNS).read() if row.name.endswith(".avif")]
    assert open_picture(picture.source).image.size == (8, 8)


def test_folder_when_all_files_are_of_a_kind_that_is_not_read_then_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"\.heic are not read") as refused:
        open_source(tmp_path, COLUMNS)
    assert refused.value.hint == "convert them to JPEG"


def test_sources_when_opened_then_know_how_many_pictures_they_have(make_folder, tmp_path: Path) -> None:
    folder = make_folder(rows=3)
    (folder / "list.csv").write_text("image,label\ndark/00.png,dark\nlight/01.png,light\n", encoding="utf-8")
    np.savez(tmp_path / "some.npz", image=np.zeros((4, 8, 8), np.uint8), label=np.arange(4))
    content = [(folder / "dark" / "00.png").read_bytes()] * 5
    pq.write_table(pa.table({"image": content, "label": ["a"] * 5}), tmp_path / "some.parquet")
    for path, count in ((folder, 6), (folder / "list.csv", 2), (tmp_path / "some.npz", 4), (tmp_path / "some.parquet", 5)):
        source = open_source(path, COLUMNS)
        assert source.count == len(list(source.read())) == count


@pytest.mark.parametrize("kind", ["folder", "csv", "parquet", "saved", "npz"])
def test_labels_when_asked_alone_then_those_of_the_pictures_and_no_picture_is_read(
    kind: str, make_folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder()
    files = sorted(folder.rglob("*.png"))
    path = {"folder": folder, "csv": folder / "list.csv", "parquet": tmp_path / "d.parquet", "saved": tmp_path / "saved",
            "npz": tmp_path / "d.npz"}[kind]
    names = [f"class {number % 2}" for number in range(len(files))]
    if kind == "csv":
        path.write_text("image,label\n" + "".join(f"{file.relative_to(folder)},{name}\n" for file, name in zip(files, names, strict=True)))
    elif kind == "npz":
        np.savez(path, image=np.zeros((len(files), 4, 4), np.uint8), label=np.array(names))
    elif kind != "folder":
        import datasets

        data = datasets.Dataset.from_dict({"image": [file.read_bytes() for file in files], "label": names})
        data.to_parquet(str(path)) if kind == "parquet" else data.save_to_disk(str(path))
    expected = [picture.label for picture in open_source(path, COLUMNS).read()]
    monkeypatch.setattr(sources, "Picture", None)
    monkeypatch.setattr(sources, "cell_source", None)
    found = open_source(path, COLUMNS).labels()
    assert list(found) == expected
    assert len(set(expected)) > 1


def test_decode_when_it_takes_long_then_says_how_far_and_how_long_still(
    make_folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgedistill.progress._LINE_EVERY_S", 0.0)
    with caplog.at_level("INFO", logger="edgedistill"):
        decode(open_source(make_folder(rows=2), COLUMNS), PictureSize(8, 3), tmp_path / "raw")
    told = [record.getMessage() for record in caplog.records]
    assert [line.rpartition(", about ")[0] for line in told] == [f"decoding: {done} of 4 pictures" for done in (1, 2, 3)]


@pytest.mark.parametrize("names", [
    ("{}_images", "{}_labels", ("train", "val", "test")), ("x_{}", "y_{}", ("train", None, "test")),
    ("X_{}", "y_{}", ("train", "valid", None))])
def test_npz_when_it_holds_splits_then_each_is_read_and_columns_of_labels_too(names: tuple, tmp_path: Path) -> None:
    image, label, words = names
    held = {split: word for split, word in zip(("train", "validation", "test"), words, strict=True) if word}
    arrays = {}
    for value, word in enumerate(held.values()):
        arrays |= {image.format(word): np.full((2, 4, 4), 100 + value, np.uint8), label.format(word): np.array([[value], [9]])}
    path = tmp_path / "medmnist.npz"
    np.savez(path, **arrays)
    assert {split for split in ("train", "validation", "test") if holds_split(path, split, COLUMNS)} == set(held)
    for value, split in enumerate(held):
        found, labels = pixels_and_labels(path, split)
        assert (found.max(), found.min(), labels) == (100 + value, 100 + value, [str(value), "9"])


def test_npz_when_the_recipe_names_an_array_then_it_is_not_divided(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", train_images=np.zeros((2, 4, 4), np.uint8), train_labels=[0, 1], test_images=np.zeros((1, 4, 4)))
    columns = Columns("train_images", "train_labels")
    assert not holds_split(tmp_path / "d.npz", "test", columns)
    assert open_source(tmp_path / "d.npz", columns).count == 2
    with pytest.raises(DataError, match="no labels of the split test; it holds: train_images") as refused:
        open_source(tmp_path / "d.npz", COLUMNS, split="test")
    assert "train_images, train_labels" in refused.value.hint


def test_folder_when_names_are_not_utf8_then_pictures_are_named_readably_and_classes_refused(make_folder) -> None:
    folder, strange = make_folder(rows=2), os.fsdecode(b"\xe9t\xe9")
    (folder / "dark" / "00.png").rename(folder / "dark" / f"{strange}.png")
    assert "dark/\\xe9t\\xe9.png" in [row.name for row in open_source(folder, COLUMNS).read()]
    (folder / "light").rename(folder / strange)
    with pytest.raises(DataError, match=r"the folder \\xe9t\\xe9 names a class"):
        open_source(folder, COLUMNS)
    with pytest.raises(DataError, match=r"\\xe9t\\xe9: the name is not UTF-8"):
        open_source(folder / strange, COLUMNS, is_labelled=False)


@pytest.mark.parametrize("inside", ["photos", "a/photos"])
def test_require_classes_when_the_folder_holds_one_folder_then_names_the_one_inside(inside: str, make_folder, tmp_path: Path) -> None:
    make_folder(f"wrap/{inside}", rows=1)
    with pytest.raises(DataError, match=f"all pictures are of the class '{inside.split('/')[0]}'") as no:
        require_classes(open_source(tmp_path / "wrap", COLUMNS))
    assert f"--images {tmp_path / 'wrap' / inside} " in no.value.hint
    require_classes(open_source(tmp_path / "wrap" / inside, COLUMNS))


def test_folder_when_it_has_no_classes_then_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folders, one for each class"):
        open_source(tmp_path, COLUMNS)
