"""Training sets of texts: what a student reads, with hard and soft labels, paired by id."""

import numpy as np
from numpy.typing import NDArray

from edgedistill.examples import Examples
from edgedistill.soft_labels import SoftLabels
from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.training import TrainingSet

LOOKED_AT_ROWS = 5000
"""Validation rows that a training looks at, and that its fit is measured on; what it came to is judged on all of them."""


def text_training_set(encoder: TextEncoder, tables: list[Examples], soft: SoftLabels | None) -> TrainingSet:
    """Return the texts of some tables, one table after the other, in an encoder's ids.

    Args:
        encoder: the student's.
        tables: examples.
        soft: the teacher's answers to all of them, in any order; None without a teacher.
    """
    return TrainingSet(
        encoder.encode(texts_of(tables)),
        _joined([table.labels for table in tables]),
        soft.logits_of(ids_of(tables)) if soft is not None else None,
    )


def _joined(labels: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Put the labels of some tables together; texts that nobody labelled get no label for each class, where some have several."""
    width = max(values.shape[1] if values.ndim == 2 else 0 for values in labels)
    if not width:
        return np.concatenate(labels)
    return np.concatenate([v if v.ndim == 2 else np.repeat(v[:, None], width, axis=1) for v in labels])


def texts_of(tables: list[Examples]) -> list[str]:
    """Return the texts of some tables, in order."""
    return [text for table in tables for batch in table.text_batches() for text in batch]


def ids_of(tables: list[Examples]) -> list[str]:
    """Return the ids of their examples, in the same order."""
    return [name for table in tables for name in table.ids]
