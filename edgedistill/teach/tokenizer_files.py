"""Which packages does a teacher's tokenizer need? Looks at file names, needs no torch."""

from importlib.util import find_spec
from pathlib import Path

from edgedistill.errors import MissingDependencyError
from edgedistill.tasks.text_classification.encoding import TOKENIZER_FILE

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


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a dotted name the parent is imported
        return False
