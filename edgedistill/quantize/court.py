"""The court: candidates are made, answer the judged rows, and are weighed against the float model."""

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.decisions import is_labelled, is_right
from edgedistill.errors import ArtifactError
from edgedistill.evaluate.onnx_model import OnnxModel
from edgedistill.problem_type import ONE_LABEL, ProblemType
from edgedistill.quantize.answer_form import AnswerForm, as_logits, form_of
from edgedistill.quantize.calibration import Stream
from edgedistill.quantize.candidates import Candidate, make_candidate
from edgedistill.quantize.coverage import measure_coverage
from edgedistill.quantize.judgement import NEAR, Evidence, Goal, judge_answers, may_be_chance, misses
from edgedistill.quantize.rows import Rows, each
from edgedistill.quantize.saturation import saturating_nodes

log = logging.getLogger("edgedistill")

_NAMED_NODES = 3
_MOST_AXES = 3


@dataclass(frozen=True)
class Judged:
    """A candidate with its file and what was seen of it.

    Attributes:
        candidate: how the file was made.
        file: the int8 file.
        evidence: what was seen on the judged rows.
        missed: a clause for all that it does not keep.
    """

    candidate: Candidate
    file: Path
    evidence: Evidence
    missed: tuple[str, ...]

    @property
    def keeps_the_goal(self) -> bool:
        """Does it keep everything?"""
        return not self.missed


@dataclass(frozen=True)
class Court:
    """The judge of one float model.

    Attributes:
        source: the float ONNX file.
        scratch: where the candidates' files lie.
        rows: the judged rows, of the validation split.
        calibration: rows of the training split; None where there are none.
        goal: what a candidate must keep.
        saturates: does the target add u8 x s8 pairs in 16 bits? Then a product that can overflow there is refused, whatever this
            machine answers.
        judged_by: the ONNX file whose accuracy a candidate must keep, where the source is that one tuned for int8; a candidate
            must decide as the one or the other does. None: the source.
        problem: may a row have several labels?
    """

    source: Path
    scratch: Path
    rows: Rows
    calibration: Stream | None
    goal: Goal
    saturates: bool = False
    judged_by: Path | None = None
    problem: ProblemType = ONE_LABEL
    _made: dict[Candidate, Judged] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def reference(self) -> NDArray[np.float32]:
        """The answers of the float model whose accuracy is to be kept, as logits."""
        return self.own if self.judged_by is None or self.judged_by == self.source else self._logits_of(self.judged_by)

    @cached_property
    def own(self) -> NDArray[np.float32]:
        """The answers of the float model that candidates are made of, as logits.

        Raises:
            ArtifactError: they are no scores of classes.
        """
        return as_logits(self._own_numbers, self._form)

    @cached_property
    def _own_numbers(self) -> NDArray[np.float32]:
        return answers_of(self.source, self.rows)

    @cached_property
    def _form(self) -> AnswerForm:
        return form_of(self.source, self._own_numbers, self.rows.labels, problem=self.problem)

    def logits_of_numbers(self, numbers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what another model puts out, shape (n, columns), as the logits that they are in the float model."""
        return as_logits(numbers, self._form)

    def _logits_of(self, file: Path) -> NDArray[np.float32]:
        """Return another model's answers, read as those of the float model are."""
        return self.logits_of_numbers(answers_of(file, self.rows))

    @property
    def labelled_rows(self) -> int:
        """How many of the judged rows have a label."""
        labels = self.rows.labels
        return 0 if labels is None else int(is_labelled(labels).sum())

    @cached_property
    def float_accuracy(self) -> float | None:
        """The accuracy of the float model that is to be kept, on the labelled rows; None where there are none."""
        labels = self.rows.labels
        if labels is None or len(labels) != len(self.reference) or not is_labelled(labels).any():
            return None
        return float(is_right(self.reference, labels)[is_labelled(labels)].mean())

    @property
    def judged(self) -> tuple[Judged, ...]:
        """All that was judged, in order."""
        return tuple(self._made.values())

    def judge(self, candidate: Candidate) -> Judged:
        """Make a candidate, let it answer, and weigh it; one that was judged already is not made again."""
        if candidate not in self._made:
            number = hashlib.sha256(candidate.title.encode()).hexdigest()[:8]
            file = self.scratch / f"{candidate.scheme.name}-{number}.onnx"
            make_candidate(self.source, file, candidate, calibration=self.calibration)
            answers, refusal = self._answers_of_candidate(file)
            evidence = judge_answers(self.reference, answers, self.rows.labels,
                                     size_bytes=file.stat().st_size, coverage=measure_coverage(file),
                                     needs_int8_nodes=candidate.scheme.kind != "weight_only", own=self.own, problem=self.problem)
            log.info("%s: agrees with the float model on %.2f %% of validation", candidate.title, 100 * evidence.agreement)
            if refusal:
                evidence = replace(evidence, agreement=0.0, accuracy=None, accuracy_loss=None)
            missed = refusal or misses(evidence, self.goal) + (_saturated(saturating_nodes(file)) if self.saturates else ())
            self._made[candidate] = Judged(candidate, file, evidence, missed)
        return self._made[candidate]

    def _answers_of_candidate(self, file: Path) -> tuple[NDArray[np.float32], tuple[str, ...]]:
        """Return a candidate's logits; of one that does not run no numbers, and a clause that says why."""
        own = self.own  # what is wrong with the float model is no candidate's fault
        try:
            return self._logits_of(file), ()
        except ArtifactError as bad:
            why = " ".join(bad.message.removeprefix(f"{file}: ").split())
            return np.full_like(own, np.nan), (f"onnxruntime cannot run it: {why}",)


def _saturated(nodes: Mapping[str, float]) -> tuple[str, ...]:
    """Return a clause where products can saturate on the target."""
    if not nodes:
        return ()
    worst = sorted(nodes, key=lambda name: -nodes[name])[:_NAMED_NODES]
    named = ", ".join(f"{name} ({nodes[name]:.2%} of its weight pairs)" for name in worst)
    return (f"u8 x s8 can saturate on the target in {named}" + (" and others" if len(nodes) > len(worst) else ""),)


def answers_of(model: Path, rows: Rows) -> NDArray[np.float32]:
    """Return a model's answers, one row a call, as a dynamic scheme computes its scale per call.

    Returns:
        shape (rows, classes), as the model gives them; of a model that answers for each token, (all tokens of all rows, classes);
        of one that answers with a number a row, (rows, 1).

    Raises:
        ArtifactError: onnxruntime does not load the file, does not run it on a row, or its answer has more than three axes.
    """
    opened = OnnxModel(model)
    found = [opened.logits(row) for row in each(rows)]
    if found[0].ndim > _MOST_AXES:
        shape = " x ".join(map(str, found[0].shape))
        raise ArtifactError(f"{model}: answers a row with the shape {shape}; which axis numbers the classes cannot be told",
                            hint="let the graph put out (n, classes) or (n, tokens, classes); nothing else is judged")
    return np.concatenate([answer.reshape(-1, answer.shape[-1] if answer.ndim > 1 else 1) for answer in found])


def least_divergent(judged: Sequence[Judged]) -> Judged:
    """Return the first, in the order given, whose divergence is about the least."""
    least = min(item.evidence.kl_nats for item in judged)
    if not math.isfinite(least):
        return judged[0]
    return next(item for item in judged if item.evidence.kl_nats <= NEAR * least)


def best_by_chance(judged: Sequence[Judged], goal: Goal) -> Judged | None:
    """Return the one that loses least of those whose loss two standard errors explain; None when there is none."""
    possible = [item for item in judged if may_be_chance(item.evidence, goal) and item.missed == misses(item.evidence, goal)]
    least = min((item.evidence.accuracy_loss or 0.0 for item in possible), default=0.0)
    return least_divergent([i for i in possible if (i.evidence.accuracy_loss or 0.0) == least]) if possible else None
