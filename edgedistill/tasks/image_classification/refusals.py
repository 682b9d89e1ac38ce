"""What a recipe of pictures may not ask for: settings of texts, and what is not built for pictures."""

from edgedistill.errors import RecipeError
from edgedistill.recipe import Configuration, Data, Distillation, Recipe, Student, Teacher

PICTURE_LOSSES = ("decoupled-kd", "hidden-states")
_TRANSFER_KEYS = ("rows", "copies")


def check_recipe(recipe: Recipe, *, own_configuration: Configuration | None) -> None:
    """Refuse settings of texts, losses that pictures do not have, and a configuration with keys that its model lacks.

    Args:
        recipe: of an image task.
        own_configuration: of the teacher that `init` writes; it is known to be right.

    Raises:
        RecipeError: names the key, and what to type.
    """
    losses = recipe.distillation.losses
    names = [term.name for term in losses if term.name not in PICTURE_LOSSES]
    if names and losses != Distillation().losses:  # the default is for texts, and gives way
        raise RecipeError(f"distillation.losses: {', '.join(names)} is for texts",
                          hint="pictures have decoupled-kd and hidden-states (features with a projection)")
    if any(term.layers is not None for term in losses if term.name in PICTURE_LOSSES):
        raise RecipeError("distillation.losses: layers is for texts; of pictures the last feature map is compared",
                          hint="take layers out of the loss hidden-states")
    _refuse_keys_of_texts(recipe)
    if recipe.student != Student(rung=recipe.student.rung, ladder=recipe.student.ladder):
        raise RecipeError("student: initialisation and aliases are for texts; a picture student starts from random weights",
                          hint="take them out of the recipe")
    if recipe.quantization.aware == "always":
        raise RecipeError("quantization.aware: always is for texts; a picture student cannot be fine-tuned for int8 yet",
                          hint="--set quantization.aware=auto")
    configuration = recipe.teacher.configuration
    if configuration is not None and configuration != own_configuration:  # init's own is right, and is quick
        from edgedistill.tasks.image_classification.configuration import check_configuration

        check_configuration(configuration)


def _refuse_keys_of_texts(recipe: Recipe) -> None:
    """Refuse what would change nothing.

    Raises:
        RecipeError: names the keys.
    """
    made = recipe.distillation.transfer_set
    strange = [name for name, field in type(made).model_fields.items()
               if name not in _TRANSFER_KEYS and getattr(made, name) != field.default]
    if strange:
        raise RecipeError(f"distillation.transfer_set: {', '.join(strange)}: for texts",
                          hint="take them out; what becomes of pictures is in pictures.changes: shift, zoom, mixup, cutmix ...")
    if recipe.teacher.max_tokens != Teacher.model_fields["max_tokens"].default:
        raise RecipeError("teacher.max_tokens: for texts", hint="take it out; pictures.side says how large pictures are")
    if recipe.data.text_column != Data.model_fields["text_column"].default:
        raise RecipeError("data.text_column: for texts", hint=f"pictures: {{column: {recipe.data.text_column}}}")
