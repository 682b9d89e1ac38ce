"""Tables of pictures: a cell has one label, and the pictures that it names belong to the table however the names are stored."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from edgedistill.errors import DataError
from edgedistill.prepare.columns import Columns
from edgedistill.tasks.image_classification.sources import fingerprint, open_source
from edgedistill.tasks.image_classification.tables import PICTURES, PictureTable, label_text

from .conftest import MakeFolder

COLUMNS = Columns("image", "label")


@pytest.mark.parametrize(("label", "said"), [
    (["cat", "dog"], "a list of 2"), (["cat"], "a list of 1"), ([], "a list of 0"), (("a", 1), "a list of 2"), ({1, 2, 3}, "a list of 3"),
    ({"name": "cat"}, "a struct"), ([0, 1], "a list of 2"),
])
def test_label_text_when_it_is_no_single_label_then_refused_with_what_to_do(label: Any, said: str) -> None:
    with pytest.raises(DataError, match=f"row 3: its label is {said}, one word or number is expected") as refused:
        label_text(label, ["cat", "dog"], "row 3")
    assert refused.value.hint.endswith(PICTURES.one_label)
    assert ("data.label_column" in refused.value.hint) == isinstance(label, dict)


def test_parquet_when_labels_are_lists_then_refused_when_they_are_read_alone_too(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [b"x"], "label": [["cat", "dog"]]}), tmp_path / "d.parquet")
    source = open_source(tmp_path / "d.parquet", COLUMNS)
    for rows in (source.read, source.labels):
        with pytest.raises(DataError, match="row 1: its label is a list of 2"):
            list(rows())


def test_saved_data_set_when_labels_are_lists_of_class_labels_then_refused(make_folder: MakeFolder, tmp_path: Path) -> None:
    import datasets

    names = datasets.ClassLabel(names=["dark", "light"])
    files = [str(file) for file in sorted(make_folder(rows=1).rglob("*.png"))]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Sequence(names)})
    datasets.Dataset.from_dict({"image": files, "label": [[0], [0, 1]]}, features=features).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(DataError, match="row 1: its label is a list of 1") as refused:
        list(open_source(tmp_path / "saved", COLUMNS).read())
    assert refused.value.hint == PICTURES.one_label


@pytest.mark.parametrize("kind", ["dictionary", "string view", "large string", "dictionary in a struct"])
def test_parquet_when_paths_are_stored_otherwise_then_the_pictures_still_belong_to_it(
    kind: str, make_folder: MakeFolder, tmp_path: Path
) -> None:
    folder = make_folder(rows=2)
    files = sorted(folder.rglob("*.png"))
    names = pa.array([str(file.relative_to(folder)) for file in files])
    stored: Any = {"dictionary": names.dictionary_encode, "string view": lambda: names.cast(pa.string_view()),
                   "large string": lambda: names.cast(pa.large_string()),
                   "dictionary in a struct": lambda: pa.StructArray.from_arrays([names.dictionary_encode()], ["path"])}[kind]()
    pq.write_table(pa.table({"image": stored, "label": [file.parent.name for file in files]}), folder / "d.parquet")
    source = open_source(folder / "d.parquet", COLUMNS)
    assert sorted(source.files) == files
    before = fingerprint([source])
    files[0].write_bytes(files[1].read_bytes())
    assert fingerprint([open_source(folder / "d.parquet", COLUMNS)]) != before


def test_parquet_when_it_holds_pictures_then_few_are_read_at_a_time_and_all_labels_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [{"bytes": bytes([row]), "path": None} for row in range(120)]
    pq.write_table(pa.table({"image": cells, "label": ["cat"] * 120}), tmp_path / "d.parquet")
    opened: list[dict[str, Any]] = []
    whole = pq.ParquetFile
    monkeypatch.setattr(pq, "ParquetFile", lambda path, **options: (opened.append(options), whole(path, **options))[1])
    table = PictureTable(tmp_path / "d.parquet", COLUMNS, "train", is_labelled=True)
    assert [len(part) for part in table.parts(None)] == [50, 50, 20]
    assert [cell["bytes"] for part in table.parts([0, 49, 50, 119]) for cell in part.column("image").to_pylist()] == [
        b"\0", b"1", b"2", b"w"]
    assert [len(part) for part in table.label_parts()] == [120]
    assert list(table.files()) == []
    assert all(options == {"buffer_size": 2**20, "pre_buffer": False} for options in opened)
