"""What a recipe of pictures may not ask for: settings of texts, and what is not built for pictures."""

import difflib

from edgedistill.catalog import LocatedRecipe
from edgedistill.data_settings import Data
from edgedistill.errors import RecipeError
from edgedistill.recipe import Configuration, Distillation, Recipe, Student, Teacher
from edgedistill.tasks.image_classification.families import EXPORTED, OF_OTHER_INPUTS

PICTURE_LOSSES = ("decoupled-kd", "hidden-states")
_TRANSFER_KEYS = ("rows", "copies")
_TAKE_THE_FOLDER = "remove teacher.configuration to take"


def check_recipe(recipe: Recipe, *, own_configuration: Configuration | None) -> None:
    """Refuse settings of texts, losses that pictures do not have, and a configuration that cannot be, or not alone.

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
    _refuse_second_teacher(recipe.teacher)
    configuration = recipe.teacher.configuration
    if configuration is not None and configuration != own_configuration:  # init's own is right, and is quick
        from edgedistill.tasks.image_classification.configuration import check_configuration

        check_configuration(configuration)
        require_exported(configuration.get("model_type"), place="teacher.configuration")


def require_exported(kind: object, *, place: str) -> None:
    """Refuse a teacher of a family that cannot be exported or fed, which would show only after it was trained and had labelled.

    Args:
        kind: its `model_type`; what is no text is left to transformers.
        place: names the teacher in the message.

    Raises:
        RecipeError: names the families that there are.
    """
    if not isinstance(kind, str) or kind in EXPORTED:
        return
    near = difflib.get_close_matches(kind, sorted(EXPORTED), n=1, cutoff=0.6)
    why = "fed and exported" if kind in OF_OTHER_INPUTS else "exported to ONNX"
    raise RecipeError(f"{place}: a teacher of the family {kind} cannot be {why} as an image classifier",
                      hint=f"choose another family{f', for example {near[0]}' if near else ''}: {', '.join(sorted(EXPORTED))}")


def refuse_folder_beside_configuration(located: LocatedRecipe) -> None:
    """Refuse a teacher that has a configuration and is called like a folder beside the recipe: only one of them can be meant.

    Raises:
        RecipeError: says what to type.
    """
    name = located.recipe.teacher.name
    if located.path(name).is_dir():
        raise _second_teacher(f"teacher.name: {name} is a folder", name)


def _refuse_second_teacher(teacher: Teacher) -> None:
    """Refuse what would say nothing of a teacher that is trained from a configuration, or means another one.

    Raises:
        RecipeError: names the keys.
    """
    if teacher.configuration is None:
        return
    if "/" in teacher.name or teacher.name.startswith((".", "~")):
        raise _second_teacher(f"teacher.name: {teacher.name} names a folder or a model of the hub", teacher.name)
    unused = [key for key in ("revision", "sha256", "package", "allow_hub")
              if getattr(teacher, key) != Teacher.model_fields[key].default]
    if unused:
        raise RecipeError(f"teacher: {', '.join(unused)} would change nothing, as the run trains a teacher from "
                          "teacher.configuration",
                          hint=f"{_TAKE_THE_FOLDER} {teacher.name}, or remove {', '.join(unused)}")


def _second_teacher(what: str, name: str) -> RecipeError:
    return RecipeError(f"{what}, and the run trains another teacher, from teacher.configuration",
                       hint=f"{_TAKE_THE_FOLDER} {name}; to train one, give it a name without '/', such as my-teacher")


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
    if recipe.teacher.fine_tuning.learning_rates:
        raise RecipeError("teacher.fine_tuning.learning_rates: for texts", hint="give one: teacher.fine_tuning.learning_rate")
    if recipe.data.text_column != Data.model_fields["text_column"].default:
        raise RecipeError("data.text_column: for texts", hint=f"pictures: {{column: {recipe.data.text_column}}}")
    if recipe.data.may_have_several:
        raise RecipeError("data.several_labels and data.label_columns: for texts; a picture has one label",
                          hint="take it out, and give each picture one label")
