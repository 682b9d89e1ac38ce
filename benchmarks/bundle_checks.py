"""Run the slow checks of what ships, and record which passed: `python benchmarks/bundle_checks.py [--only NAME ...]`.

A row a check goes to benchmarks/results/bundle_checks.json; a row that stands there is made anew. A check that could not
run (no browser, no registry) is recorded as skipped, with its reason, and ticks nothing.
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
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "bundle_checks.json"
_RUN = "tests/integration/test_run.py::test_student_when_loaded_by_"
_APPS = "tests/package/test_app_sources.py::test_"
_LONGEST_S = 3600
"""A check is of what ships, not of how busy this machine is; a test with a limit of its own keeps it."""


@dataclass(frozen=True)
class BundleCheck:
    """A check by its name.

    Attributes:
        what: what is true when it passes.
        test: pytest's name of it, from the root of the repository.
    """

    what: str
    test: str


CHECKS: Mapping[str, BundleCheck] = {
    "empty-environment": BundleCheck(
        "the bundle alone, with onnxruntime, numpy and onnxruntime-extensions: classifies raw text, `verify.py` passes, "
        "and names a file with a flipped byte", "tests/verify/test_empty_environment.py"),
    "web-page": BundleCheck(
        "the web page in headless Chromium with a float model: golden ids, and logits within 1e-3 of Python's",
        "tests/package/test_web_page.py"),
    "transformers-js": BundleCheck(
        "`student/` in transformers.js: logits within 1e-3, float and int8",
        _RUN + "transformers_js_then_answers_as_onnxruntime_does"),
    "optimum": BundleCheck(
        "`student/` in transformers (`AutoModelFor...`) and optimum (`ORTModelFor...`)",
        _RUN + "the_ecosystem_then_answers_alike_everywhere"),
    "kotlin": BundleCheck(
        "the Kotlin module compiled against onnxruntime's own Android classes (Android and its tests are stubs)",
        _APPS + "kotlin_when_compiled_against_onnxruntimes_own_classes_has_no_error"),
    "swift-grammar": BundleCheck(
        "the Swift package read by a grammar; no compiler has seen it", _APPS + "swift_when_parsed_has_no_error"),
    "bill-of-materials": BundleCheck(
        "the bill of materials against CycloneDX's 1.6 schema",
        "tests/package/test_bill_of_materials.py::test_bill_when_checked_against_the_schema_is_valid"),
}


def outcome_of(report: Path) -> tuple[str, str]:
    """Return passed, failed or skipped, and pytest's reason, from a JUnit file; a check without a test has failed."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    bad = [found for case in cases for kind in ("failure", "error") if (found := case.find(kind)) is not None]
    skipped = [found for case in cases if (found := case.find("skipped")) is not None]
    if bad or not cases:
        return "failed", bad[0].get("message", "")[:200] if bad else "pytest found no such test"
    return ("skipped", skipped[0].get("message", "")[:200]) if skipped else ("passed", "")


def run_check(check: BundleCheck) -> dict[str, object]:
    """Run a check and return its row."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", check.test, "-m", "slow or not slow", "-q", "-p", "no:cacheprovider",
             "-o", f"timeout={_LONGEST_S}", f"--junitxml={report}"],
            cwd=ROOT, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        outcome, reason = outcome_of(report)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    return {"what": check.what, "test": check.test, "outcome": outcome, "reason": reason, "commit": commit,
            "machine": f"{platform.system()} {platform.machine()}"}


def main(arguments: Sequence[str]) -> int:
    """Run and record; returns 1 when a check failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=sorted(CHECKS), default=list(CHECKS))
    failed = False
    for name in parser.parse_args(arguments).only:
        row = run_check(CHECKS[name])
        rows = json.loads(RESULT.read_text(encoding="utf-8"))["checks"] if RESULT.is_file() else {}
        content = {"command": "python benchmarks/bundle_checks.py", "checks": dict(sorted((rows | {name: row}).items()))}
        RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {row['outcome']} {row['reason']}")
        failed |= row["outcome"] == "failed"
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
