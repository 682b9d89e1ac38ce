"""Completion in a shell: commands, options, and the ids of targets and recipes."""

import os
import subprocess
import sys

import pytest

PROGRAM = "import sys; sys.argv = ['edgedistill']; from edgedistill.__main__ import main; main()"


def _completed(*words):
    variables = {"_EDGEDISTILL_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=os.environ | variables)
    return done.stdout.split()


@pytest.mark.parametrize(("words", "expected"), [
    (("edgedistill", "bench"), {"benchmark"}),
    (("edgedistill", "targets", "ch"), {"check"}),
    (("edgedistill", "run", "--dry"), {"--dry-run"}),
    (("edgedistill", "run", "--target", "raspberry-pi-"), {"raspberry-pi-3", "raspberry-pi-5", "raspberry-pi-zero-2w"}),
    (("edgedistill", "plan", "-r", "home"), {"home-intents"}),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_completion_when_asked_by_bash_then_names_what_fits(words, expected):
    assert set(_completed(*words)) == expected
