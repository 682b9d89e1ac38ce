"""How long the texts of a file are, from its beginning: for `init`, which writes a recipe that suits them."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.prepare.read import detect_format, text_batches
from edgedistill.prepare.text_files import texts_of_column
from edgedistill.tasks.text_classification.encoding import TOKENIZER_FILE, TextEncoder
from edgedistill.teach.long_texts import estimated_lengths, sampled_rows, whole_lengths

_FIRST_TEXTS = 10_000

_TOKENS_SEEN, _LEAST_ROWS_SEEN, _ROWS_STEP = 8_000_000, 100_000, 10_000
"""What a student of 1/30 sees in about ten minutes of two cores (agnews_10k at 1/30, docs/students.md)."""


def lengths_of_first_texts(path: Path, column: str, *, folder: Path | None) -> NDArray[np.int64]:
    """Return how many tokens some of the first 10,000 texts have, 2,000 at most, evenly spaced; shape (n,), n >= 0.

    Args:
        path: a data file or a saved `datasets` folder.
        column: which holds the texts.
        folder: the teacher's; where it has a tokenizer.json, that counts, and else words do.

    Raises:
        DataError: one of these rows cannot be read.
        ArtifactError: tokenizer.json is damaged.
    """
    first = list(islice(_texts(path, column), _FIRST_TEXTS))
    texts = [first[row] for row in sampled_rows(len(first))]
    if folder is not None and (folder / TOKENIZER_FILE).is_file():
        return whole_lengths(TextEncoder.load(folder).tokenizer, texts)
    return estimated_lengths(texts)


def rows_seen_for(lengths: NDArray[np.int64], *, usual: int) -> int:
    """Return how many rows a student sees of texts of such lengths: a long one says more and costs more.

    Args:
        lengths: tokens of some texts, shape (n,), n >= 1.
        usual: rows where texts are short.

    Returns:
        As many as have 8 million tokens together, in steps of 10,000; 100,000 at least and `usual` at most. Texts of 32 tokens or
        fewer in the mean keep `usual` = 250,000.
    """
    rows = _TOKENS_SEEN / max(1.0, float(lengths.mean()))
    return int(min(usual, max(_LEAST_ROWS_SEEN, rows // _ROWS_STEP * _ROWS_STEP)))


def _texts(path: Path, column: str) -> Iterator[str]:
    form = detect_format(path)
    if form in ("csv", "tsv", "jsonl"):
        yield from texts_of_column(path, form, column)
        return
    for batch in text_batches(path, column, split="train"):
        yield from (text for text in batch.to_pylist() if isinstance(text, str))  # of the rest, `prepare` says what is wrong
