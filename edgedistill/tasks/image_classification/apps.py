"""The sources for apps in a bundle of pictures: one file for Android and one for iOS, each with `classify(bitmap)`."""

from collections.abc import Sequence
from importlib.resources import files

from edgedistill.package.app_sources import KOTLIN_PACKAGE, source_environment
from edgedistill.package.contents import TEXT_MODEL_FILE

_PLACES = {"PictureClassifier.kt": "android/PictureClassifier.kt", "PictureClassifier.swift": "ios/PictureClassifier.swift"}
"""Template -> its place in the bundle."""


def app_sources(*, title: str, labels: Sequence[str]) -> dict[str, str]:
    """Return the sources by their name in the bundle; the same arguments give the same text."""
    environment = source_environment()
    folder = files("edgedistill.tasks.image_classification").joinpath("templates")
    values = {"package": KOTLIN_PACKAGE, "title": title, "labels": labels, "model_file": TEXT_MODEL_FILE}
    return {
        place: environment.from_string(folder.joinpath(name).read_text(encoding="utf-8")).render(values)
        for name, place in _PLACES.items()
    }
