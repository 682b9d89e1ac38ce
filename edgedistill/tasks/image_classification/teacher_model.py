"""Adapter to transformers for picture teachers: load one, or make one from a configuration; label pictures."""

import inspect
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import (
    CONFIG_MAPPING,
    MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForImageClassification,
    PretrainedConfig,
    PreTrainedModel,
)

from edgedistill.errors import RecipeError, TeacherError
from edgedistill.heap import give_back_freed
from edgedistill.plan import PictureSize
from edgedistill.processes import current_group, share_of
from edgedistill.recipe import Configuration
from edgedistill.tasks.encoding import Encoded
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
    """Return an untrained teacher of a configuration, which has seen a black picture; set torch's seed before.

    Args:
        configuration: as config.json has it, with `model_type`; channels, size and classes are put in.
        labels: the class names.
        size: of the pictures.

    Raises:
        TeacherError: transformers knows no such model, or its values do not fit together.
        RecipeError: it takes no pictures of this size.
    """
    set_up_torch()
    try:
        config = AutoConfig.for_model(**_with_size(configuration, size), **names_of(labels))
        config.architectures = _first_class(config)
        model = AutoModelForImageClassification.from_config(config)
    except (ValueError, KeyError, TypeError, ZeroDivisionError, RuntimeError) as bad:
        raise TeacherError(f"teacher.configuration: transformers makes no image classifier of it ({_first_line(bad)})",
                           hint="model_type: resnet, vit, convnext or mobilenet_v2, with the values of its configuration class"
                           ) from bad
    _require_answer(model, len(labels), size)
    return with_quickest_layout(model)


def _require_answer(model: PreTrainedModel, classes: int, size: PictureSize) -> None:
    """Push one black picture through a model; raises RecipeError where it has no answer: patches or windows may not divide it."""
    model.eval()
    black = torch.zeros(1, size.channels, size.side, size.side)
    try:
        with torch.no_grad():
            shape = tuple(model(pixel_values=black).logits.shape)
        why = "" if shape == (1, classes) else f"its answer has the shape {shape}"
    except (RuntimeError, ValueError, TypeError, IndexError, ZeroDivisionError, AssertionError) as bad:
        why = _first_line(bad)
    if why:
        raise RecipeError(
            f"teacher.configuration: a {model.config.model_type} of these values takes no pictures of {size.side} x {size.side} "
            f"pixels and {size.channels} channels ({why})",
            hint="give teacher.configuration other sizes of patches or windows, or fewer depths; or store other pictures: "
                 f"--set pictures.side={64 if size.side < 64 else 224}, --set pictures.channels=3")
    model.train()


def _with_size(configuration: Configuration, size: PictureSize) -> dict[str, Any]:
    """Return a configuration with the size of the pictures where its class has it: CLIP in a part, Hiera as height and width."""
    kind = str(configuration.get("model_type", ""))
    made_by = CONFIG_MAPPING[kind]
    own = inspect.signature(made_by.__init__).parameters
    sides = [size.side] * 2 if "image_size" in own and isinstance(own["image_size"].default, list) else size.side
    sized: dict[str, Any] = {"num_channels": size.channels, "image_size": sides}
    if "vision_config" in made_by.sub_configs:
        part: Any = configuration.get("vision_config") or {}
        sized = {"vision_config": {**part, **sized}}
    return {**configuration, "model_type": kind, **sized}


def _first_class(config: PretrainedConfig) -> list[str] | None:
    """Return the class to take of a family that has several (DeiT, LeViT: the other one is distilled); None where it has one."""
    made = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING.get(type(config), None)
    return [made[0].__name__] if isinstance(made, tuple) else None


def _first_line(bad: BaseException) -> str:
    return (str(bad).splitlines() or [type(bad).__name__])[0][:200]


def label_pictures(
    model: PreTrainedModel, encoded: Encoded, *, at_once: int, first: int = 0
) -> Iterator[NDArray[np.float32]]:
    """Yield raw logits of `at_once` pictures at a time, see `pictures_a_batch`, in their order, each shape (rows, classes).

    Batches before the number `first` are left out.

    In a stage that several processes share the batches are dealt out in turn; what the main process yields is whole.
    """
    model.eval()
    group = current_group()
    kind = model.device.type
    autocast = torch.autocast(kind, torch.bfloat16, enabled=multiplies_bf16(kind))
    for turn, start in enumerate(range(first * at_once, len(encoded), at_once)):
        rows = np.arange(start, min(start + at_once, len(encoded)))
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
