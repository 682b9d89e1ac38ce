"""Labelling tables of texts: the teacher's logits, and its vectors of whole texts in a basis of the training texts."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from edgedistill.examples import BATCH_ROWS, Examples
from edgedistill.processes import current_group
from edgedistill.progress import Progress
from edgedistill.teach.answer_parts import AnswerParts, Arrays, resume
from edgedistill.teach.sentence_vectors import BASIS_ROWS, KeptAnswers, TextAnswers, VectorBasis, fit_basis

_BASIS = 0
"""Number of the part that is the basis; batch n is part n + 1."""


class AnswersTexts(Protocol):
    """A teacher that answers lists of texts in their order, and tells how many more are done."""

    def __call__(self, batches: Iterator[list[str]], *, on_texts: Callable[[int], None]) -> Iterator[TextAnswers]:
        """Yield the answers to each list; `on_texts` hears how many more texts are done."""
        ...


def label_tables(teacher: AnswersTexts, tables: Sequence[Examples], parts: AnswerParts) -> Iterator[KeptAnswers]:
    """Yield the teacher's answers to the texts of some tables, batch by batch in their order; at most one is in memory.

    In a stage that several processes share, all of them must call it; what the main process gets is whole, the others get none.

    Args:
        teacher: answers texts.
        tables: train first. Where it has more than one batch, the basis is fitted on rows spread over all of it: of data sorted
            by class, a batch knows some classes only.
        parts: where finished batches are kept, and found after a break.
    """
    for arrays in resume(parts, lambda first: _answers(teacher, tables, parts, first=first)):
        if "logits" in arrays:
            yield KeptAnswers(arrays["logits"], arrays["vectors"])


def _answers(teacher: AnswersTexts, tables: Sequence[Examples], parts: AnswerParts, *, first: int) -> Iterator[Arrays]:
    """Yield the parts from one on: the basis, then logits and vectors of each batch; nothing in a process that only helps."""
    is_main, train = current_group().is_main, tables[0]
    sample = train.spread(BASIS_ROWS).texts if len(train) > BATCH_ROWS else []
    known = parts.read(str(_BASIS)) if is_main and first > _BASIS else None
    basis = None if known is None else VectorBasis(**known)
    skipped = max(0, first - _BASIS - 1)
    done = sum(map(len, islice(_batches(tables), skipped))) + (len(sample) if first > _BASIS else 0)
    with Progress("labelling", total=len(sample) + sum(map(len, tables)), unit="texts", done=done) as progress:
        if sample and first == _BASIS:
            for answer in teacher(iter([sample]), on_texts=progress.advance):  # every process helps
                if is_main:
                    basis = fit_basis(answer.vectors)
                    yield vars(basis)
        for answer in teacher(islice(_batches(tables), skipped, None), on_texts=progress.advance):
            if not is_main:
                continue
            if basis is None:
                basis = fit_basis(answer.vectors)
                yield vars(basis)
            yield vars(KeptAnswers.of(answer, basis))


def _batches(tables: Sequence[Examples]) -> Iterator[list[str]]:
    for table in tables:
        yield from table.text_batches()
