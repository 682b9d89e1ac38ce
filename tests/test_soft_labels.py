"""Soft labels: an example gets its own answer in any order; stale, damaged and missing ones are refused."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from edgedistill.errors import ArtifactError
from edgedistill.soft_labels import Origin, read_soft_labels, write_soft_labels

ORIGIN = Origin(teacher_sha256="aa", tokenizer_sha256="bb", data_sha256="cc+dd")
IDS = [f"t-{i}" for i in range(10)]
LOGITS = np.arange(30, dtype=np.float32).reshape(10, 3) / 7 - 2  # row i begins with 3 i / 7 - 2


def write(path: Path, *, batch: int = 10, order: list[int] | None = None) -> Path:
    rows = order if order is not None else list(range(10))
    parts = [rows[i : i + batch] for i in range(0, len(rows), batch)]
    write_soft_labels(path, (([IDS[i] for i in p], LOGITS[p]) for p in parts), classes=3, origin=ORIGIN)
    return path


@pytest.mark.parametrize("batch", [1, 3, 10])
@pytest.mark.parametrize("order", [list(range(10)), list(range(9, -1, -1)), [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]])
def test_rows_of_when_written_in_another_order_or_batch_then_each_id_gets_its_own_logits(
    tmp_path: Path, batch: int, order: list[int]
) -> None:
    soft = read_soft_labels(write(tmp_path / "s", batch=batch, order=order))
    asked = ["t-7", "t-0", "t-7", "t-9"]
    np.testing.assert_array_equal(soft.logits[soft.rows_of(asked)], LOGITS[[7, 0, 7, 9]])


@pytest.mark.parametrize(("asked", "is_mapped"), [(range(3, 9), True), ([7], True), ([8, 7], False), ([2, 4], False), ([], False)])
def test_logits_of_when_asked_in_any_order_then_each_its_own_and_mapped_where_the_file_is_in_that_order(
    asked: list[int], is_mapped: bool, tmp_path: Path
) -> None:
    soft = read_soft_labels(write(tmp_path / "s"))
    found = soft.logits_of([IDS[i] for i in asked])
    np.testing.assert_array_equal(found, LOGITS[list(asked)].reshape(-1, 3))
    assert np.shares_memory(found, soft.logits) == is_mapped


def test_read_when_written_in_other_batches_then_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a", batch=3).read_bytes() == write(tmp_path / "b", batch=10).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_read_when_written_then_raw_float32_and_its_origin(tmp_path: Path) -> None:
    soft = read_soft_labels(write(tmp_path / "s"), expected=ORIGIN)
    assert soft.origin == ORIGIN
    assert soft.ids.to_pylist() == IDS
    assert soft.logits.dtype == np.float32
    np.testing.assert_array_equal(soft.logits, LOGITS)


def test_read_when_there_are_none_then_empty(tmp_path: Path) -> None:
    write_soft_labels(tmp_path / "s", [], classes=3, origin=ORIGIN)
    soft = read_soft_labels(tmp_path / "s")
    assert soft.logits.shape == (0, 3)
    assert soft.rows_of([]).shape == (0,)


def test_rows_of_when_an_id_is_missing_then_refused_by_name_and_counted(tmp_path: Path) -> None:
    soft = read_soft_labels(write(tmp_path / "s"))
    with pytest.raises(ArtifactError, match=r"no soft label for example 'x-1' \(and 1 more\)") as caught:
        soft.rows_of(["t-1", "x-1", "t-2", "x-2"])
    assert caught.value.hint


@pytest.mark.parametrize("name", ["teacher_sha256", "tokenizer_sha256", "data_sha256"])
def test_read_when_the_origin_is_another_then_refused_and_named(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "s")
    with pytest.raises(ArtifactError, match=f"stale soft labels: another {name}$"):
        read_soft_labels(path, expected=replace(ORIGIN, **{name: "changed"}))


def test_read_when_all_of_the_origin_is_another_then_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="another teacher_sha256, tokenizer_sha256, data_sha256$"):
        read_soft_labels(write(tmp_path / "s"), expected=Origin("1", "2", "3"))


def test_read_when_any_byte_is_flipped_then_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "s")
    good = path.read_bytes()
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 0x01
        path.write_bytes(bad)
        with pytest.raises(ArtifactError):
            read_soft_labels(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_read_when_cut_off_then_refused_by_name_with_a_hint(tmp_path: Path, share: float) -> None:
    path = write(tmp_path / "s")
    good = path.read_bytes()
    path.write_bytes(good[: int(len(good) * share)])
    with pytest.raises(ArtifactError, match="damaged") as caught:
        read_soft_labels(path)
    assert caught.value.message.startswith(f"{path}: ")
    assert "run the same command again" in caught.value.hint


def test_read_when_missing_then_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such file"):
        read_soft_labels(tmp_path / "nowhere")


def test_read_when_big_then_mapped_and_not_loaded(tmp_path: Path) -> None:
    rows, classes = 4_000, 400  # 6.4 MB, in four batches
    batches = (
        ([f"t-{i}" for i in range(start, start + 1_000)], np.full((1_000, classes), start, np.float32))
        for start in range(0, rows, 1_000)
    )
    write_soft_labels(tmp_path / "s", batches, classes=classes, origin=ORIGIN)
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        soft = read_soft_labels(tmp_path / "s")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert soft.logits.shape == (rows, classes)
    assert not soft.logits.flags.writeable
    assert soft.logits[3_999, 399] == 3_000
    assert pa.total_allocated_bytes() - before < 100_000
    assert peak_bytes < 3_000_000  # the chunks that are hashed


@pytest.mark.parametrize("shape", [(2, 3), (1, 2), (1, 4), (3,)])
def test_write_when_logits_do_not_belong_to_the_ids_then_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="logits of shape"):
        write_soft_labels(tmp_path / "s", [(["t-0"], np.zeros(shape, np.float32))], classes=3, origin=ORIGIN)
