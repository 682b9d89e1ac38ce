"""What `verify.py` makes of files that bundle.json does not list; the rest of it is tested in tests/verify/test_bundle.py."""

import subprocess
import sys

import pytest

from edgedistill.package.standalone_verify import check_bundle

BUILT = ("android/build/outputs/aar/classifier-release.aar", "android/.gradle/8.14/fileHashes/fileHashes.lock",
         "android/.kotlin/sessions/kotlin-compiler-1.salive", ".build/workspace-state.json", ".swiftpm/xcode/package.xcworkspace/contents",
         "Package.resolved")


def _write(bundle, name):
    (bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (bundle / name).write_text("built")


def test_check_when_the_modules_were_built_in_place_then_passes(bundle):
    for name in BUILT:
        _write(bundle, name)
    (bundle / ".build" / "arm64").mkdir()
    (bundle / ".build" / "debug").symlink_to("arm64")  # as `swift build` links its newest build

    done = subprocess.run([sys.executable, "-I", str(bundle / "verify.py")], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", [
    "build/a.txt", "android/a.txt", "android/src/main/kotlin/Other.kt", "android/build.txt", "android/app/build/a.txt", ".gradle/a.txt",
    ".kotlin/a.txt", "web/.build/a.txt", "ios/Package.resolved", "ios/Sources/Other.swift", ".swiftpm.txt", "Package.resolved.txt",
    "web/node_modules/a.js",
])
def test_check_when_a_stranger_lies_elsewhere_then_names_it(bundle, name):
    _write(bundle, name)

    assert check_bundle(bundle).problems == (f"{name}: not part of this bundle",)


@pytest.mark.parametrize("name", ["android/build", ".build"])
def test_check_when_a_folder_of_builds_is_a_link_then_names_it(bundle, name, tmp_path):
    (bundle / name).symlink_to(tmp_path)

    assert check_bundle(bundle).problems == (f"{name}: not part of this bundle",)


def test_check_when_a_listed_file_is_altered_after_a_build_then_names_it(bundle):
    _write(bundle, BUILT[0])
    (bundle / "android" / "build.gradle.kts").write_text("// other")

    assert check_bundle(bundle).altered == ("android/build.gradle.kts",)
