"""What a plan must know of the pictures: how many, of how many classes, how large."""

import dataclasses
from typing import TYPE_CHECKING

from edgedistill.catalog import LocatedRecipe
from edgedistill.plan import DataFacts, PictureSize
from edgedistill.prepare.columns import Columns

if TYPE_CHECKING:
    from edgedistill.tasks.image_classification.sources import Source


def pictures_of_train(located: LocatedRecipe) -> "tuple[Source, PictureSize]":
    """Return the pictures of train, and the size at which they are stored: as the recipe says, else by some of them."""
    from edgedistill.tasks.image_classification.read import choose_size
    from edgedistill.tasks.image_classification.sources import open_hub_source, open_source

    recipe, data = located.recipe, located.recipe.data
    columns = Columns(recipe.pictures.column, data.label_column)
    if data.hub is not None:
        source = open_hub_source(data.hub, data.hub.train, columns)
    elif data.train is not None:
        source = open_source(located.path(data.train), columns)
    else:
        raise ValueError("a recipe names its data: `Data` sees to it")
    return source, choose_size(source, side=recipe.pictures.side, channels=recipe.pictures.channels)


def size_of(facts: DataFacts) -> PictureSize:
    """Return the size at which pictures are stored.

    Raises:
        ValueError: the facts are those of another task.
    """
    if facts.picture is None:
        raise ValueError("the facts say nothing of pictures")
    return facts.picture


def facts_of(size: PictureSize, *, classes: int, rows: int) -> DataFacts:
    """Return the facts of so many pictures of a size; what a text's tokens are to others, the pixels of a plane are here."""
    return dataclasses.replace(DataFacts(classes, rows, size.side**2), picture=size)
