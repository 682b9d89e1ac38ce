"""The summary of the int8 rows."""

import int8
import pytest

from edgedistill.errors import UsageError


def row(loss: float, *, coverage: float = 1.0, ratio: float = 0.26, scheme: str = "dynamic_wi8_afp32") -> dict[str, object]:
    return {"float_test": 0.9, "int8_test": 0.9 - loss, "weight_bytes_share": coverage, "size_ratio": ratio, "scheme": scheme}


def test_summary_takes_the_mean_and_the_worst_of_the_losses() -> None:
    found = int8.summary([row(0.002), row(0.007, coverage=0.96), row(-0.003, ratio=0.265)])
    assert found["mean_loss"] == pytest.approx(0.002)
    assert found["worst_loss"] == pytest.approx(0.007)
    assert (found["least_coverage"], found["largest_ratio"]) == (0.96, 0.265)
    assert all(found["met"].values())


def test_summary_says_which_figure_is_missed() -> None:
    found = int8.summary([row(0.009, coverage=0.0, ratio=1.0, scheme="float")])
    assert not any(found["met"].values())
    assert found["schemes"] == {"float": 1}


def test_summary_of_no_rows_is_refused() -> None:
    with pytest.raises(UsageError, match="no rows"):
        int8.summary([])
