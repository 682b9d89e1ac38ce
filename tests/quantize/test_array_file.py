"""Arrays of an .npz, row by row."""

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgedistill.errors import DataError
from edgedistill.quantize.array_file import open_arrays, split_arrays

TABLE = np.arange(600, dtype=np.float32).reshape(50, 3, 4)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("table", [TABLE, np.asfortranarray(TABLE), TABLE[:, 0, 0].astype(np.int64), TABLE[:, :0]],
                         ids=["plain", "Fortran's order", "one axis", "empty rows"])
def test_slices_are_those_of_the_array_in_any_order(tmp_path: Path, save: Callable[..., None], table: np.ndarray) -> None:
    save(tmp_path / "a.npz", table=table)
    found = open_arrays(tmp_path / "a.npz")["table"]
    assert (len(found), found.shape, found.ndim, found.dtype) == (50, table.shape, table.ndim, table.dtype)
    for part in (slice(3, 4), slice(4, 9), slice(40, 60), slice(0, 2), slice(1, 2), slice(None)):
        np.testing.assert_array_equal(found[part], table[part])


def test_rows_are_split_in_their_order(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", table=TABLE, labels=np.arange(50))
    mask = np.arange(50) % 3 == 0
    split_arrays(open_arrays(tmp_path / "a.npz"), ((tmp_path / "in.npz", mask), (tmp_path / "out.npz", ~mask)))
    for name, rows in (("in.npz", mask), ("out.npz", ~mask)):
        with np.load(tmp_path / name) as found:
            np.testing.assert_array_equal(found["table"], TABLE[rows])
            assert found["labels"].tolist() == np.arange(50)[rows].tolist()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match="zip"):
        open_arrays(tmp_path / "a.npz")


def test_python_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=np.array([None, 1], object))
    with pytest.raises(ValueError, match="Python objects"):
        open_arrays(tmp_path / "a.npz")


def test_going_over_an_array_holds_a_row_at_a_time(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros((2000, 4000), np.float32))  # 32 MB
    tracemalloc.start()
    found = open_arrays(tmp_path / "a.npz")["a"]
    split_arrays({"a": found}, ((tmp_path / "half.npz", np.arange(2000) % 2 == 0),))
    for index in range(0, 2000, 7):
        found[index : index + 1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


_PEAK = """
import sys
from pathlib import Path
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper
from edgedistill.benchmark.worker import peak_rss_bytes
from edgedistill.int8_settings import Calibration
from edgedistill.quantize.calibration_rows import draw_rows
from edgedistill.quantize.rows import each
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.static_quantizer import Calibration as Ranges, quantize_statically
from edgedistill.user_paths import open_calibration
folder, n = Path(sys.argv[1]), int(sys.argv[2])
graph = helper.make_graph(
    [helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1024])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
    [numpy_helper.from_array(np.ones((1024, 4), np.float32), "w")])
onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), folder / "m.onnx")
with open_calibration(folder / f"{n}.npz", folder) as (_, train):
    rows = draw_rows(train, folder, Calibration(rows=10_000), seed=1, soft_labels=None)
    assert len(rows) == n
    quantize_statically(folder / "m.onnx", folder / "int8.onnx", parse_scheme("static_wi8_ai8"),
                        calibration=Ranges(lambda: each(rows)))
print(peak_rss_bytes())
"""


def test_quantizing_statically_on_10000_rows_of_a_file_holds_no_more_memory_than_on_100(tmp_path: Path) -> None:
    peaks = []
    for n in (100, 10_000):
        rows = np.random.default_rng(0).normal(size=(100, 1024)).astype(np.float32)
        np.savez(tmp_path / f"{n}.npz", x=np.tile(rows, (2 * n // 100, 1)))  # half of them calibrate; 4 kB a row
        done = subprocess.run([sys.executable, "-c", _PEAK, str(tmp_path), str(n)], capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.1 * peaks[0]


def test_a_member_that_is_damaged_behind_its_header_is_named_when_its_rows_are_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).normal(size=(4000, 16)).astype(np.float32)
    np.savez_compressed(tmp_path / "a.npz", table=noise)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    (tmp_path / "a.npz").write_bytes(content)
    table = open_arrays(tmp_path / "a.npz")["table"]
    np.testing.assert_array_equal(table[:1], noise[:1])
    with pytest.raises(DataError, match=r"a\.npz: its array table is damaged") as failure:
        [table[row : row + 1] for row in range(len(table))]
    assert "np.savez" in failure.value.hint
