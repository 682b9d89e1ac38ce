"""The sources for apps in a bundle of pictures: read as text, and in slow tests compiled, run or parsed."""

import pytest

from edgedistill.package.mobile_versions import MOBILE_VERSIONS
from edgedistill.tasks.image_classification.apps import app_sources

ODD_LABELS = ('say "hi"', "50 % $off ${x}")
MAIN = {"Main.kt": """
import android.graphics.Bitmap
import org.edgedistill.pictureclassifier.PictureClassifier
fun main() {
    for (line in generateSequence(::readLine)) {
        val colours = line.split(" ").map { it.toLong(16).toInt() }.toIntArray()
        for (config in listOf(Bitmap.Config.ARGB_8888, Bitmap.Config.HARDWARE, null)) {
            val rgb = PictureClassifier.rgbOf(Bitmap(colours, colours.size, 1, config))
            println(List(rgb.remaining()) { rgb.get().toInt() and 0xFF }.joinToString(" "))
        }
    }
}
"""}


@pytest.fixture(scope="module")
def sources():
    return app_sources(title="a title", labels=ODD_LABELS)


def test_sources_when_made_are_a_gradle_module_and_a_swift_package_with_their_tests(sources):
    assert sorted(sources) == [
        "Package.swift", "android/build.gradle.kts", "android/gradle.properties", "android/settings.gradle.kts",
        "android/src/androidTest/kotlin/GoldenPictures.kt", "android/src/androidTest/kotlin/GoldenVectorsTest.kt",
        "android/src/main/AndroidManifest.xml", "android/src/main/kotlin/PictureClassifier.kt",
        "ios/Sources/PictureClassifier.swift", "ios/Tests/GoldenPictures.swift", "ios/Tests/GoldenVectorsTests.swift",
        "web/classifier.js", "web/index.html", "web/package.json",
    ]
    without = [name for name, text in sources.items() if "SPDX-License-Identifier: Apache-2.0" not in text]
    assert without == ["web/package.json"]


def test_sources_when_made_ask_for_no_extensions_and_leave_out_what_swift_does_not_need(sources):
    assert not any("extensions" in text.lower() for text in sources.values())
    assert '"preprocessor_config.json"' in sources["Package.swift"]
    assert '"tokenizer.json"' not in sources["Package.swift"]


def test_sources_when_labels_are_odd_escape_them_for_each_language(sources):
    assert r'"50 % \u0024off \u0024{x}"' in sources["android/src/main/kotlin/PictureClassifier.kt"]
    assert r'"say \u{22}hi\u{22}"' in sources["ios/Sources/PictureClassifier.swift"]


def test_kotlin_when_a_bitmap_is_in_graphics_memory_then_copies_it_where_the_system_knows_such(sources):
    """ImageDecoder gives such bitmaps, of which getPixels throws; the module's oldest system, 24, does not know them."""
    kotlin = sources["android/src/main/kotlin/PictureClassifier.kt"]
    guard = "Build.VERSION.SDK_INT < Build.VERSION_CODES.O || bitmap.config != Bitmap.Config.HARDWARE"
    assert guard in kotlin
    assert "readable(bitmap).getPixels(" in kotlin
    assert "minSdk = 24" in sources["android/build.gradle.kts"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_kotlin_when_compiled_against_onnxruntimes_own_classes_has_no_error_and_reads_bitmaps(compilers, sources, tmp_path):
    """Only Android, its test library and JSON are stubs here; what a wrong call looks like is shown to fail too."""
    compilers.install_kotlin(tmp_path, compilers.RUNTIME)
    jar = compilers.classes_of(tmp_path, compilers.RUNTIME)

    compilers.compile_kotlin(tmp_path, sources, compilers.STUBS | MAIN, jar)

    expected = ["16 32 48 255 254 127"] * 3 + ["128 0 1"] * 3  # a bitmap in memory, a hardware one, one without a config
    assert compilers.run_kotlin(tmp_path, "ff102030 00fffe7f\n80800001\n", jar) == expected
    wrong = {name: text.replace("OnnxJavaType.UINT8", '"uint8"') for name, text in sources.items()}
    with pytest.raises(AssertionError, match="PictureClassifier.kt"):
        compilers.compile_kotlin(tmp_path, wrong, compilers.STUBS | MAIN, jar)
    assert MOBILE_VERSIONS["onnxruntime_android"].version.startswith(compilers.runtime_version(tmp_path) + ".")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_swift_when_parsed_has_no_error(compilers, sources, tmp_path):
    """No Swift compiler is in the package registries; this is a real grammar, which knows nothing of types."""
    compilers.require_swift_grammar(sources, tmp_path, 4)
