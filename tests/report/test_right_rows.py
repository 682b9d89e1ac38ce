"""Rows in a report: packed, unpacked, and known again."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest

from edgedistill.errors import ArtifactError
from edgedistill.examples import Examples
from edgedistill.report.right_rows import fingerprint, pack, pictures_sha256, unpack


def test_pack_when_given_rows_writes_the_first_as_the_highest_bit():
    assert pack(np.array([1, 0, 0, 0, 0, 0, 0, 1, 1], dtype=bool)) == "8180"


@pytest.mark.parametrize("n", [1, 7, 8, 9, 820])
def test_unpack_when_given_what_pack_wrote_gives_the_rows(n):
    rows = np.random.default_rng(n).random(n) < 0.5
    assert (unpack(pack(rows), n) == rows).all()


@pytest.mark.parametrize("text", ["", "8", "818", "81", "818000", "xx80"])
def test_unpack_when_text_is_not_of_that_many_rows_refuses(text):
    with pytest.raises(ArtifactError):
        unpack(text, 9)


def test_fingerprint_when_text_label_or_order_differs_differs():
    labels = np.array([0, 1], dtype=np.int32)
    found = {fingerprint(("a", "bc"), labels), fingerprint(("ab", "c"), labels), fingerprint(("bc", "a"), labels),
             fingerprint(("a", "bc"), labels[::-1])}
    assert len(found) == 4
    assert fingerprint(("a", "bc"), labels.astype(np.int64)) in found


def test_fingerprint_when_several_labels_apply_then_each_of_them_counts():
    labels = np.array([[0, 1], [1, 1]], dtype=np.int32)
    found = {fingerprint(("a", "b"), labels), fingerprint(("a", "b"), labels[:, ::-1]), fingerprint(("a", "b"), labels[0])}
    assert len(found) == 3


def test_pictures_then_are_known_by_their_pixels_whatever_their_names_and_the_pieces_of_the_file():
    pixels = np.arange(24, dtype=np.uint8)

    def of(values, *, name="row 1", pieces=1):
        columns = {"name": pa.array([name] * 6), "image": pa.FixedSizeListArray.from_arrays(pa.array(values), 4)}
        table = pa.table(columns)
        return pictures_sha256(Examples(pa.concat_tables([table.slice(i * 6 // pieces, 6 // pieces) for i in range(pieces)])))

    assert of(pixels) == of(pixels, name="a.png", pieces=3) == hashlib.sha256(bytes(range(24))).hexdigest()
    assert of(pixels[::-1]) != of(pixels)
    assert pictures_sha256(Examples(pa.table({"text": ["a"]}))) == ""
