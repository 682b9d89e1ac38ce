"""Examples: rows come back as written, mapped and not loaded; other files are refused."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from edgedistill.errors import ArtifactError
from edgedistill.examples import NO_LABEL, folded, read_examples, spread_rows, write_examples

IDS, TEXTS, LABELS = ["t-0", "t-1", "t-2"], ["lights on", "Größe: 5\tm²\n🙂", ""], [1, 0, NO_LABEL]


def test_read_examples_when_written_then_the_same_rows_in_order(tmp_path: Path) -> None:
    write_examples(tmp_path / "e.arrow", IDS, TEXTS, LABELS)
    found = read_examples(tmp_path / "e.arrow")
    assert (len(found), found.ids, found.texts) == (3, IDS, TEXTS)
    assert found.labels.dtype == np.int32
    assert found.labels.tolist() == LABELS


def test_write_examples_when_the_same_rows_then_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_examples(tmp_path / name, IDS, TEXTS, LABELS)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_read_examples_when_there_are_none_then_empty(tmp_path: Path) -> None:
    write_examples(tmp_path / "e.arrow", [], [], [])
    found = read_examples(tmp_path / "e.arrow")
    assert (len(found), found.ids, found.labels.shape, list(found.text_batches())) == (0, [], (0,), [])


def test_text_batches_when_many_rows_then_all_in_order_and_none_longer_than_asked(tmp_path: Path) -> None:
    n = 25_001
    write_examples(tmp_path / "e.arrow", [f"t-{i}" for i in range(n)], [str(i) for i in range(n)], [0] * n)
    batches = list(read_examples(tmp_path / "e.arrow").text_batches(4_000))
    assert max(map(len, batches)) <= 4_000
    assert [text for batch in batches for text in batch] == [str(i) for i in range(n)]


def test_read_examples_when_big_then_mapped_and_not_loaded(tmp_path: Path) -> None:
    n = 20_000
    write_examples(tmp_path / "e.arrow", [f"t-{i}" for i in range(n)], ["x" * 500] * n, [0] * n)
    before = pa.total_allocated_bytes()
    found = read_examples(tmp_path / "e.arrow")
    assert len(found) == n
    assert pa.total_allocated_bytes() - before < 100_000  # the texts are 10 MB


def test_read_examples_when_damaged_then_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "e.arrow"
    write_examples(path, IDS, TEXTS, LABELS)
    good = path.read_bytes()
    for bad in (good[:-1], good[: len(good) // 2], b"", good.replace(b"lights", b"nights"), b"id,text,label\n" * 9):
        path.write_bytes(bad)
        with pytest.raises(ArtifactError) as caught:
            read_examples(path)
        assert caught.value.message.startswith(f"{path}: ")
        assert "edgedistill prepare" in caught.value.hint


def test_read_examples_when_missing_then_says_which_verb_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such file") as caught:
        read_examples(tmp_path / "nowhere.arrow")
    assert "edgedistill prepare" in caught.value.hint


@pytest.mark.parametrize(
    "table",
    [pa.table({"sentence": ["a"], "label": [1]}),
     pa.table({"id": [1], "text": ["a"], "label": pa.array([1], pa.int32())})],
)
def test_read_examples_when_the_columns_are_others_then_says_which_are_expected(
    tmp_path: Path, table: pa.Table
) -> None:
    path = tmp_path / "other.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(ArtifactError, match=r"expected id \(string\), text \(string\), label \(int32, or a fixed-size list of int8\)"):
        read_examples(path)


@pytest.mark.parametrize(("text", "expected"), [
    ("Turn\u00a0 it  UP ", "turn it up"), ("ΟΔΟΣ", "οδοσ"), ("οδος", "οδοσ"), ("İzmir", "izmir"),
    ("e\u0307I\u0307", "e\u0307i\u0307"),
])
def test_folded_when_capitals_and_blanks_are_taken_out_then_letter_by_letter(text: str, expected: str) -> None:
    assert folded(text) == expected


def test_spread_rows_when_there_are_more_than_the_limit_then_first_and_last_are_among_them() -> None:
    assert spread_rows(9, 3).tolist() == [0, 4, 8]
    assert spread_rows(3, 9).tolist() == [0, 1, 2]


def test_spread_when_sorted_by_class_then_holds_every_class_and_else_is_the_same(tmp_path: Path) -> None:
    write_examples(tmp_path / "e.arrow", [f"t-{i}" for i in range(30)], ["text"] * 30, [i // 10 for i in range(30)])
    found = read_examples(tmp_path / "e.arrow")
    assert found.spread(3).ids == ["t-0", "t-14", "t-29"]  # 14.5 is rounded to even
    assert found.spread(3).labels.tolist() == [0, 1, 2]
    assert found.spread(30) is found


def test_write_examples_of_several_labels_then_reads_them_back_row_by_row(tmp_path: Path) -> None:
    labels = np.array([[1, 0, 1], [0, 0, 0], [-1, -1, -1]])
    write_examples(tmp_path / "a.arrow", ["a", "b", "c"], ["x", "y", "z"], labels)
    found = read_examples(tmp_path / "a.arrow")
    assert found.labels.tolist() == labels.tolist()
    assert found.take(np.array([2, 0])).labels.tolist() == labels[[2, 0]].tolist()
    assert found.at(1).labels.tolist() == [[0, 0, 0]]
    assert [part.labels.tolist() for part in found.parts(2)] == [labels[:2].tolist(), labels[2:].tolist()]
