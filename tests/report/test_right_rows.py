"""Rows in a report: packed, unpacked, and known again."""

import numpy as np
import pytest

from edgedistill.errors import ArtifactError
from edgedistill.report.right_rows import fingerprint, pack, unpack


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
