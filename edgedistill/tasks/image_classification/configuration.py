"""A teacher's configuration in a recipe, compared with what its class in transformers knows."""

import difflib
import inspect

from edgedistill.errors import RecipeError
from edgedistill.recipe import Configuration


def check_configuration(configuration: Configuration) -> None:
    """Refuse an unknown model type, and keys that its configuration does not have: transformers would swallow them.

    Args:
        configuration: as config.json has it, with `model_type`.

    Raises:
        RecipeError: names the key, and the one that was probably meant.
    """
    from transformers import CONFIG_MAPPING  # takes seconds, and only a teacher that is made in the run needs it

    kind = str(configuration.get("model_type", ""))
    if kind not in CONFIG_MAPPING:
        raise RecipeError(f"teacher.configuration: transformers has no model_type {kind!r}{_meant(kind, list(CONFIG_MAPPING))}",
                          hint="model_type: resnet, vit, convnext or mobilenet_v2, with the values of its configuration class")
    made_by = CONFIG_MAPPING[kind]
    own = [name for name in inspect.signature(made_by.__init__).parameters if name not in ("self", "kwargs")]
    known = {*own, *made_by.attribute_map, "model_type"}
    if known.issuperset(configuration):
        return
    known |= set(made_by().to_dict())
    unknown = next((key for key in configuration if key not in known), None)
    if unknown is not None:
        values = ", ".join(name for name in own if name not in _PUT_IN)
        raise RecipeError(f"teacher.configuration: {made_by.__name__} has no {unknown}{_meant(unknown, own)}",
                          hint=f"take it out, or correct it; {kind} has {values}")


_PUT_IN = ("num_channels", "image_size")
"""Values that the run gives, by the pictures."""


def _meant(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""
