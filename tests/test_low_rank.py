"""Tables of low rank: the nearest one by hand, importance, and columns that one scale suits."""

import numpy as np
import pytest

from edgedistill.low_rank import factorise


def test_factorise_when_the_table_has_that_rank_then_nothing_is_lost() -> None:
    random = np.random.default_rng(0)
    table = random.normal(size=(50, 3)) @ random.normal(size=(3, 12))
    rows, basis = factorise(table, 3)
    assert rows.shape == (50, 3)
    assert basis.shape == (3, 12)
    np.testing.assert_allclose(rows @ basis, table, atol=1e-9)
    np.testing.assert_allclose(basis @ basis.T, np.eye(3), atol=1e-12)


def test_factorise_when_it_has_not_then_as_near_as_the_largest_singular_values() -> None:
    table = np.random.default_rng(1).normal(size=(40, 8))
    rows, basis = factorise(table, 5)
    values = np.linalg.svd(table, compute_uv=False)
    assert np.square(table - rows @ basis).sum() == pytest.approx(np.square(values[5:]).sum())  # Eckart and Young


def test_factorise_when_a_row_counts_more_then_it_loses_less() -> None:
    table = np.random.default_rng(2).normal(size=(40, 8))
    weights = np.ones(40)
    weights[7] = 100.0

    def lost(importance: np.ndarray | None) -> float:
        rows, basis = factorise(table, 2, importance=importance)
        return float(np.square(table[7] - (rows @ basis)[7]).sum())

    assert lost(weights) < 0.1 * lost(None)


def test_factorise_when_directions_differ_in_size_then_its_columns_do_not() -> None:
    table = np.random.default_rng(3).normal(size=(4000, 16)) * np.logspace(0, -2, 16)
    rows, _ = factorise(table, 16)
    assert rows.std(0).max() < 3 * rows.std(0).min()  # a singular value decomposition's columns differ a hundredfold


def test_factorise_when_called_twice_then_the_same_bytes() -> None:
    table = np.random.default_rng(4).normal(size=(30, 6))
    assert [part.tobytes() for part in factorise(table, 4)] == [part.tobytes() for part in factorise(table, 4)]


@pytest.mark.parametrize("rank", [0, 9])
def test_factorise_when_the_rank_is_impossible_then_refused(rank: int) -> None:
    with pytest.raises(ValueError, match=f"a table 8 wide has no rank {rank}"):
        factorise(np.ones((20, 8)), rank)
