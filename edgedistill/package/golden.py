"""Golden vectors: a few texts with the answers that every runtime must give, chosen to cover classes and lengths."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.decisions import set_numbers
from edgedistill.errors import ArtifactError
from edgedistill.evaluate.predictor import Predictor
from edgedistill.examples import NO_LABEL, write_examples
from edgedistill.package.contents import GOLDEN_FILE, GoldenVector, GoldenVectors
from edgedistill.tasks.text_classification.encoding import EncodedTexts, TextEncoder

GOLDEN_COUNT = 32

_TRIES = 8
"""Rows looked at for one place before a near tie is accepted."""


@dataclass(frozen=True)
class GoldenRule:
    """How golden vectors are chosen.

    Attributes:
        tolerance: largest difference of a logit that passes; two classes closer than twice this are a near tie, and where a text
            may have several labels a class nearer to 0 than this.
        seed: decides between rows that serve equally well.
        count: vectors wanted; fewer when there are fewer rows.
    """

    tolerance: float
    seed: int
    count: int = GOLDEN_COUNT


@dataclass(frozen=True)
class _Rows:
    encoded: EncodedTexts
    labels: NDArray[np.int32]
    model: Predictor
    rule: GoldenRule

    def logits(self, row: int) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = self.model.logits(self.encoded.batch([row]))[0]
        return logits

    @property
    def has_several(self) -> bool:
        """May a text have several labels?"""
        return self.labels.ndim == 2

    def is_clear(self, row: int) -> bool:
        """Can no difference within the tolerance change the decision?"""
        if self.has_several:
            return self.least_logit(row) > self.rule.tolerance
        low, high = np.sort(self.logits(row))[-2:]
        return bool(high - low > 2 * self.rule.tolerance)

    def least_logit(self, row: int) -> float:
        """Return how near to 0 a logit of a row is: of many classes some are in most rows."""
        return float(np.abs(self.logits(row)).min())

    def clear_one(self, rows: Sequence[int]) -> int:
        """Return the first clear row; where none is, the first, or of several labels the one that is clear by most."""
        found = next(filter(self.is_clear, rows), None)
        if found is None:
            return max(rows, key=self.least_logit) if self.has_several else rows[0]
        return found


def make_golden_vectors(
    texts: Sequence[str],
    classes: NDArray[np.int32],
    *,
    encoder: TextEncoder,
    model: Predictor,
    labels: Sequence[str],
    rule: GoldenRule,
) -> tuple[GoldenVector, ...]:
    """Choose rows and record what the model answers.

    The longest and the shortest text come first, then one row of every class, then further rows class by class, each
    round nearest to another length. Near ties are passed over where another row can serve: a tie tells nothing about
    an app that answers differently. Where a text may have several labels, one row of every class and one without any come
    first, and then further rows set by set.

    Args:
        texts: n labelled texts.
        classes: their classes, shape (n,); of several a text 0 and 1, shape (n, C).
        encoder: the tokenizer of the model.
        model: the model that ships.
        labels: the name of every class.
        rule: tolerance, seed and count.

    Returns:
        min(count, n) vectors, in the order of the rows.

    Raises:
        ArtifactError: the model answers with infinite or undefined logits.
    """
    encoded = encoder.encode(texts)
    rows = _Rows(encoded, classes, model, rule)
    return tuple(_vector(row, texts[row], rows, labels) for row in sorted(_choose(rows)))


def _choose(rows: _Rows) -> list[int]:
    chosen: dict[int, None] = {}  # a set that keeps its order
    for ranking in _rankings(rows):
        if len(chosen) >= min(rows.rule.count, len(rows.encoded)):
            break
        free = [int(row) for row in ranking if int(row) not in chosen]
        if free:
            chosen[rows.clear_one(free[:_TRIES])] = None
    return list(chosen)


def _rankings(rows: _Rows) -> Iterator[NDArray[np.int64]]:
    """Yield, for every place, the rows that could take it, best first; ends when every row had its turn."""
    random = np.random.default_rng(rows.rule.seed)
    order = random.permutation(len(rows.encoded))
    lengths = rows.encoded.lengths[order]
    yield order[np.argsort(-lengths, kind="stable")]
    yield order[np.argsort(lengths, kind="stable")]
    numbers = set_numbers(rows.labels)[order]
    by_set = [order[numbers == s] for s in random.permutation(np.unique(numbers))]
    turns = repeat(by_set, max((len(members) for members in by_set), default=0))
    for place, members in enumerate(chain(_by_class(rows, order, random), chain.from_iterable(turns))):
        # Low-discrepancy walk over the quantiles (van der Corput, base 2) spreads any number of places evenly.
        aim = np.quantile(lengths, _van_der_corput(place))
        yield members[np.argsort(np.abs(rows.encoded.lengths[members] - aim), kind="stable")]


def _by_class(rows: _Rows, order: NDArray[np.int64], random: np.random.Generator) -> list[NDArray[np.int64]]:
    """Return the rows of each class, and those of none: sets are often more than places. Nothing where sets are classes."""
    if not rows.has_several:
        return []
    labels = rows.labels[order]
    return [order[(labels == 0).all(axis=1)], *(order[labels[:, c] == 1] for c in random.permutation(labels.shape[1]))]


def _van_der_corput(index: int) -> float:
    """Return the bits of `index` mirrored at the binary point: 0, 1/2, 1/4, 3/4, 1/8, ..."""
    value, weight = 0.0, 0.5
    while index:
        value, weight, index = value + weight * (index & 1), weight / 2, index >> 1
    return value


def _vector(row: int, text: str, rows: _Rows, labels: Sequence[str]) -> GoldenVector:
    logits = rows.logits(row)
    if not np.isfinite(logits).all():
        raise ArtifactError(f"the model answers {text!r} with logits that are no numbers", hint="edgedistill quantize")
    start, end = rows.encoded.offsets[row], rows.encoded.offsets[row + 1]
    return GoldenVector(
        text=text,
        ids=tuple(int(i) for i in rows.encoded.ids[start:end]),
        logits=tuple(float(str(value)) for value in logits),  # the shortest text that reads back as the same float32
        label=labels[int(logits.argmax())],
        labels=tuple(labels[int(i)] for i in np.flatnonzero(logits > 0)) if rows.has_several else None,
    )


def write_golden_texts(bundle: Path, path: Path) -> None:
    """Write the golden texts of a bundle's folder as examples without labels."""
    texts = [vector.text for vector in GoldenVectors.read_json(bundle / GOLDEN_FILE).vectors]
    write_examples(path, [f"golden-{i}" for i in range(len(texts))], texts, [NO_LABEL] * len(texts))
