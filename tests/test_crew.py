"""The crew of one process: nothing is different. Crews of several are in tests/integration/test_processes.py."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgedistill.crew import joined, lead, run_stage
from edgedistill.document import Document
from edgedistill.errors import UsageError
from edgedistill.orders import Call
from edgedistill.processes import ALONE, current_group
from edgedistill.stage import Outcome, Stage


class Settings(Document):
    seed: int = 1


def test_lead_when_alone_then_calls_the_work_and_returns_its_code() -> None:
    seen = []
    assert lead(lambda: seen.append(current_group()) or 3) == 3
    assert seen == [ALONE]
    with joined() as crew:
        assert crew is None


@pytest.mark.parametrize("is_shared", [False, True])
def test_run_stage_when_alone_then_runs_it_here_whether_it_can_be_shared_or_not(is_shared: bool, tmp_path: Path) -> None:
    def run(settings: Settings, inputs: None, out: Path) -> Outcome:
        assert current_group() is ALONE
        return Outcome(scratch=(out.name, str(settings.seed)))

    stage = Stage(name="any", version=1, run=run, is_shared=is_shared)
    assert run_stage(Call(stage, Settings(), None, tmp_path)).scratch == (tmp_path.name, "1")


def test_joined_when_the_launchers_variables_are_wrong_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "2", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="RANK is 2"), joined():
        pass


def test_joined_when_accelerate_started_one_process_of_several_then_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name, value in {"ACCELERATE_MIXED_PRECISION": "no", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    logger = logging.getLogger("edgedistill")
    monkeypatch.setattr(logger, "propagate", True)
    with caplog.at_level(logging.WARNING, "edgedistill"), joined() as crew:
        assert crew is None
    assert "one process only" in caplog.text


def test_command_when_one_process_then_torch_distributed_is_not_imported() -> None:
    code = ("import sys; from edgedistill.cli.app import run_command_line; run_command_line(['targets', 'list']); "
            "sys.exit('torch.distributed' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True,
                          env={k: v for k, v in os.environ.items() if k not in {"RANK", "WORLD_SIZE"}})
    assert done.returncode == 0, done.stderr
