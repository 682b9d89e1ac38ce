"""The teacher's vectors, reduced: principal components by scikit-learn, and every row in its place."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from edgedistill.teach.sentence_vectors import MOST_DIMENSIONS, VIEWS, KeptAnswers, TextAnswers, fit_basis, keep_vectors


def vectors(n: int, width: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    mixed = random.normal(size=(n, VIEWS, width)) * np.linspace(0.1, 3, width) + random.normal(size=(VIEWS, width))
    return (mixed @ random.normal(size=(width, width))).astype(np.float32)


def test_fit_basis_when_compared_with_scikit_learn_then_the_same_whitened_components() -> None:
    given = vectors(600, 160)
    reduced = fit_basis(given).reduce(given).astype(np.float64)
    assert reduced.shape == (600, VIEWS, MOST_DIMENSIONS)
    for view in range(VIEWS):
        expected = PCA(MOST_DIMENSIONS, whiten=True).fit_transform(given[:, view].astype(np.float64))
        expected /= expected.std(axis=0) * np.sqrt(MOST_DIMENSIONS)  # its variance has n - 1 in the place of n
        signs = np.sign((expected * reduced[:, view]).sum(axis=0))
        np.testing.assert_allclose(reduced[:, view] * signs, expected, atol=2e-3)


def test_fit_basis_when_one_direction_holds_nearly_all_variance_then_the_others_count_as_much() -> None:
    given = np.random.default_rng(0).normal(size=(500, 1, 4)).astype(np.float32) * np.float32([30, 1, 1, 0.3])
    np.testing.assert_allclose(fit_basis(given).reduce(given).astype(np.float64).var(axis=0), [[0.25] * 4], atol=1e-3)


def test_fit_basis_when_a_direction_is_rounding_then_it_stays_small() -> None:
    given = np.random.default_rng(0).normal(size=(500, 1, 3)) * [2, 1, 1e-5]
    found = fit_basis(given.astype(np.float32)).reduce(given.astype(np.float32)).astype(np.float64).var(axis=0)[0]
    assert (found[0], found[1]) == pytest.approx((0.5, 0.5), abs=2e-3)
    assert found[2] < 1e-3


def test_fit_basis_when_there_are_few_texts_then_a_direction_for_every_four() -> None:
    assert [fit_basis(vectors(n, 24)).dimensions for n in (2, 40, 300)] == [1, 10, 24]


def test_fit_basis_when_the_width_is_small_then_a_view_has_variance_one_in_all() -> None:
    given = vectors(300, 24)
    basis = fit_basis(given)
    assert basis.dimensions == 24
    assert basis.reduce(given).astype(np.float64).var(axis=0).sum(axis=1) == pytest.approx([1] * VIEWS, abs=2e-3)


def test_fit_basis_when_all_texts_are_alike_then_nothing_is_infinite() -> None:
    given = np.ones((5, VIEWS, 8), np.float32)
    assert not fit_basis(given).reduce(given).any()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_keep_vectors_when_the_disk_is_full_then_an_error_and_no_signal() -> None:
    given = vectors(70, 12)
    answers = KeptAnswers.of(TextAnswers(np.zeros((70, 2), np.float32), given), fit_basis(given))
    with pytest.raises(OSError, match="No space left"):
        list(keep_vectors([answers], Path("/dev/full"), rows=70))


def test_keep_vectors_when_in_batches_then_each_row_in_its_place(tmp_path: Path) -> None:
    given = vectors(70, 12)
    basis = fit_basis(given)
    logits = np.arange(140, dtype=np.float32).reshape(70, 2)
    parts = [slice(0, 30), slice(30, 31), slice(31, 70)]
    answers = (KeptAnswers.of(TextAnswers(logits[part], given[part]), basis) for part in parts)
    passed = list(keep_vectors(answers, tmp_path / "v.npy", rows=70))
    np.testing.assert_array_equal(np.concatenate(passed), logits)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), basis.reduce(given))
