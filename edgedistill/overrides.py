"""Settings that the command line puts in the place of a recipe's: `--set dotted.key=value`."""

import re
from collections.abc import Sequence
from types import NoneType
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from edgedistill.errors import RecipeError

_QUOTED = re.compile(r"""'.*'|".*\"""", re.DOTALL)


def set_override(content: dict[str, Any], item: str, *, of: type[BaseModel]) -> None:
    """Set one dotted key in a recipe's mapping.

    Args:
        content: the mapping, which is changed.
        item: `dotted.key=value`, the value in YAML; where the key takes text it is taken as it is written (`yes`, `1`, `|`, `#`),
            but for nothing or `null`, and for what stands in quotes.
        of: the document that the mapping becomes, which says what a key takes.

    Raises:
        RecipeError: it is of another form, a key on the way is no section, or the value is not YAML.
    """
    key, equals, value = item.partition("=")
    if not equals or not all(key.split(".")):
        raise RecipeError(f"--set {item}: not of the form key=value", hint="--set distillation.temperature=4")
    *parents, last = key.split(".")
    place = content
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, dict):
            raise RecipeError(f"--set {item}: {parent} is no section",
                              hint="docs/recipe.md tells the keys; all of them: edgedistill schema recipe")
    written = value.strip()
    if _takes_text(of, [*parents, last]) and written not in ("", "null") and not _QUOTED.fullmatch(written):
        place[last] = written
        return
    try:
        place[last] = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise RecipeError(f"--set {item}: the value is not YAML", hint="--set distillation.temperature=4") from None


def _takes_text(document: type[BaseModel], keys: Sequence[str]) -> bool:
    """Is the field that dotted keys lead to a string, or a string or nothing?"""
    field = document.model_fields.get(keys[0])
    if field is None:
        return False
    kinds = set(get_args(field.annotation) or (field.annotation,)) - {NoneType}
    if len(keys) == 1:
        return kinds == {str}
    return any(isinstance(kind, type) and issubclass(kind, BaseModel) and _takes_text(kind, keys[1:]) for kind in kinds)
