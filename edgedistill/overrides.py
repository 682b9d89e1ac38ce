"""Settings that the command line puts in the place of a recipe's: `--set dotted.key=value`."""

from typing import Any

import yaml

from edgedistill.errors import RecipeError


def set_override(content: dict[str, Any], item: str) -> None:
    """Set one dotted key in a recipe's mapping.

    Args:
        content: the mapping, which is changed.
        item: `dotted.key=value`, the value in YAML.

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
            raise RecipeError(f"--set {item}: {parent} is no section", hint="edgedistill schema recipe")
    try:
        place[last] = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise RecipeError(f"--set {item}: the value is not YAML", hint="--set distillation.temperature=4") from None
