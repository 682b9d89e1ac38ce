"""The data files that a recipe of texts names, before `prepare` has read them."""

from pathlib import Path

from edgedistill.catalog import LocatedRecipe
from edgedistill.errors import DataError, RecipeError
from edgedistill.picture_settings import Pictures
from edgedistill.prepare.assemble import Sources, require_assembled
from edgedistill.prepare.check import require_flagged, require_named
from edgedistill.prepare.clean import SplitPlan
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.read import detect_format, read_labelled_texts
from edgedistill.prepare.unlabelled import require_unlabelled
from edgedistill.recipe import Recipe
from edgedistill.teach.labels import label_order


def require_data(located: LocatedRecipe) -> None:
    """Refuse data files that are not there, or of no known format, before the teacher is asked for; those without labels too.

    Raises:
        DataError: names the file.
    """
    data = located.recipe.data
    for path in (data.train, data.validation, data.test):
        if path is not None:
            detect_format(located.path(path))
    if data.unlabelled is not None:
        require_unlabelled(located.path(data.unlabelled))


def refuse_keys_of_pictures(recipe: Recipe) -> None:
    """Refuse settings of pictures, which would change nothing.

    Raises:
        RecipeError: names the keys.
    """
    usual = Pictures()
    strange = [name for name in Pictures.model_fields if getattr(recipe.pictures, name) != getattr(usual, name)]
    if strange:
        raise RecipeError(f"pictures: {', '.join(strange)}: for pictures", hint="take the section out: this recipe is of texts")


def train_texts(located: LocatedRecipe, teacher: Path) -> tuple[list[str], int]:
    """Return the training texts, and how many classes a student has: a trained teacher may know more than the data have.

    All labelled files are read, and refused where `prepare` would refuse them, as far as counting tells.

    Raises:
        DataError: the data are on the hub, cannot be read, or have too few rows to split, or train stands in another split.
    """
    data = located.recipe.data
    if data.train is None:
        raise DataError("a data set of the hub is read only by `prepare` and `run`",
                        hint="edgedistill prepare --recipe RECIPE -o DIR")
    require_data(located)
    columns = Columns(data.text_column, data.label_column, separator=data.separator, flags=data.label_columns)
    train = read_labelled_texts(located.path(data.train), columns)
    validation, test = (
        None if path is None else read_labelled_texts(located.path(path), columns, split=split)
        for split, path in (("validation", data.validation), ("test", data.test))
    )
    order = label_order(teacher)
    if order is None:
        require_flagged(train, data.label_columns)
    require_named(train, columns, order=order)
    classes = require_assembled(
        Sources(train, validation, test), SplitPlan(data.validation_share, data.test_share, located.recipe.seed, order))
    return train.texts.to_pylist(), len(classes)
