"""A teacher of a configuration is tried before any work: can it be made, and does it answer pictures as they are stored?"""

import json
from contextlib import suppress
from pathlib import Path

from edgedistill.artifact import MANIFEST_FILE
from edgedistill.catalog import LocatedRecipe
from edgedistill.errors import UsageError
from edgedistill.manifest import Manifest
from edgedistill.plan import PictureSize
from edgedistill.recipe import Configuration
from edgedistill.tasks.image_classification.facts import pictures_of_train
from edgedistill.tasks.image_classification.preprocessing import read_preprocessing
from edgedistill.tasks.image_classification.starting_point import OWN_TEACHER


def try_configuration(located: LocatedRecipe, stages: Path) -> None:
    """Make the teacher of a configuration and show it a picture. Imports torch, but not where such a teacher was trained here.

    Args:
        located: the recipe, with the side of the pictures where the plan chose it.
        stages: the folder of the run's steps.

    Raises:
        RecipeError: it takes no pictures of this size.
        TeacherError: transformers makes no such model.
        DataError: the pictures of train cannot be opened.
    """
    configuration = located.recipe.teacher.configuration
    if configuration is None or configuration == OWN_TEACHER.configuration:  # that of init is known to be right
        return
    size = pictures_of_train(located)[1]
    if _was_taught(configuration, size, stages):
        return
    from edgedistill.tasks.image_classification.teacher_model import make_image_classifier

    make_image_classifier(configuration, ("one", "other"), size)


def _was_taught(configuration: Configuration, size: PictureSize, stages: Path) -> bool:
    """Was a teacher of this configuration trained in the run folder, on pictures of this size? A damaged one was not."""
    for file in (stages / "teach").glob(f"*/{MANIFEST_FILE}"):
        with suppress(UsageError):
            settings = json.loads(Manifest.read_json(file).settings_json)
            if settings.get("configuration") == configuration and read_preprocessing(file.parent).size == size:
                return True
    return False
