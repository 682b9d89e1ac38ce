"""Which packages does a teacher's tokenizer need, and does its model know all of its tokens? Reads JSON, needs no torch."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgedistill.document import read_text
from edgedistill.errors import MissingDependencyError, TeacherError
from edgedistill.tasks.text_classification.encoding import TOKENIZER_FILE
from edgedistill.teach.labels import config_of

_OWN_VOCABULARY = "vocab.*"
_SENTENCEPIECE = "*.model"
_PACKAGES = (("sentencepiece", "sentencepiece"), ("google.protobuf", "protobuf"))
"""What transformers converts a SentencePiece file with: module and package."""


def require_tokenizer_packages(folder: Path) -> None:
    """Refuse a folder whose tokenizer is a SentencePiece file alone where it cannot be converted here.

    Raises:
        MissingDependencyError: names the packages.
    """
    if (folder / TOKENIZER_FILE).is_file() or any(folder.glob(_OWN_VOCABULARY)):
        return
    found = sorted(file.name for file in folder.glob(_SENTENCEPIECE))
    missing = [package for module, package in _PACKAGES if not _is_installed(module)]
    if found and missing:
        raise MissingDependencyError(
            f"{folder}: its tokenizer is the SentencePiece file {found[0]} alone, without {TOKENIZER_FILE}, and "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed, which it is converted with",
            hint=f"pip install {' '.join(missing)}, or copy the model's {TOKENIZER_FILE} into the folder",
        )


def require_known_tokens(model: Path, *, tokenizer: Path | None = None) -> None:
    """Refuse a teacher whose tokenizer has tokens that its embedding has no row for; more rows than tokens are fine.

    Args:
        model: the folder with its config.json; one that says no `vocab_size` is not judged.
        tokenizer: the folder with its tokenizer.json, by default the same; one without is not judged yet.

    Raises:
        TeacherError: names the token; or a file cannot be read.
    """
    path, rows = (tokenizer or model) / TOKENIZER_FILE, config_of(model).get("vocab_size")
    if not isinstance(rows, int) or not path.is_file():
        return
    try:
        ids = _ids_of(json.loads(read_text(path, error=TeacherError)))
    except (ValueError, TypeError, KeyError, AttributeError) as bad:
        raise TeacherError(f"{path}: not a tokenizer ({bad})", hint="save it again with save_pretrained()") from None
    token, index = max(ids.items(), key=lambda item: item[1], default=("", -1))
    if index >= rows:
        raise TeacherError(
            f"{path}: the token {token!r} has the id {index}, and the teacher's embedding has {rows} rows (vocab_size)",
            hint="model.resize_token_embeddings(len(tokenizer)) in transformers gives it the rows; then save both again")


def cuts_the_beginning(folder: Path) -> bool:
    """Does a teacher's own tokenizer_config.json say that it reads the ends of long texts?"""
    try:
        return bool(json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("truncation_side") == "left")
    except (OSError, ValueError, AttributeError):  # the file is not needed, and what is amiss with it is not said here
        return False


def _ids_of(content: dict[str, Any]) -> dict[str, int]:
    """Return the ids of a tokenizer.json's tokens; Unigram has a list of pieces, the others a mapping."""
    known = content["model"]["vocab"]
    own = {piece[0]: index for index, piece in enumerate(known)} if isinstance(known, list) else dict(known)
    return own | {token["content"]: token["id"] for token in content.get("added_tokens") or ()}


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a dotted name the parent is imported
        return False
