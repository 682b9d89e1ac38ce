"""The training rows on which the ranges of activations are learned, drawn as the recipe says."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.examples import read_examples
from edgedistill.int8_settings import Calibration
from edgedistill.quantize.calibration_sample import require_drawable, select_rows
from edgedistill.quantize.rows import Rows, has_labels, sample_rows
from edgedistill.soft_labels import read_soft_labels


def require_rows(train: Path, wanted: Calibration, *, soft_labels: Path | None) -> None:
    """Refuse a selection of rows that `draw_rows` could not make, without encoding any.

    Raises:
        UsageError: the selection needs labels or soft labels, and there are none.
        DataError: the arrays cannot be rows.
    """
    require_drawable(wanted.selection, has_labels=wanted.selection != "class-balanced" or has_labels(train),
                     has_logits=soft_labels is not None)


def draw_rows(train: Path, model: Path, wanted: Calibration, *, seed: int, soft_labels: Path | None) -> Rows:
    """Draw the rows of the training split that a static scheme is calibrated on.

    Args:
        train: examples, or an .npz of arrays.
        model: the folder whose encoder makes model inputs of examples.
        wanted: how many, and which.
        seed: draws them.
        soft_labels: the teacher's answers to the examples; read only where the selection asks for them.

    Raises:
        UsageError: the selection needs labels or soft labels, and there are none.
    """
    logits: NDArray[np.float32] | None = None
    if soft_labels is not None and wanted.selection == "informative":
        soft = read_soft_labels(soft_labels)
        logits = soft.logits[soft.rows_of(read_examples(train).ids)]
    return sample_rows(train, model, lambda rows, labels: select_rows(
        wanted.selection, wanted.rows, rows=rows, seed=seed, labels=labels, logits=logits
    ))
