"""kill -9 at moments spread over all stages, then the same command: nothing finished is redone, the int8 bytes are equal."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .tiny import write_recipe

MOMENTS = ("prepare", "teach", "teach", "soft-labels", "distill", "distill", "baseline", "export-teacher", "quantize-student",
           "evaluate-student", "benchmark", "package")


def _command(recipe: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "edgedistill", "run", "--recipe", str(recipe), "--target", "raspberry-pi", "-o", str(out)]


def _int8_hash(out: Path) -> str:
    return hashlib.sha256((out / "raspberry-pi" / "bundle" / "model.onnx").read_bytes()).hexdigest()


def _run_and_kill(recipe: Path, out: Path, moment: str, delay_s: float) -> list[str]:
    """Run until a step has started and a delay has passed, then kill -9; return the lines told so far."""
    with subprocess.Popen(_command(recipe, out), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                          start_new_session=True) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if f" {moment}: ..." in line:
                time.sleep(delay_s)
                break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return lines


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_run_when_killed_at_twelve_moments_then_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    subprocess.run(_command(recipe, tmp_path / "whole"), check=True, capture_output=True)
    killed = tmp_path / "killed"
    finished: set[str] = set()
    for number, moment in enumerate(MOMENTS):
        lines = _run_and_kill(recipe, killed, moment, delay_s=0.15 + 0.35 * (number % 4))
        redone = {step for step in finished if any(f" {step}: ..." in line for line in lines)}
        assert not redone, f"after the kill in {MOMENTS[number - 1]}: {redone} were done again"
        finished |= {line.split("] ")[1].split(":")[0] for line in lines if ": done in" in line}
    last = subprocess.run(_command(recipe, killed), check=False, capture_output=True, text=True)
    assert last.returncode == 0, last.stderr
    assert _int8_hash(killed) == _int8_hash(tmp_path / "whole")
    assert not list(killed.rglob("*.partial"))
