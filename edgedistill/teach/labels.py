"""Is a teacher fine-tuned, which classes does it know, how long may a text be? Reads config.json, needs no torch."""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from edgedistill.document import read_text
from edgedistill.errors import TeacherError
from edgedistill.problem_type import SEVERAL_LABELS, ProblemType, problem_of

_CONFIG_FILE = "config.json"
_SAVE_AGAIN = "save the model again with save_pretrained()"
_CLASSIFIER = re.compile("For(Sequence|Image)Classification")
_PLACEHOLDER = re.compile(r"^LABEL_\d+$")
_DEFAULT_CLASSES = 2
"""Of transformers, where neither id2label nor num_labels is there: save_pretrained leaves out values that are its defaults."""

_COUNT_FROM_PADDING = {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer"}
"""Families whose first position is pad_token_id + 1."""


def trained_labels(folder: Path) -> tuple[str, ...] | None:
    """Return the class names of a teacher that is already fine-tuned, in its own order; None when it is not.

    Raises:
        TeacherError: config.json is not JSON, or holds no mapping.
    """
    config = config_of(folder)
    if not any(_CLASSIFIER.search(name) for name in config.get("architectures") or ()):
        return None
    names = config.get("id2label")
    try:
        if not names:
            count = config.get("num_labels")
            return tuple(f"LABEL_{i}" for i in range(_DEFAULT_CLASSES if count is None else int(count)))
        return tuple(str(names[key]) for key in sorted(names, key=int))
    except (ValueError, TypeError):
        raise TeacherError(f"{folder / _CONFIG_FILE}: id2label does not give names to class numbers, or num_labels is no number",
                           hint=_SAVE_AGAIN) from None


def require_same_problem(folder: Path, problem: ProblemType) -> None:
    """Refuse a trained teacher that gives one label where the data have several, or the other way round.

    Args:
        folder: the teacher's; one that is not trained gives none.
        problem: of the data.

    Raises:
        TeacherError: says what to type.
    """
    own = problem_of(config_of(folder))
    if own == problem or trained_labels(folder) is None:
        return
    if own == SEVERAL_LABELS:
        raise TeacherError(
            f"{folder / _CONFIG_FILE}: problem_type is {own}: this teacher says yes or no to every class, and the examples have "
            "one label each",
            hint="of texts that may have several labels: --set data.several_labels=true; else name a teacher trained for one "
                 "label an example, or an encoder (teacher.name), which is then fine-tuned on your labels",
        )
    raise TeacherError(f"{folder}: this teacher chooses one class a text, and the texts may have several labels",
                       hint=f"if it was trained with a sigmoid per class, write \"problem_type\": \"{problem}\" into its "
                            f"{_CONFIG_FILE}; else name a teacher trained so, or an encoder (teacher.name), which is then "
                            "fine-tuned on your labels")


def label_order(folder: Path) -> tuple[str, ...] | None:
    """Return the order in which the data's classes must stand to be the teacher's; None when any order will do.

    A teacher whose classes are called LABEL_0, LABEL_1, ... knows them by number: then the data's own order is kept.
    """
    names = trained_labels(folder)
    if names is None or all(_PLACEHOLDER.match(name) for name in names):
        return None
    return names


def kept_order(order: Sequence[str] | None, labels: Iterable[str | None]) -> tuple[str, ...] | None:
    """Return a teacher's order of classes where it knows all of the data's; None where it does not, or any order will do.

    Args:
        order: as `label_order` has it.
        labels: the data's class names, in any order; None, of a picture without one, is none that a teacher knows.
    """
    return tuple(order) if order is not None and set(labels) <= set(order) else None


def require_same_classes(folder: Path, labels: tuple[str, ...], *, advice: str) -> None:
    """Refuse a trained teacher of other classes than the data's; a teacher that is not trained has none.

    Args:
        folder: the teacher's.
        labels: the data's class names, in their order.
        advice: what else to give; the hint where their number differs.

    Raises:
        TeacherError: the number or the order of its classes is another one.
    """
    own = trained_labels(folder)
    if own is None:
        return
    if len(own) != len(labels):
        raise TeacherError(f"{folder}: the teacher has {len(own)} classes, the data {len(labels)}", hint=advice)
    if label_order(folder) not in (None, labels):
        raise TeacherError(f"{folder}: the teacher's classes stand in another order than the data's",
                           hint="prepare the data with this teacher: edgedistill prepare --recipe RECIPE -o DIR")


def token_limit(folder: Path) -> int | None:
    """Return how many tokens a text may have for this teacher; None when its config.json does not limit them.

    Raises:
        TeacherError: config.json is not JSON, or holds no mapping.
    """
    config = config_of(folder)
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions <= 0:
        return None
    if config.get("model_type") in _COUNT_FROM_PADDING:
        positions -= (config.get("pad_token_id") or 0) + 1
    return positions


def config_of(folder: Path) -> dict[str, Any]:
    """Return what a model folder's config.json says.

    Raises:
        TeacherError: it is missing, is not JSON, or holds no mapping.
    """
    path = folder / _CONFIG_FILE
    try:
        config = json.loads(read_text(path, error=TeacherError))
    except json.JSONDecodeError as bad:
        raise TeacherError(f"{path}:{bad.lineno}: {bad.msg}", hint=_SAVE_AGAIN) from None
    if not isinstance(config, dict):
        raise TeacherError(f"{path}: a mapping of keys to values is expected", hint=_SAVE_AGAIN)
    return config
