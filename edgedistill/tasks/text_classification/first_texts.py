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


def _texts(path: Path, column: str) -> Iterator[str]:
    form = detect_format(path)
    if form in ("csv", "tsv", "jsonl"):
        yield from texts_of_column(path, form, column)
        return
    for batch in text_batches(path, column, split="train"):
        yield from (text for text in batch.to_pylist() if isinstance(text, str))  # of the rest, `prepare` says what is wrong
