"""What the config.json beside a model says: the family and shape of a transformers model, where it is one."""

import json
from pathlib import Path
from typing import Any

from edgedistill.document import read_text
from edgedistill.errors import ArtifactError

CONFIG_FILE = "config.json"


def read_config(folder: Path) -> dict[str, Any]:
    """Return the content of a model folder's config.json; empty where there is none.

    Raises:
        ArtifactError: it is no JSON object.
    """
    path = folder / CONFIG_FILE
    if not path.is_file():
        return {}
    hint = "save the model with save_pretrained again, or take config.json away from beside it"
    try:
        found = json.loads(read_text(path, error=ArtifactError))
    except ValueError as bad:
        raise ArtifactError(f"{path}: is no JSON ({bad})", hint=hint) from bad
    if not isinstance(found, dict):
        raise ArtifactError(f"{path}: is no JSON object", hint=hint)
    return found
