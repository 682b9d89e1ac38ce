"""A Trainer whose memory does not grow with the length of the texts: a large batch of long ones is computed in parts."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from transformers import Trainer

from edgedistill.batch_parts import WEIGHT, parts_of


class BoundedTrainer(Trainer):
    """Trainer that takes batches as `parts_of` cuts them; a step and an evaluation are those of the whole batch.

    The loss must be a mean over the rows (as several processes need it, too): the parts' losses and gradients, each
    weighted by its share of the rows, then add up to those of the batch, up to rounding.
    """

    def training_step(self, model: Any, inputs: Mapping[str, Any], *arguments: Any, **named: Any) -> torch.Tensor:
        """See Trainer; the gradients of the parts add up, and only the last part's are sent to the other processes."""
        parts, step = parts_of(inputs), super().training_step
        if len(parts) == 1:
            loss: torch.Tensor = step(model, inputs, *arguments, **named)
            return loss
        losses: list[torch.Tensor] = []
        for number, part in enumerate(parts, 1):
            weighted = {**part, WEIGHT: torch.as_tensor(_share(part, inputs) * inputs.get(WEIGHT, 1.0))}
            # processes may have other numbers of parts, so all of them must average gradients once a step
            with nullcontext() if number == len(parts) else self.accelerator.no_sync(model):
                losses.append(step(model, weighted, *arguments, **named))
        return torch.stack(losses).sum()

    def prediction_step(
        self, model: Any, inputs: Mapping[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[Any, Any, Any]:
        """See Trainer; loss, logits and labels are those of the whole batch."""
        parts, predict = parts_of(inputs), super().prediction_step
        found = [predict(model, part, prediction_loss_only, ignore_keys) for part in parts]
        losses, logits, labels = zip(*found, strict=True)
        if len(found) == 1:
            return losses[0], logits[0], labels[0]
        loss = sum(_share(part, inputs) * loss for part, loss in zip(parts, losses, strict=True))
        return (loss, None, None) if prediction_loss_only else (loss, torch.cat(logits), torch.cat(labels))


def _share(part: Mapping[str, Any], batch: Mapping[str, Any]) -> float:
    return len(part["input_ids"]) / len(batch["input_ids"])
