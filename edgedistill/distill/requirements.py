"""Can the recipe's losses compare a student with this teacher? Reads two JSON files and a shape, needs no torch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgedistill.document import read_text
from edgedistill.errors import ArtifactError, RecipeError, TeacherError
from edgedistill.problem_type import SEVERAL_LABELS, ProblemType
from edgedistill.recipe import LossTerm
from edgedistill.tasks.text_classification.encoding import TOKENIZER_FILE, is_wordpiece
from edgedistill.teach.sentence_vectors import VIEWS

_FAMILIES = ("bert", "distilbert", "electra")
"""WordPiece families whose queries, keys and values are found by name."""

_TEACH_AGAIN = "make the soft labels anew: edgedistill teach, into a new folder"


def require_same_length(max_tokens: int, teacher: Path) -> None:
    """Refuse to make a student that reads more or fewer tokens than the teacher whose answers it learns.

    Args:
        max_tokens: of the recipe's teacher.
        teacher: the folder that `teach` wrote, where texts are cut as its tokenizer.json says.

    Raises:
        RecipeError: they differ.
        TeacherError: the tokenizer's file cannot be read.
    """
    try:
        truncation = json.loads(read_text(teacher / TOKENIZER_FILE, error=TeacherError)).get("truncation") or {}
    except (ValueError, AttributeError) as bad:
        raise TeacherError(f"{teacher / TOKENIZER_FILE}: not a tokenizer ({bad})", hint="run `edgedistill teach` again") from None
    taught = truncation.get("max_length", max_tokens)
    if taught != max_tokens:
        raise RecipeError(f"teacher.max_tokens is {max_tokens}, but the teacher answered texts of {taught} tokens at most",
                          hint=f"--set teacher.max_tokens={taught}, or run `edgedistill teach` again")


def require_fitting_losses(losses: Sequence[LossTerm], teacher: Path) -> None:
    """Refuse losses that look inside a teacher whose tokens cannot be paired with the student's.

    A WordPiece teacher's student splits every text as the teacher does; any other gets a vocabulary of its own, and
    token i of the one is not token i of the other.

    Args:
        losses: the recipe's.
        teacher: a model folder; one without tokenizer.json is not judged by its tokens yet.

    Raises:
        RecipeError: they do not fit; names the losses.
        TeacherError: the folder's JSON cannot be read.
    """
    names = [term.name for term in losses if term.asks_the_teacher]
    if not names:
        return
    shown = ", ".join(names)
    tokenizer = teacher / TOKENIZER_FILE
    if tokenizer.is_file() and not is_wordpiece(read_text(tokenizer, error=TeacherError)):
        raise RecipeError(
            f"distillation.losses: {shown} cannot be used with this teacher: its tokenizer is no WordPiece, so its student "
            "has tokens of its own, which cannot be paired with the teacher's",
            hint="take them out of distillation.losses (decoupled-kd and sentence-vectors pair no tokens), or choose a BERT",
        )
    config = _read_config(teacher)
    family = config.get("model_type")
    positions = config.get("position_embedding_type", "absolute")
    if any(name != "hidden-states" for name in names) and (family not in _FAMILIES or positions != "absolute"):
        raise RecipeError(
            f"distillation.losses: {shown}: attention is compared for the families {', '.join(_FAMILIES)} with absolute "
            f"positions; this teacher is of {family!r} with {positions!r} ones",
            hint="use hidden-states or decoupled-kd, or choose another teacher",
        )
    pruned = config.get("pruned_heads")
    if any(name != "hidden-states" for name in names) and isinstance(pruned, dict) and any(pruned.values()):
        raise RecipeError(
            f"distillation.losses: {shown}: attention is compared head by head, and some heads were pruned from this teacher "
            "(pruned_heads in its config.json)", hint="use hidden-states or decoupled-kd, or choose another teacher",
        )


def require_one_target(losses: Sequence[LossTerm], problem: ProblemType) -> None:
    """Refuse a loss that tells the one target class of a text from the rest, where a text may have several labels.

    Raises:
        RecipeError: decoupled-kd is among them.
    """
    if problem == SEVERAL_LABELS and any(term.name == "decoupled-kd" for term in losses):
        raise RecipeError("distillation.losses: decoupled-kd tells the one target class of a text from the rest, and these texts "
                          "may have several labels", hint="take decoupled-kd out of distillation.losses")


def require_views(losses: Sequence[LossTerm], vectors: Path) -> None:
    """Refuse sentence vectors that an earlier version stored, which had other views of a text.

    Args:
        losses: the recipe's; without `sentence-vectors` the file is not looked at.
        vectors: the .npy file, shape (texts, VIEWS, dimensions).

    Raises:
        ArtifactError: it has another shape, is missing or damaged.
    """
    if not any(term.name == "sentence-vectors" for term in losses):
        return
    try:
        shape = np.load(vectors, mmap_mode="r", allow_pickle=False).shape
    except FileNotFoundError:
        raise ArtifactError(f"{vectors}: no such file", hint=_TEACH_AGAIN) from None
    except (ValueError, EOFError, OSError) as bad:
        raise ArtifactError(f"{vectors}: cannot be read as an array ({bad})", hint=_TEACH_AGAIN) from None
    if len(shape) != 3 or shape[1] != VIEWS:
        raise ArtifactError(f"{vectors}: is of shape {shape}, where {VIEWS} vectors a text are compared: of an earlier version",
                            hint=_TEACH_AGAIN)


def _read_config(teacher: Path) -> dict[str, Any]:
    path = teacher / "config.json"
    try:
        config = json.loads(read_text(path, error=TeacherError))
    except json.JSONDecodeError as bad:
        raise TeacherError(f"{path}:{bad.lineno}: {bad.msg}", hint="save the model again with save_pretrained()") from None
    return config if isinstance(config, dict) else {}
