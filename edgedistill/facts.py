"""What the plan must know of the data, without torch: classes, rows, and the median length in the teacher's tokens."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgedistill.document import read_text
from edgedistill.errors import ArtifactError
from edgedistill.examples import read_examples, spread_rows
from edgedistill.plan import DataFacts
from edgedistill.results import Labels
from edgedistill.tasks.text_classification.encoding import TOKENIZER_FILE, TextEncoder, is_wordpiece
from edgedistill.tasks.text_classification.unread import Unread, unread_of

_MOST_TEXTS = 5_000
_TOKENS_PER_WORD = 1.3
_SPECIAL_TOKENS = 2


def facts_of_examples(prepared: Path, teacher: Path, *, max_tokens: int) -> DataFacts:
    """Return the facts of data that `prepare` wrote.

    Args:
        prepared: the folder with train.arrow and labels.json.
        teacher: the teacher's folder, for its tokenizer.
        max_tokens: where texts are cut.
    """
    examples = read_examples(prepared / "train.arrow")
    labels = Labels.read_json(prepared / "labels.json").labels
    texts = examples.spread(_MOST_TEXTS).texts
    return facts_of_texts(texts, len(labels), len(examples), teacher=teacher, max_tokens=max_tokens)


def facts_of_texts(
    texts: Sequence[str], classes: int, rows: int, *, teacher: Path | None, max_tokens: int
) -> DataFacts:
    """Return the facts of texts: their median length and how many there are of each length.

    Args:
        texts: of more than 5,000 so many count, evenly spread.
        classes: number of labels.
        rows: labelled training examples in all.
        teacher: the teacher's folder, for its tokenizer.
        max_tokens: where texts are cut.
    """
    lengths, unread = _lengths_and_unread(texts, teacher, max_tokens=max_tokens)
    median = int(np.median(lengths)) if lengths else max_tokens
    return DataFacts(classes, rows, median, tuple(sorted(Counter(lengths).items())), unread_share=unread.tokens,
                     has_students_lengths=_is_read_alike(teacher))


def _is_read_alike(teacher: Path | None) -> bool:
    """Do students read a text in as many tokens as the teacher? Only a WordPiece is shared; unknown without a tokenizer.json."""
    file = None if teacher is None else teacher / TOKENIZER_FILE
    return file is None or not file.is_file() or is_wordpiece(read_text(file, error=ArtifactError))


def median_tokens(texts: Sequence[str], teacher: Path | None, *, max_tokens: int) -> int:
    """Return the median number of tokens of texts, special tokens counted; `max_tokens` where there is no text."""
    lengths = token_counts(texts, teacher, max_tokens=max_tokens)
    return int(np.median(lengths)) if lengths else max_tokens


def token_counts(texts: Sequence[str], teacher: Path | None, *, max_tokens: int) -> list[int]:
    """Return the number of tokens of each text, of 5,000 evenly spread ones where there are more; special tokens counted.

    Where the teacher has no tokenizer.json at hand, words are counted and multiplied by 1.3.
    """
    return _lengths_and_unread(texts, teacher, max_tokens=max_tokens)[0]


def _lengths_and_unread(texts: Sequence[str], teacher: Path | None, *, max_tokens: int) -> tuple[list[int], Unread]:
    some = [texts[row] for row in spread_rows(len(texts), _MOST_TEXTS)]
    if teacher is not None and (teacher / TOKENIZER_FILE).is_file():
        encoder = TextEncoder.load(teacher, max_tokens=max_tokens)
        encoded = encoder.encode(some)
        return [int(n) for n in encoded.lengths], unread_of(encoder.tokenizer, encoded)
    words = [len(text.split()) for text in some]
    return [min(max_tokens, round(n * _TOKENS_PER_WORD) + _SPECIAL_TOKENS) for n in words], Unread()


def positions_of(teacher: Path) -> int | None:
    """Return how many positions the teacher has, None when its config does not say."""
    config = json.loads((teacher / "config.json").read_text(encoding="utf-8"))
    value = config.get("max_position_embeddings") or config.get("n_positions")
    return int(value) if value else None
