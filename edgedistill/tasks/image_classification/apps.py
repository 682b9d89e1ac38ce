"""The sources for apps in a bundle of pictures: a Gradle module, a Swift package, both with `classify(bitmap)`, and a page."""

from collections.abc import Sequence
from importlib.resources import files

from edgedistill.package.app_sources import AppModules, module_sources, render_sources
from edgedistill.tasks.image_classification.encoding import PREPROCESSOR_FILE

KOTLIN_PACKAGE = "org.edgedistill.pictureclassifier"

_PLACES = {
    "PictureClassifier.kt": "android/src/main/kotlin/PictureClassifier.kt",
    "GoldenPictures.kt": "android/src/androidTest/kotlin/GoldenPictures.kt",
    "PictureClassifier.swift": "ios/Sources/PictureClassifier.swift",
    "GoldenPictures.swift": "ios/Tests/GoldenPictures.swift",
    "web_classifier.js": "web/classifier.js",
    "web_index.html": "web/index.html",
}
"""Template -> its place in the bundle."""


def app_sources(*, title: str, labels: Sequence[str]) -> dict[str, str]:
    """Return the sources by their name in the bundle; the same arguments give the same text.

    Args:
        title: what the model is called.
        labels: name of each class.
    """
    modules = AppModules(
        classifier="PictureClassifier", package=KOTLIN_PACKAGE, title=title, labels=labels, has_extensions=False,
        asked_kotlin="GoldenPictures.bitmapOf(golden, position)", asked_swift="try GoldenPictures.image(at: position)",
        beside=(PREPROCESSOR_FILE,),
    )
    values = modules.values() | {"page_imports": "Classifier, Picture, replay"}
    folder = files("edgedistill.tasks.image_classification").joinpath("templates")
    return module_sources(modules) | render_sources(folder, _PLACES, values)
