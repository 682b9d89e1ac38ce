"""Training sets of texts: labelled and made-up texts in one, also where a text may have several labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgedistill.distill.text_sets import text_training_set
from edgedistill.examples import NO_LABEL, read_examples, write_examples
from edgedistill.tasks.text_classification.encoding import TextEncoder


@pytest.mark.parametrize(("labels", "expected"), [
    (np.array([[1, 0], [0, 0]]), [[1, 0], [0, 0], [NO_LABEL, NO_LABEL]]), (np.array([1, 0]), [1, 0, NO_LABEL]),
])
def test_text_training_set_then_texts_that_nobody_labelled_have_no_label_for_any_class(
    model_folder: Callable[[str], Path], tmp_path: Path, labels: np.ndarray, expected: list[Any]
) -> None:
    write_examples(tmp_path / "train.arrow", ["a", "b"], ["one text", "another"], labels)
    write_examples(tmp_path / "made.arrow", ["c"], ["made up"], [NO_LABEL])
    tables = [read_examples(tmp_path / name) for name in ("train.arrow", "made.arrow")]
    assert text_training_set(TextEncoder.load(model_folder("bert")), tables, None).labels.tolist() == expected
