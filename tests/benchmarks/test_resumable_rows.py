"""Rows are made once, survive another writer, and a damaged file is refused."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from resumable_rows import RowFile, key_of, pack_bits, unpack_bits

from edgedistill.errors import ArtifactError

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
_WRITER = """
import sys
sys.path.insert(0, sys.argv[1])
import resumable_rows
resumable_rows.commit = lambda: "none"
from pathlib import Path
for number in range(8):
    resumable_rows.RowFile(Path(sys.argv[2])).add({"writer": sys.argv[3], "number": number}, {"x": number}, command="c")
"""


def test_key_when_settings_stand_in_another_order_then_is_the_same() -> None:
    assert key_of({"a": 1, "b": [1, 2]}) == key_of({"b": [1, 2], "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})


def test_find_when_row_was_added_then_gives_it(tmp_path: Path) -> None:
    file = RowFile(tmp_path / "new" / "rows.json")
    assert file.find({"seed": 1}) is None
    added = file.add({"seed": 1}, {"accuracy": 0.5}, command="python x.py")
    assert file.find({"seed": 1}) == added
    assert file.find({"seed": 2}) is None
    assert added["accuracy"] == 0.5
    assert added["command"] == "python x.py"


def test_add_when_settings_are_there_then_keeps_the_first_row(tmp_path: Path) -> None:
    file = RowFile(tmp_path / "rows.json")
    file.add({"seed": 1}, {"accuracy": 0.5}, command="c")
    assert file.add({"seed": 1}, {"accuracy": 0.9}, command="c")["accuracy"] == 0.5
    assert [row["accuracy"] for row in file.rows()] == [0.5]


def test_add_when_two_processes_write_then_no_row_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, str(BENCHMARKS), str(path), name]) for name in ("a", "b")]
    assert [writer.wait() for writer in writers] == [0, 0]
    found = {(row["settings"]["writer"], row["x"]) for row in RowFile(path).rows()}
    assert found == {(name, number) for name in ("a", "b") for number in range(8)}


@pytest.mark.parametrize("damage", ["", '{"rows":[', "[]", '{"rows":[{"x":1}]}'])
def test_rows_when_file_is_damaged_then_refused_and_left_alone(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(damage, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"rows\.json: is damaged"):
        RowFile(path).add({"seed": 1}, {}, command="c")
    assert path.read_text(encoding="utf-8") == damage


def test_rows_when_settings_were_altered_then_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    RowFile(path).add({"seed": 1}, {}, command="c")
    content = json.loads(path.read_text(encoding="utf-8"))
    content["rows"][0]["settings"]["seed"] = 2
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ArtifactError, match="row 0 was altered"):
        RowFile(path).rows()


def test_pack_bits_when_unpacked_then_gives_the_rows_back() -> None:
    bits = np.array([1, 0, 0, 0, 0, 0, 0, 1, 1, 0], dtype=bool)
    assert pack_bits(bits) == "gYA="  # 1000 0001, 1000 0000
    assert unpack_bits("gYA=", 10).tolist() == bits.tolist()


def test_unpack_bits_when_number_of_rows_is_another_then_refused() -> None:
    with pytest.raises(ArtifactError, match="16 bits for 17 rows"):
        unpack_bits("gYA=", 17)
