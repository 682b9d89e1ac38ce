"""Run the slow checks of what ships, and record which passed: `python benchmarks/bundle_checks.py [--only NAME ...]`.

A row a check goes to benchmarks/results/bundle_checks.json; a row that stands there is made anew. A check that could not
run (no browser, no registry) is recorded as skipped, with its reason, and ticks nothing. A row carries a hash of the sources of
what it looked at: it ticks nothing any more once they have changed.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "bundle_checks.json"
_RUN = "tests/integration/test_run.py::test_student_when_loaded_by_"
_APPS = "tests/package/test_app_sources.py::test_"
_PICTURE_APPS = "tests/package/test_picture_app_sources.py::test_"
_LONGEST_S = 3600
"""A check is of what ships, not of how busy this machine is; a test with a limit of its own keeps it."""


@dataclass(frozen=True)
class BundleCheck:
    """A check by its name.

    Attributes:
        what: what is true when it passes.
        test: pytest's name of it, from the root of the repository.
        sources: files, and folders with all that is in them, of which the thing that is checked is made.
    """

    what: str
    test: str
    sources: tuple[str, ...]

    def sources_sha256(self) -> str:
        """Return a hash of names and content of the sources as they are now."""
        found = sha256()
        files = {file.relative_to(ROOT).as_posix(): file for name in self.sources for file in _files_of(ROOT / name)}
        for name, file in sorted(files.items()):
            content = file.read_bytes()
            found.update(f"{name} {len(content)}\n".encode() + content)
        return found.hexdigest()


def _files_of(path: Path) -> list[Path]:
    """Return a file, or all files below a folder but what Python leaves there; a name that is gone is an error."""
    if not path.is_dir():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]


_PACKAGE = "edgedistill/package/"
_PICTURES = "edgedistill/tasks/image_classification/"
_MADE = (_PACKAGE + "app_sources.py", _PACKAGE + "mobile_versions.py", _PACKAGE + "templates/parts")
_ANDROID = (*_MADE, _PACKAGE + "templates/android")
_IOS = (*_MADE, _PACKAGE + "templates/ios")
_PICTURE_SOURCES = (_PICTURES + "apps.py", _PICTURES + "templates")
_HUB_LAYOUT = ("edgedistill/export", "edgedistill/distill/vocabulary.py")


CHECKS: Mapping[str, BundleCheck] = {
    "empty-environment": BundleCheck(
        "the bundle alone, with onnxruntime, numpy and onnxruntime-extensions: classifies raw text, `verify.py` passes, "
        "and names a file with a flipped byte", "tests/verify/test_empty_environment.py",
        (_PACKAGE + "standalone_verify.py", _PACKAGE + "card.py", _PACKAGE + "card_examples.py", _PACKAGE + "in_graph.py",
         _PACKAGE + "bert_rules.py")),
    "web-page": BundleCheck(
        "the web page in headless Chromium with a float model: golden ids, and logits within 1e-3 of Python's",
        "tests/package/test_web_page.py", (*_MADE, _PACKAGE + "templates/web")),
    "transformers-js": BundleCheck(
        "`student/` in transformers.js: logits within 1e-3, float and int8",
        _RUN + "transformers_js_then_answers_as_onnxruntime_does", _HUB_LAYOUT),
    "optimum": BundleCheck(
        "`student/` in transformers (`AutoModelFor...`) and optimum (`ORTModelFor...`)",
        _RUN + "the_ecosystem_then_answers_alike_everywhere", _HUB_LAYOUT),
    "kotlin": BundleCheck(
        "the Kotlin module compiled against onnxruntime's own Android classes (Android and its tests are stubs)",
        _APPS + "kotlin_when_compiled_against_onnxruntimes_own_classes_has_no_error", _ANDROID),
    "swift-grammar": BundleCheck(
        "the Swift package read by a grammar; no compiler has seen it", _APPS + "swift_when_parsed_has_no_error", _IOS),
    "kotlin-pictures": BundleCheck(
        "pictures: the Kotlin module compiled against onnxruntime's own Android classes (Android and its tests are stubs), and "
        "its reading of a bitmap run",
        _PICTURE_APPS + "kotlin_when_compiled_against_onnxruntimes_own_classes_has_no_error_and_reads_bitmaps",
        (*_ANDROID, *_PICTURE_SOURCES)),
    "swift-grammar-pictures": BundleCheck(
        "pictures: the Swift package read by a grammar; no compiler has seen it",
        _PICTURE_APPS + "swift_when_parsed_has_no_error", (*_IOS, *_PICTURE_SOURCES)),
    "web-page-pictures": BundleCheck(
        "pictures: the web page in headless Chromium with a float model: golden classes, logits within 1e-3 of Python's, and a "
        "file read to the pixel",
        "tests/package/test_picture_web_page.py", (*_MADE, _PACKAGE + "templates/web", *_PICTURE_SOURCES)),
    "bill-of-materials": BundleCheck(
        "the bill of materials against CycloneDX's 1.6 schema",
        "tests/package/test_bill_of_materials.py::test_bill_when_checked_against_the_schema_is_valid",
        (_PACKAGE + "bill_of_materials.py",)),
}


def outcome_of(report: Path, test: str = "") -> tuple[str, str]:
    """Return passed, failed or skipped, and pytest's reason, from a JUnit file; a check without a test has failed.

    Args:
        report: the file.
        test: pytest's name of a file or of one test in it; empty: all that the report has.
    """
    file, _, name = test.partition("::")
    module = file.removesuffix(".py").replace("/", ".")
    cases = [case for case in ElementTree.parse(report).getroot().iter("testcase")
             if case.get("classname", "").startswith(module) and name in ("", case.get("name", "").partition("[")[0])]
    bad = [found for case in cases for kind in ("failure", "error") if (found := case.find(kind)) is not None]
    skipped = [found for case in cases if (found := case.find("skipped")) is not None]
    if bad or not cases:
        return "failed", bad[0].get("message", "")[:200] if bad else "pytest found no such test"
    return ("skipped", skipped[0].get("message", "")[:200]) if skipped else ("passed", "")


def run_checks(checks: Sequence[BundleCheck]) -> list[dict[str, object]]:
    """Run checks, those of one file share what it sets up, and return their rows."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", *(check.test for check in checks), "-m", "slow or not slow", "-q",
             "-p", "no:cacheprovider", "-o", f"timeout={_LONGEST_S}", f"--junitxml={report}"],
            cwd=ROOT, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        outcomes = [outcome_of(report, check.test) for check in checks]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    machine = f"{platform.system()} {platform.machine()}"
    return [{"what": check.what, "test": check.test, "outcome": outcome, "reason": reason,
             "sources_sha256": check.sources_sha256(), "commit": commit, "machine": machine}
            for check, (outcome, reason) in zip(checks, outcomes, strict=True)]


def main(arguments: Sequence[str]) -> int:
    """Run and record; returns 1 when a check failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=sorted(CHECKS), default=list(CHECKS))
    failed = False
    by_file: dict[str, list[str]] = {}
    for name in parser.parse_args(arguments).only:
        by_file.setdefault(CHECKS[name].test.partition("::")[0], []).append(name)
    for names in by_file.values():
        made = dict(zip(names, run_checks([CHECKS[name] for name in names]), strict=True))
        rows = json.loads(RESULT.read_text(encoding="utf-8"))["checks"] if RESULT.is_file() else {}
        content = {"command": "python benchmarks/bundle_checks.py", "checks": dict(sorted((rows | made).items()))}
        RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        for name, row in made.items():
            print(f"{name}: {row['outcome']} {row['reason']}")
            failed |= row["outcome"] == "failed"
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
