"""The promise about the built-in digits: 90 s on two idle cores, 60 kB at most, 97.5 % at least, the teacher within a point."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

SECONDS, CORES = 90.0, 2
TARGET = "raspberry-pi-zero-2w"
_OTHERS_AT_MOST = 0.05
"""Of the machine's cores other work may have taken so much; with more it was not idle."""

_LOAD_OF_AN_IDLE_MACHINE = 0.5

pytestmark = pytest.mark.slow


class Ran(NamedTuple):
    """A run: its report of the target, how long it took, the CPU seconds of it and of all that ran beside."""

    target: Mapping[str, Any]
    wall_s: float
    cpu_s: float
    others_s: float


def _busy_seconds() -> float:
    """CPU seconds of the whole machine that were not idle, since it started."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]
    ticks = [int(field) for field in fields]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def _child_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """As a user types it, in a process of its own that chooses its threads itself.

    On a machine that is busy already it has one thread: several that wait for each other in turn burn CPU seconds by waiting.
    """
    out = tmp_path_factory.mktemp("digits") / "run"
    settings = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    settings |= {"OMP_NUM_THREADS": "1"} if os.getloadavg()[0] > _LOAD_OF_AN_IDLE_MACHINE else {}
    command = [sys.executable, "-m", "edgedistill", "run", "--recipe", "handwritten-digits", "--target", TARGET, "-o", str(out)]
    busy, own, began = _busy_seconds(), _child_seconds(), time.monotonic()
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    wall, cpu = time.monotonic() - began, _child_seconds() - own
    others = _busy_seconds() - busy - cpu
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return Ran(report["targets"][TARGET], wall, cpu, others)


def test_run_when_finished_then_the_int8_student_is_small_and_right_and_the_teacher_is_kept(ran: Ran) -> None:
    variants = ran.target["variants"]
    student, teacher = variants["student_int8"], variants["teacher"]
    assert ran.target["verdict"] == "pass"
    assert student["size_bytes"] <= 60_000
    assert student["accuracy"] >= 0.975
    assert teacher["accuracy"] - student["accuracy"] <= 0.01


def test_run_when_finished_then_it_took_no_longer_than_promised(ran: Ran) -> None:
    """Of two idle cores the clock counts. Where other work ran beside, or there are other cores, the clock says nothing.

    Then its CPU seconds count: two cores have no more than 180 to give in 90 s, and a run that needs more cannot keep the
    promise. That is the weaker check, as a run that leaves a core idle for half of the time passes it.
    """
    cores = os.cpu_count() or 1
    is_idle = ran.others_s <= _OTHERS_AT_MOST * cores * ran.wall_s
    if is_idle and cores == CORES:
        assert ran.wall_s <= SECONDS
    else:
        assert ran.cpu_s <= CORES * SECONDS
