"""What a bundle calls the teacher: an id of the hub as the recipe has it, of a folder nothing but its own name."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgedistill.catalog import LocatedRecipe

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def base_model_of(located: "LocatedRecipe") -> str:
    """Return what a bundle calls a recipe's teacher.

    Where the folder lies is nobody's business but its owner's, and a relative one such as `work/teacher` reads like an id of
    the hub. A folder is looked for beside the recipe first, as `teach` does.
    """
    name = located.recipe.teacher.name
    folder = located.path(name)
    if is_hub_id(name) and not folder.is_dir():
        return name
    return folder.name or "teacher"  # the root of a file system has no name


def is_hub_id(name: str) -> bool:
    """Has a name the form owner/model that a hub's page is found by? A name from `base_model_of` is no folder then."""
    return _HUB_ID.fullmatch(name) is not None
