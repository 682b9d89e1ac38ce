"""Sealed Arrow files: any Arrow reader opens them, and a damaged one never reaches Arrow."""

from pathlib import Path

import pyarrow as pa
import pytest

from edgedistill.errors import ArtifactError
from edgedistill.sealed import open_sealed, seal

TABLE = pa.table({"word": pa.array(["one", "two", "", "drei\n"]), "n": pa.array([1, 2, 0, 3], pa.int32())})


def write(path: Path, *, sealed: bool = True) -> Path:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, TABLE.schema) as writer:
        writer.write_table(TABLE)
    if sealed:
        seal(path)
    return path


def test_open_sealed_when_untouched_then_the_same_table(tmp_path: Path) -> None:
    assert open_sealed(write(tmp_path / "t"), hint="again").equals(TABLE)


def test_seal_when_another_reader_opens_the_file_then_it_reads(tmp_path: Path) -> None:
    with pa.ipc.open_file(str(write(tmp_path / "t"))) as reader:
        assert reader.read_all().equals(TABLE)


def test_seal_when_the_same_content_then_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a").read_bytes() == write(tmp_path / "b").read_bytes()


def test_open_sealed_when_any_byte_is_flipped_then_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t")
    good = path.read_bytes()
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 0x80
        path.write_bytes(bad)
        with pytest.raises(ArtifactError, match="damaged"):
            open_sealed(path, hint="again")


def test_open_sealed_when_cut_off_anywhere_then_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t")
    good = path.read_bytes()
    for length in range(len(good)):
        path.write_bytes(good[:length])
        with pytest.raises(ArtifactError, match="damaged") as caught:
            open_sealed(path, hint="again")
        assert caught.value.hint == "again"


def test_open_sealed_when_there_never_was_a_seal_then_only_on_request(tmp_path: Path) -> None:
    path = write(tmp_path / "t", sealed=False)
    with pytest.raises(ArtifactError, match="no seal"):
        open_sealed(path, hint="again")
    assert open_sealed(path, hint="again", is_seal_required=False).equals(TABLE)


def test_open_sealed_when_not_a_file_then_one_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such file"):
        open_sealed(tmp_path / "nowhere", hint="again")
    with pytest.raises(ArtifactError, match="cannot be read"):
        open_sealed(tmp_path, hint="again")
    (tmp_path / "text").write_text("id,text\n1,hello and more than ten bytes\n")
    with pytest.raises(ArtifactError, match="does not end as an Arrow file"):
        open_sealed(tmp_path / "text", hint="again")
