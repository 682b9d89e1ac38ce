"""Where EDGEDISTILL_REQUIRE_ARM is set, no test of the marker `arm` is skipped in silence; `make test-arm` and .ci/run keep to it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = '''
import pytest

@pytest.fixture
def device():
    pytest.skip("no apt here")

@pytest.mark.arm
def test_in_a_fixture(device): ...

@pytest.mark.arm
def test_in_the_test(): pytest.skip("no sshd here")

@pytest.mark.arm
@pytest.mark.skipif(True, reason="no unshare here")
def test_by_a_mark(): ...

@pytest.mark.arm
def test_that_runs(): ...

def test_of_another_kind(): pytest.skip("no browser here")
'''


@pytest.mark.parametrize(("required", "outcome"), [("", "1 passed, 4 skipped"), ("1", "1 failed, 1 passed, 1 skipped, 2 errors")])
def test_an_arm_test_that_is_skipped_when_they_are_required_then_fails_with_the_reason(
    tmp_path: Path, required: str, outcome: str
) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_runtest_makereport\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = arm: x\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)], cwd=tmp_path, capture_output=True,
        text=True, env=os.environ | {"PYTHONPATH": str(ROOT), "EDGEDISTILL_REQUIRE_ARM": required},
    )
    assert outcome in done.stdout, done.stdout + done.stderr
    assert done.returncode == (1 if required else 0)
    if required:
        assert all(f"this was skipped. Skipped: no {what} here" in done.stdout for what in ("apt", "sshd", "unshare"))


@pytest.mark.parametrize(("required", "code", "passes"), [("", 0, True), ("", 6, True), ("", 1, False),
                                                          ("1", 0, True), ("1", 6, False)])
def test_make_test_arm_when_the_environment_cannot_be_had_then_goes_on_only_where_it_is_not_required(
    tmp_path: Path, required: str, code: int, passes: bool
) -> None:
    (recipe,) = re.findall(r"^test-arm:.*\n\t(.*)\n", (ROOT / "Makefile").read_text(), re.MULTILINE)
    (tmp_path / "edgedistill").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "edgedistill").chmod(0o755)
    (tmp_path / "Makefile").write_text(f"test-arm:\n\t{recipe}\n")
    variables = {"EDGEDISTILL_REQUIRE_ARM": required}
    done = subprocess.run(["make", f"BIN={tmp_path}"], cwd=tmp_path, capture_output=True, env=os.environ | variables)
    assert (done.returncode == 0) == passes


def test_continuous_integration_then_requires_them() -> None:
    assert "EDGEDISTILL_REQUIRE_ARM=1 make test-arm" in (ROOT / ".ci" / "run").read_text().splitlines()
