"""Is a teacher already fine-tuned, and in which order does it know the classes? Reads config.json, needs no torch."""

import json
import re
from pathlib import Path

from edgedistill.document import read_text
from edgedistill.errors import TeacherError

_PLACEHOLDER = re.compile(r"^LABEL_\d+$")
_DEFAULT_NAMES = {"0": "LABEL_0", "1": "LABEL_1"}
"""What transformers means when id2label is missing: save_pretrained leaves out values that are its defaults."""


def trained_labels(folder: Path) -> tuple[str, ...] | None:
    """Return the class names of a teacher that is already fine-tuned, in its own order; None when it is not.

    Raises:
        TeacherError: config.json is not JSON, or holds no mapping.
    """
    path = folder / "config.json"
    try:
        config = json.loads(read_text(path, error=TeacherError))
    except json.JSONDecodeError as bad:
        raise TeacherError(f"{path}:{bad.lineno}: {bad.msg}",
                           hint="save the model again with save_pretrained()") from None
    if not isinstance(config, dict):
        raise TeacherError(f"{path}: a mapping of keys to values is expected",
                           hint="save the model again with save_pretrained()")
    if not any("ForSequenceClassification" in name for name in config.get("architectures") or ()):
        return None
    names = config.get("id2label") or _DEFAULT_NAMES
    try:
        return tuple(str(names[key]) for key in sorted(names, key=int))
    except (ValueError, TypeError):
        raise TeacherError(f"{path}: id2label does not give names to class numbers",
                           hint="save the model again with save_pretrained()") from None


def label_order(folder: Path) -> tuple[str, ...] | None:
    """Return the order in which the data's classes must stand to be the teacher's; None when any order will do.

    A teacher whose classes are called LABEL_0, LABEL_1, ... knows them by number: then the data's own order is kept.
    """
    names = trained_labels(folder)
    if names is None or all(_PLACEHOLDER.match(name) for name in names):
        return None
    return names
