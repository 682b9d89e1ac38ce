"""Adapter to transformers: load a classifier with one output a label, of texts or pictures alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from edgedistill.errors import ArtifactError, TeacherError
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType, problem_of
from edgedistill.tasks.registry import task_of_model
from edgedistill.teach.labels import trained_labels
from edgedistill.torch_setup import set_up_torch


@dataclass(frozen=True)
class ClassifierKind:
    """Which classifiers are loaded.

    Attributes:
        auto: transformers' class that finds the model's own.
        called: in messages, for example "sequence classifier".
        advice: what else to name as a teacher; a hint.
        options: of `from_pretrained`, besides those of every kind.
    """

    auto: Any
    called: str
    advice: str
    options: dict[str, Any] = field(default_factory=dict)


def names_of(labels: Sequence[str]) -> dict[str, Any]:
    """Return what a configuration says of classes."""
    return {"num_labels": len(labels), "id2label": dict(enumerate(labels)), "label2id": {n: i for i, n in enumerate(labels)}}


def read_config(folder: Path, labels: Sequence[str], *, problem: ProblemType | None = ONE_LABEL) -> PretrainedConfig:
    """Read config.json and put in the class names and whether an example may have several; None keeps what it says.

    Code of the folder's own is refused.
    """
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **names_of(labels))
    if problem is not None and problem != problem_of(config):
        config.problem_type = problem if problem == SEVERAL_LABELS else None
    return config


def load_with_head(
    kind: ClassifierKind, folder: Path, labels: Sequence[str], *, is_trained: bool = False,
    problem: ProblemType | None = ONE_LABEL,
) -> PreTrainedModel:
    """Load a teacher with one output per label.

    Args:
        kind: what it shall become.
        folder: a transformers model with config.json and safetensors.
        labels: the class names, in the order of the outputs.
        is_trained: must all weights be there? If not, a head that is missing is new.
        problem: may an example have several labels? None: as its config.json says.

    Raises:
        TeacherError: transformers cannot make such a classifier of it, or weights are missing: any of a trained one, and of
            another those of its encoder, which would start from random numbers.
    """
    set_up_torch()
    try:
        config = read_config(folder, labels, problem=problem)
        config.tie_word_embeddings = getattr(config, "tie_word_embeddings", True)
        model, found = kind.auto.from_pretrained(
            folder, config=config, local_files_only=True, use_safetensors=True, dtype=torch.float32,
            ignore_mismatched_sizes=True, trust_remote_code=False, output_loading_info=True, **kind.options,
        )
    except (OSError, ValueError, KeyError, SafetensorError) as bad:
        raise TeacherError(f"{folder}: transformers makes no {kind.called} of it ({bad})", hint=kind.advice) from bad
    missing = sorted([*found["missing_keys"], *(key if isinstance(key, str) else key[0] for key in found["mismatched_keys"])])
    if is_trained and missing:
        raise TeacherError(f"{folder}: its config.json speaks of a trained classifier, but its weights lack {missing[0]}",
                           hint="save the trained classifier again with save_pretrained()")
    lost = [name for name in missing if _is_of_encoder(name, model)]
    if lost:
        raise TeacherError(f"{folder}: {len(lost)} weights of its encoder, {lost[0]} among them, are not in its files, or have "
                           "another shape than its config.json says",
                           hint="save the model again with save_pretrained(), its config with it")
    return model


def load_trained(folder: Path, **options: Any) -> PreTrainedModel:
    """Load a classifier of texts or pictures as it is, in fp32 and evaluation mode; no code from the folder is run.

    Its configuration is read with as many classes as its config.json names: some families (PVT) put in their own number.

    Args:
        folder: config.json and model.safetensors.
        options: of `from_pretrained`, besides.

    Raises:
        ArtifactError: the folder holds no whole classifier.
    """
    set_up_torch()
    task = task_of_model(folder)
    try:
        labels = trained_labels(folder)
        config = None if labels is None else read_config(folder, labels, problem=None)
        model: PreTrainedModel = getattr(transformers, task.model_class).from_pretrained(
            folder, **({} if config is None else {"config": config}), local_files_only=True, use_safetensors=True,
            trust_remote_code=False, dtype=torch.float32, **options,
        )
    except (OSError, ValueError, KeyError, SafetensorError, TeacherError) as bad:
        raise ArtifactError(f"{folder}: transformers makes no {task.kind} of it ({bad})",
                            hint="name a model folder that distill or teach made") from bad
    return model.eval()


def _is_of_encoder(name: str, model: PreTrainedModel) -> bool:
    """Is a weight of the part below the head? A pooler may be new, as many encoders are published without; counters are none."""
    is_below = name.startswith(f"{model.base_model_prefix}.")
    return is_below and "pooler" not in name and not name.endswith("num_batches_tracked")
