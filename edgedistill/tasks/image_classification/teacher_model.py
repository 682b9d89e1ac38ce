"""Adapter to transformers for picture teachers: load one, or make one from a configuration; label pictures."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoConfig, AutoModelForImageClassification, PreTrainedModel

from edgedistill.errors import TeacherError
from edgedistill.heap import give_back_freed
from edgedistill.plan import PictureSize
from edgedistill.processes import current_group, share_of
from edgedistill.recipe import Configuration
from edgedistill.tasks.encoding import Encoded
from edgedistill.tasks.image_classification.encoding import PICTURES_A_BATCH
from edgedistill.teach.classifier import ClassifierKind, load_with_head, names_of
from edgedistill.teach.labels import trained_labels
from edgedistill.torch_setup import multiplies_bf16, set_up_torch, with_quickest_layout


def load_image_classifier(folder: Path, labels: Sequence[str], *, is_trained: bool = False) -> PreTrainedModel:
    """Load a teacher of pictures with one output per label; arguments and errors as `load_with_head`."""
    kind = ClassifierKind(AutoModelForImageClassification, "image classifier",
                          "name an image classifier of transformers, or give teacher.configuration")
    return with_quickest_layout(load_with_head(kind, folder, labels, is_trained=is_trained))


def load_with_new_head(folder: Path, labels: Sequence[str]) -> PreTrainedModel:
    """Load a teacher to fine-tune: its last layer begins anew, even where it has as many outputs; set torch's seed before.

    Raises:
        TeacherError: as `load_with_head`.
    """
    model = load_image_classifier(folder, labels)
    if len(trained_labels(folder) or ()) == len(labels):
        wider = load_image_classifier(folder, [*labels, "one more"])  # of another size, so its head is new
        with torch.no_grad():
            for name, weights in model.named_parameters():
                other = wider.get_parameter(name)
                if other.shape != weights.shape:
                    weights.copy_(other[: len(weights)])
    return model


def make_image_classifier(configuration: Configuration, labels: Sequence[str], size: PictureSize) -> PreTrainedModel:
    """Return an untrained teacher of a configuration; set torch's seed before.

    Args:
        configuration: as config.json has it, with `model_type`; channels, size and classes are put in.
        labels: the class names.
        size: of the pictures.

    Raises:
        TeacherError: transformers knows no such model, or its values do not fit together.
    """
    set_up_torch()
    values = {**configuration, "num_channels": size.channels, "image_size": size.side}
    kind = str(values.pop("model_type", ""))
    try:
        model = AutoModelForImageClassification.from_config(AutoConfig.for_model(kind, **values, **names_of(labels)))
    except (ValueError, KeyError, TypeError, ZeroDivisionError, RuntimeError) as bad:
        raise TeacherError(f"teacher.configuration: transformers makes no image classifier of it ({_first_line(bad)})",
                           hint="model_type: resnet, vit, convnext or mobilenet_v2, with the values of its configuration class"
                           ) from bad
    return with_quickest_layout(model)


def _first_line(bad: BaseException) -> str:
    return (str(bad).splitlines() or [type(bad).__name__])[0][:200]


def label_pictures(model: PreTrainedModel, encoded: Encoded, *, first: int = 0) -> Iterator[NDArray[np.float32]]:
    """Yield raw logits of `PICTURES_A_BATCH` pictures at a time, in their order, each shape (rows, classes).

    Batches before the number `first` are left out.

    In a stage that several processes share the batches are dealt out in turn; what the main process yields is whole.
    """
    model.eval()
    group = current_group()
    kind = model.device.type
    autocast = torch.autocast(kind, torch.bfloat16, enabled=multiplies_bf16(kind))
    for turn, start in enumerate(range(first * PICTURES_A_BATCH, len(encoded), PICTURES_A_BATCH)):
        rows = np.arange(start, min(start + PICTURES_A_BATCH, len(encoded)))
        result = np.zeros((len(rows), model.config.num_labels), np.float32)
        if share_of(turn, group):
            pixels = torch.from_numpy(np.asarray(encoded.batch(rows)["pixel_values"])).to(model.device)
            with torch.inference_mode(), autocast:
                result[:] = model(pixel_values=pixels).logits.float().cpu().numpy()
        yield group.merge(result)
        give_back_freed(turn)


def configuration_text(configuration: Configuration) -> str:
    """Return a configuration as canonical JSON."""
    return json.dumps(configuration, sort_keys=True)
