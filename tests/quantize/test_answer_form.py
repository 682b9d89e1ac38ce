"""What the numbers of a model are: where a row may have several labels, each column is a yes or no of its own."""

from pathlib import Path

import numpy as np
import pytest

from edgedistill.problem_type import SEVERAL_LABELS
from edgedistill.quantize.answer_form import as_logits, form_of

SHARES = np.array([[0.5, 0.75], [0.2, 0.9]], np.float32)


def test_form_of_several_labels_is_told_by_the_numbers_alone(tmp_path: Path) -> None:
    assert form_of(tmp_path / "no.onnx", SHARES, None, problem=SEVERAL_LABELS) == "independent probabilities"
    assert form_of(tmp_path / "no.onnx", SHARES - 1, None, problem=SEVERAL_LABELS) == "logits"


def test_as_logits_of_independent_probabilities_is_the_logarithm_of_their_odds() -> None:
    found = as_logits(SHARES, "independent probabilities")
    assert found.ravel().tolist() == pytest.approx([0.0, np.log(3.0), np.log(0.25), np.log(9.0)], rel=1e-5)
    assert np.isnan(as_logits(np.array([[np.nan, 0.5]], np.float32), "independent probabilities")[0, 0])
