"""What a student is trained to do: the recipe's losses put together, the teacher asked only in steps that need it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from edgedistill.batch_parts import parts_of
from edgedistill.distill.internals import Internals, Needs, Observed, observe
from edgedistill.distill.losses import (
    attention_map_loss,
    common_relation_heads,
    decoupled_loss,
    distillation_loss,
    hard_label_loss,
    hidden_state_loss,
    multi_label_distillation_loss,
    relation_loss,
    self_attention_loss,
    sentence_vector_loss,
)
from edgedistill.distill.losses.attention_parts import AttentionParts
from edgedistill.distill.losses.combined import mix
from edgedistill.distill.losses.layers import LayerPair, LayerRule, pair_layers
from edgedistill.distill.projections import EMBEDDING, LAYERS, SENTENCE, LeastSquares, make_projections, sentence_projection
from edgedistill.errors import ArtifactError
from edgedistill.examples import NO_LABEL
from edgedistill.objective import LogitObjective, LossFunction, LossTerms, Objective, Scored, TrainingBatch
from edgedistill.recipe import Distillation, LossTerm
from edgedistill.tasks.encoding import inputs_of
from edgedistill.teach.teacher_model import sentence_vectors_of
from edgedistill.torch_setup import multiplies_bf16, takes_bf16
from edgedistill.training import TrainingSet

_DEFAULT_BETA = 8.0
"""Zhao et al. 2022, the value of their CIFAR-100 table for most pairs."""

_FIT_ROWS, _FIT_BATCH = 512, 32
"""Texts on which the projections are fitted before the training, and how many at a time."""

_FIT_SENTENCES = 4096
"""A text gives one pair of sentence vectors, where it gives a pair of states a token."""

_PAPERS_LAYERS: Mapping[str, LayerRule] = {
    "hidden-states": "evenly-spaced", "attentions": "evenly-spaced", "minilm-v1": "last", "minilm-v2": "last",
}
_ON_ATTENTION: Mapping[str, Callable[[AttentionParts, AttentionParts, torch.Tensor], torch.Tensor]] = {
    "attentions": attention_map_loss,
    "minilm-v1": self_attention_loss,
    "minilm-v2": lambda student, teacher, mask: relation_loss(
        student, teacher, mask,
        relation_heads=common_relation_heads(student.queries.shape[-1], teacher.queries.shape[-1]),
    ),
}


def logit_loss(
    settings: Distillation, logits: torch.Tensor, hard: torch.Tensor, soft: torch.Tensor
) -> torch.Tensor:
    """The part of a student's loss that needs only logits: alpha * soft part + (1 - alpha) * hard part.

    The soft part is T^2 * KL, or, where the recipe names `decoupled-kd`, that loss times its weight. Its target is the
    hard label, and for an example without one the teacher's first choice.

    Args:
        settings: the recipe's.
        logits: the student's, shape (batch, classes).
        hard: class indices, shape (batch,), `NO_LABEL` for none; or 0 and 1, shape (batch, classes).
        soft: the teacher's raw logits, shape (batch, classes).

    Returns:
        a scalar.

    Raises:
        ValueError: shapes that do not fit; `decoupled-kd` with several labels a text.
    """
    decoupled = next((term for term in settings.losses if term.name == "decoupled-kd"), None)
    if decoupled is None:
        combined = multi_label_distillation_loss if hard.ndim == 2 else distillation_loss
        return combined(logits, hard, soft, temperature=settings.temperature, alpha=settings.alpha)
    if hard.ndim == 2:
        raise ValueError("decoupled-kd tells the one target class of a text from the rest, and labels of shape "
                         f"{tuple(hard.shape)} are several a text: leave it out of distillation.losses")
    targets = torch.where(hard == NO_LABEL, soft.argmax(-1), hard)
    beta = _DEFAULT_BETA if decoupled.beta is None else decoupled.beta
    divergence = decoupled_loss(logits, soft, targets, temperature=settings.temperature, beta=beta)
    return mix(decoupled.weight * divergence, hard_label_loss(logits, hard), alpha=settings.alpha)


def teacher_loss(
    settings: Distillation, logits: torch.Tensor, hard: torch.Tensor, soft: torch.Tensor | None
) -> torch.Tensor:
    """Return `logit_loss` of a batch that must have soft labels.

    Raises:
        ArtifactError: it has none.
    """
    if soft is None:
        raise ArtifactError("a batch without soft labels", hint="run the same command again")
    return logit_loss(settings, logits, hard, soft)


def loss_terms(settings: Distillation, logits: torch.Tensor, hard: torch.Tensor, soft: torch.Tensor) -> LossTerms:
    """Return the two parts of `logit_loss`, before alpha weighs them; arguments and errors are its own.

    Returns:
        the hard part summed over the rows with a label, and the soft part, with its weight, averaged over the batch.
    """
    whole = len(logits)
    labelled = (hard != NO_LABEL) if hard.ndim == 1 else (hard != NO_LABEL).any(-1)
    parts = {alpha: logit_loss(settings.model_copy(update={"alpha": alpha}), logits, hard, soft) for alpha in (0.0, 1.0)}
    return LossTerms(hard=parts[0.0] * whole, labelled=labelled.sum(), soft=parts[1.0])


def weight_at(term: LossTerm, progress: float) -> float:
    """Return the weight of a loss when a share `progress` of the steps is done (0 .. 1); 0 outside of its window."""
    if not term.from_ <= progress < term.until:
        return 0.0
    left = (term.until - progress) / (term.until - term.from_)
    return term.weight * (left if term.decay == "linear" else 1.0)


class GuidedObjective(Objective):
    """A loss on logits, plus losses on what happens inside of student and teacher.

    Only training steps in which a scheduled weight is above 0 ask the teacher, and only for losses that pair tokens; what
    it makes of whole texts comes with the batch. Validation looks at the logits alone, so that its figures stay
    comparable while weights change.

    Args:
        base: the loss on logits.
        terms: the losses beside it; none of them on logits.
        student: the model that will be trained.
        teacher: reads the same tokens under its own ids; it is frozen and never trained. None: no loss asks it.
        seed: of the projections' first values.

    Raises:
        ValueError: a loss asks the teacher and there is none.
    """

    def __init__(
        self, base: LossFunction, terms: Sequence[LossTerm], *, student: PreTrainedModel, seed: int,
        teacher: PreTrainedModel | None = None,
    ) -> None:
        self._base, self._terms = LogitObjective(base), tuple(terms)
        self._student = student
        self._teacher = teacher.eval().requires_grad_(False) if teacher is not None else None
        self._projections = torch.nn.ParameterDict()
        self._pairs: dict[str, tuple[LayerPair, ...]] = {}
        asking = [term for term in terms if term.asks_the_teacher]
        if asking:
            self._prepare_to_ask(asking, seed)
        self._is_on_sentences = any(term.name == SENTENCE for term in terms)
        self.learned = self._projections if len(self._projections) or self._is_on_sentences else None

    def _prepare_to_ask(self, terms: Sequence[LossTerm], seed: int) -> None:
        if self._teacher is None:
            raise ValueError(f"{terms[0].name} asks the teacher, and there is none")
        student, teacher = self._student.config, self._teacher.config
        self._pairs = {
            term.name: _layer_pairs(term, student.num_hidden_layers, teacher.num_hidden_layers) for term in terms
        }
        if any(term.name == "hidden-states" for term in terms):
            self._projections = make_projections(student.hidden_size, teacher.hidden_size, seed=seed)

    @property
    def is_asking(self) -> bool:
        """Does it ask the teacher, whose ids of the same tokens must come with each batch?"""
        return bool(self._pairs)

    @property
    def is_on_sentences(self) -> bool:
        """Must the teacher's sentence vectors come with each batch?"""
        return self._is_on_sentences

    def __call__(self, model: Any, batch: TrainingBatch) -> Scored:
        """Run the student, and the teacher where it is needed."""
        if not model.training:
            return self._base(model, batch)
        weights: dict[str, float] = {term.name: weight for term in self._terms if (weight := weight_at(term, batch.progress)) > 0}
        on_sentences = weights.pop(SENTENCE, 0.0)
        needs = Needs(hidden_states="hidden-states" in weights, attentions=any(n in _ON_ATTENTION for n in weights))
        seen = observe(model, self._student, batch.inputs, needs=replace(needs, sentence_states=on_sentences > 0))
        loss = self._base.score(seen.logits, batch).loss
        mask = batch.tensors["attention_mask"]
        with torch.autocast(mask.device.type, enabled=False):
            if weights:
                taught = self._ask_teacher(batch, needs).internals
                for name, weight in weights.items():
                    loss = loss + weight * self._compare(name, seen.internals, taught, mask)
            if on_sentences:
                loss = loss + on_sentences * self._compare_sentences(seen.internals, batch)
        for parameter in self._projections.values():  # over many processes every parameter must have a gradient
            loss = loss + 0.0 * parameter.sum()
        return Scored(loss, seen.logits)

    def fit_projections(self, training: TrainingSet) -> None:
        """Start the projections at the least-squares fit of the untrained student's states to the teacher's.

        From random ones, the first gradients would pull a student that was cut out of its teacher away from it. Without
        a loss that needs projections nothing is done. The student is left in training mode.

        Args:
            training: with the teacher's tokens or sentence vectors, whichever the losses need; up to 512 of its texts are
                used, evenly spread, and up to 4,096 for the sentence vectors.
        """
        if self.learned is None:
            return
        sums = LeastSquares()
        self._student.eval()
        if "hidden-states" in self._pairs:
            for batch in _sample_of(training, _FIT_ROWS):
                self._add_states(batch, sums)
            with torch.no_grad():
                for name, matrix in sums.solve().items():
                    self._projections[name].copy_(matrix)
        if self._is_on_sentences:
            parts = [(self._own_vectors(batch), batch.tensors["sentence_vectors"])
                     for batch in _sample_of(training, _FIT_SENTENCES)]
            ours, theirs = (torch.cat(side) for side in zip(*parts, strict=True))
            self._projections[SENTENCE] = torch.nn.Parameter(sentence_projection(ours, theirs))
        self._student.train()

    def _own_vectors(self, batch: TrainingBatch) -> torch.Tensor:
        with torch.no_grad():
            seen = observe(self._student, self._student, batch.inputs, needs=Needs(sentence_states=True))
        return _sentences(seen.internals, batch)

    def _add_states(self, batch: TrainingBatch, sums: LeastSquares) -> None:
        needs, is_real = Needs(hidden_states=True), batch.tensors["attention_mask"] == 1
        with torch.no_grad():
            ours = observe(self._student, self._student, batch.inputs, needs=needs).internals.hidden_states
        theirs = self._ask_teacher(batch, needs).internals.hidden_states
        for pair in self._pairs["hidden-states"]:
            sums.add(_projection_of(pair), ours[pair.student][is_real], theirs[pair.teacher][is_real])

    def _ask_teacher(self, batch: TrainingBatch, needs: Needs) -> Observed:
        ids, mask = batch.tensors["teacher_input_ids"], batch.tensors["attention_mask"]
        if self._teacher is None:
            raise ValueError("there is no teacher to ask")
        teacher = self._teacher.to(ids.device)
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
        known = {name: value for name, value in inputs.items() if name in inputs_of(teacher.forward)}
        is_half = multiplies_bf16(ids.device.type) and takes_bf16(teacher.config.model_type)
        autocast = torch.autocast(ids.device.type, torch.bfloat16, enabled=is_half)
        # no_grad, since what inference_mode makes cannot be kept for the student's backward pass
        with torch.no_grad(), autocast:
            return observe(teacher, teacher, known, needs=needs)

    def _compare(self, name: str, student: Internals, teacher: Internals, mask: torch.Tensor) -> torch.Tensor:
        """Return a loss, averaged over its pairs of layers."""
        pairs = self._pairs[name]
        if name == "hidden-states":
            found = [self._compare_states(pair, student, teacher, mask) for pair in pairs]
        else:
            compare = _ON_ATTENTION[name]
            found = [
                compare(student.attentions[pair.student - 1], teacher.attentions[pair.teacher - 1], mask) for pair in pairs
            ]
        return torch.stack(found).mean()

    def _compare_sentences(self, student: Internals, batch: TrainingBatch) -> torch.Tensor:
        return sentence_vector_loss(
            _sentences(student, batch), batch.tensors["sentence_vectors"], projection=self._projections[SENTENCE]
        )

    def _compare_states(
        self, pair: LayerPair, student: Internals, teacher: Internals, mask: torch.Tensor
    ) -> torch.Tensor:
        return hidden_state_loss(
            student.hidden_states[pair.student], teacher.hidden_states[pair.teacher], mask=mask,
            projection=self._projections[_projection_of(pair)],
        )


def _sample_of(training: TrainingSet, size: int) -> Iterator[TrainingBatch]:
    """Yield batches of evenly spread texts, of like length each."""
    rows = np.arange(0, len(training), max(1, -(-len(training) // size)))
    rows = rows[np.argsort(training.encoded.lengths[rows], kind="stable")]
    for start in range(0, len(rows), _FIT_BATCH):
        arrays = training.__getitems__(rows[start : start + _FIT_BATCH].tolist())
        for part in parts_of(arrays):
            tensors = {name: torch.from_numpy(values) for name, values in part.items()}
            yield TrainingBatch(tensors, ("input_ids", "attention_mask", "token_type_ids"), 0.0)


def _sentences(internals: Internals, batch: TrainingBatch) -> torch.Tensor:
    if internals.sentence_states is None:
        raise ValueError("the states of whole texts were not asked for")
    return sentence_vectors_of(internals.sentence_states, batch.tensors["attention_mask"])


def _projection_of(pair: LayerPair) -> str:
    return LAYERS if pair.student else EMBEDDING


def _layer_pairs(term: LossTerm, student_layers: int, teacher_layers: int) -> tuple[LayerPair, ...]:
    """Pair the layers as the recipe says or, where it does not, as the paper does; hidden states begin at the embedding."""
    rule = term.layers or _PAPERS_LAYERS[term.name]
    pairs = pair_layers(rule, student_layers, teacher_layers)
    return (LayerPair(0, 0), *pairs) if term.name == "hidden-states" and rule == "evenly-spaced" else pairs
