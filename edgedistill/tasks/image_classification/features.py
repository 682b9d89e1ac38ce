"""Features with a projection: the student's last feature map, linearly mapped, is to be the teacher's (Romero et al. 2015).

Maps of other sizes are brought to the smaller one by average pooling. A transformer's map is its patches.
The comparison is the one of hidden states, place by place.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from edgedistill.distill.losses import hidden_state_loss
from edgedistill.distill.objective import weight_at
from edgedistill.errors import TeacherError
from edgedistill.objective import LogitObjective, LossFunction, Objective, Scored, TrainingBatch
from edgedistill.recipe import LossTerm
from edgedistill.torch_setup import multiplies_bf16

FEATURES = "hidden-states"
"""The recipe's name of this loss: what is compared is the same kind of thing as with texts."""


_MOST_BEFORE = 5
"""Tokens before the patches at most: DINOv2 has a class token and four registers."""


class FeatureObjective(Objective):
    """A loss on logits, plus one on the last feature maps of student and teacher for the same picture.

    Only training steps with a weight above 0 ask the teacher; validation never does.

    Args:
        base: the loss on logits.
        terms: the losses beside it; all of them `hidden-states`.
        student: the model that will be trained.
        teacher: frozen; sees the same pictures under its own pre-processing.
        seed: of the projection's first values.
    """

    def __init__(
        self, base: LossFunction, terms: Sequence[LossTerm], *, student: PreTrainedModel, teacher: PreTrainedModel,
        seed: int,
    ) -> None:
        self._base, self._terms = LogitObjective(base), tuple(terms)
        self._student, self._teacher = student, teacher.eval().requires_grad_(False)
        widths = [width_of(model) for model in (student, teacher)]
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(widths[0], widths[1], generator=generator) / widths[0] ** 0.5
        self._projection = torch.nn.Parameter(start)
        self.learned = torch.nn.ParameterDict({"features": self._projection})

    def __call__(self, model: Any, batch: TrainingBatch) -> Scored:
        """Run the student, and the teacher where it is needed."""
        if not model.training:
            return self._base(model, batch)
        answer = model(**batch.inputs, output_hidden_states=True)
        loss = self._base.score(answer.logits, batch).loss
        weight = sum(weight_at(term, batch.progress) for term in self._terms)
        if weight > 0:
            ours, theirs = as_grid(answer.hidden_states[-1]), self._ask_teacher(batch)
            with torch.autocast(theirs.device.type, enabled=False):
                loss = loss + weight * compare_maps(ours.float(), theirs.float(), self._projection)
        else:
            loss = loss + 0.0 * self._projection.sum()  # over many processes every parameter must have a gradient
        return Scored(loss, answer.logits)

    def _ask_teacher(self, batch: TrainingBatch) -> torch.Tensor:
        pixels = batch.tensors["teacher_pixel_values"]
        teacher = self._teacher.to(pixels.device)
        is_half = multiplies_bf16(pixels.device.type)
        with torch.no_grad(), torch.autocast(pixels.device.type, torch.bfloat16, enabled=is_half):
            return as_grid(teacher(pixel_values=pixels, output_hidden_states=True).hidden_states[-1])


def as_grid(states: torch.Tensor) -> torch.Tensor:
    """Return a feature map, shape (batch, channels, height, width), of a convolution's or a transformer's hidden states.

    Args:
        states: shape (batch, channels, height, width), or (batch, tokens, channels) for the patches of a square; up to five
            tokens before them (class, distillation, registers) are left out.

    Raises:
        TeacherError: the tokens are no square.
    """
    if states.ndim == 4:
        return states
    side = math.isqrt(states.shape[1])
    before = states.shape[1] - side * side
    if states.ndim != 3 or before > _MOST_BEFORE:
        raise TeacherError(f"hidden states of shape {tuple(states.shape)} are no map of a square picture",
                           hint="take hidden-states out of distillation.losses")
    patches = states[:, before:]
    return patches.transpose(1, 2).reshape(states.shape[0], states.shape[2], side, side)


def compare_maps(student: torch.Tensor, teacher: torch.Tensor, projection: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference of two feature maps.

    Args:
        student: shape (batch, a, height, width).
        teacher: shape (batch, b, height, width), another height and width or the same.
        projection: shape (a, b).
    """
    side = min(student.shape[-1], teacher.shape[-1])
    ours, theirs = (torch.nn.functional.adaptive_avg_pool2d(item, side).flatten(2).transpose(1, 2)
                    for item in (student, teacher))
    mask = torch.ones(ours.shape[:2], dtype=torch.int64, device=ours.device)
    return hidden_state_loss(ours, theirs, mask=mask, projection=projection)


def width_of(model: PreTrainedModel) -> int:
    """Return the channels of a model's last feature map; asks the model, since every family names it otherwise."""
    config = getattr(model.config, "vision_config", model.config)  # a CLIP's picture half has a configuration of its own
    size = getattr(config, "image_size", None) or 32
    side = int(size[0] if isinstance(size, list | tuple) else size)  # Hiera has height and width
    was_training = model.training
    with torch.no_grad():
        states = model.eval()(pixel_values=torch.zeros(1, config.num_channels, side, side), output_hidden_states=True)
    model.train(was_training)
    return int(as_grid(states.hidden_states[-1]).shape[1])
