"""Versions of the packages that the app modules ask for, each with the page that it was looked up on."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Pinned:
    """A package at a version.

    Attributes:
        version: as its registry writes it.
        source: where it was looked up; not a mirror of ours.
        why: what decided, where it is not the newest.
    """

    version: str
    source: str
    why: str = ""


MOBILE_VERSIONS: Mapping[str, Pinned] = {
    "onnxruntime_android": Pinned(
        "1.26.0", "https://mvnrepository.com/artifact/com.microsoft.onnxruntime/onnxruntime-android",
        "1.27.0 is reported to answer convolutions wrongly on phones with SME (sherpa-onnx#3850)",
    ),
    "extensions_android": Pinned(
        "0.13.0", "https://central.sonatype.com/artifact/com.microsoft.onnxruntime/onnxruntime-extensions-android"
    ),
    "swift_package": Pinned(
        "1.24.2", "https://swiftpackageindex.com/microsoft/onnxruntime-swift-package-manager",
        "the newest tag; it brings onnxruntime 1.24.2 and onnxruntime-extensions 0.13.0, for iOS 15 and macOS 14",
    ),
    "onnxruntime_web": Pinned("1.30.0", "https://www.npmjs.com/package/onnxruntime-web"),
    "android_gradle_plugin": Pinned(
        "8.13.2", "https://developer.android.com/build/kotlin-support", "plugin 9 brings its own Kotlin and other blocks"
    ),
    "kotlin": Pinned("2.2.21", "https://developer.android.com/build/kotlin-support", "2.2 needs plugin 8.10 or newer"),
    "android_test_junit": Pinned("1.3.0", "https://developer.android.com/jetpack/androidx/releases/test"),
    "android_test_runner": Pinned("1.7.0", "https://developer.android.com/jetpack/androidx/releases/test"),
}
"""By the name that the templates use."""


def version_values() -> dict[str, str]:
    """Return the versions by the name that the templates use, `_version` at its end."""
    return {f"{name}_version": pinned.version for name, pinned in MOBILE_VERSIONS.items()}
