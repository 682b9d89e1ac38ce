import numpy as np
import pytest

from edgedistill.errors import ArtifactError
from edgedistill.evaluate.logits import read_logits, write_logits


def test_logits_written_are_read_back(tmp_path):
    logits = np.array([[1.5, -2.0], [np.nan, np.inf]], np.float32)
    write_logits(tmp_path / "logits.npy", logits)
    assert np.array_equal(read_logits(tmp_path / "logits.npy"), logits, equal_nan=True)


def test_logits_of_float64_are_stored_as_float32(tmp_path):
    write_logits(tmp_path / "logits.npy", np.ones((2, 3)))
    assert np.load(tmp_path / "logits.npy").dtype == np.float32


def test_logits_missing_are_refused(tmp_path):
    with pytest.raises(ArtifactError, match="no such file"):
        read_logits(tmp_path / "logits.npy")


@pytest.mark.parametrize("content", [b"", b"not numpy", b"\x93NUMPY\x01\x00"])
def test_logits_damaged_are_refused(tmp_path, content):
    (tmp_path / "logits.npy").write_bytes(content)
    with pytest.raises(ArtifactError, match="not a numpy file"):
        read_logits(tmp_path / "logits.npy")


def test_logits_pickled_are_refused(tmp_path):
    np.save(tmp_path / "logits.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ArtifactError, match="not a numpy file"):
        read_logits(tmp_path / "logits.npy")


@pytest.mark.parametrize("array", [np.zeros(3, np.float32), np.zeros((2, 2), np.float64)])
def test_logits_of_another_shape_or_type_are_refused(tmp_path, array):
    np.save(tmp_path / "logits.npy", array)
    with pytest.raises(ArtifactError, match="float32 of shape"):
        read_logits(tmp_path / "logits.npy")
