"""Two real processes over gloo: the same soft labels to the byte, a student as good, one message, and no hang."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from edgedistill.results import TrainingLog
from edgedistill.soft_labels import read_soft_labels

from .conftest import Chain
from .launched import ended, free_port, launch
from .tiny import write_recipe

TEACH_AND_DISTILL = """
import sys
from pathlib import Path
import edgedistill as ed
from edgedistill.crew import lead

def work():
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    recipe = ed.load_recipe(str(folder / "recipe.yaml"))
    ed.teach(recipe, folder / "data", out / "taught")
    ed.distill(recipe, ed.load_target("raspberry-pi"), folder / "data", out / "taught", out / "student")
    print("finished")
    return 0

sys.exit(lead(work))
"""
ONE_FAILS = """
import os
from edgedistill import soft_labels
from edgedistill.errors import ArtifactError
from edgedistill.__main__ import main

def refuse(*arguments, **named):
    raise ArtifactError("soft labels: not on this machine", hint="share the folder")

if os.environ["RANK"] == "1":
    soft_labels.read_soft_labels = refuse
main()
"""
ALL_DIVERGE_AT_FIRST = """
import sys
from pathlib import Path
import edgedistill as ed
from edgedistill import training
from edgedistill.crew import lead
from edgedistill.errors import TrainingDivergedError

real = training.training_log

def diverge(history):
    training.training_log = real
    raise TrainingDivergedError("the training diverged", hint="lower the rate")

training.training_log = diverge

def work():
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    recipe = ed.load_recipe(str(folder / "recipe.yaml"))
    for attempt in range(2):
        try:
            ed.distill(recipe, ed.load_target("raspberry-pi"), folder / "data", folder / "taught", out / "student")
        except TrainingDivergedError:
            print("diverged")
    print("finished")
    return 0

sys.exit(lead(work))
"""

pytestmark = pytest.mark.timeout(1800)  # two processes that start on a machine with other work


def _distill(chain: Chain, out: Path, *changes: str) -> list[str]:
    settings = [part for change in changes for part in ("--set", change)]
    return ["distill", "--recipe", f"{chain.folder}/recipe.yaml", "--data", f"{chain.folder}/data", "--taught",
            f"{chain.folder}/taught", "-o", str(out), *settings]


@pytest.fixture(scope="module")
def both(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes made of the tiny problem: taught/ and student/."""
    out = tmp_path_factory.mktemp("both")
    answers = ended(launch(["-c", TEACH_AND_DISTILL, str(chain.folder), str(out)]))
    assert [answer.code for answer in answers] == [0, 0], answers
    assert [answer.stdout for answer in answers] == ["finished\n", ""]
    return out


def test_soft_labels_when_made_by_two_processes_then_the_same_bytes_and_each_id_once(both: Path, chain: Chain) -> None:
    for name in ("soft_labels.arrow", "transfer.arrow"):
        path = Path("taught") / "soft_labels" / name
        assert (both / path).read_bytes() == (chain.folder / path).read_bytes()
    ids = read_soft_labels(both / "taught" / "soft_labels" / "soft_labels.arrow").ids.to_pylist()
    assert len(ids) == len(set(ids)) > 600


def test_student_when_trained_by_two_processes_then_that_of_one_up_to_rounding(both: Path, chain: Chain) -> None:
    one, two = (TrainingLog.read_json(folder / "student" / "training_log.json").points for folder in (chain.folder, both))
    assert [point.step for point in one] == [point.step for point in two]
    for alone, shared in zip(one, two, strict=True):
        assert shared.validation_loss == pytest.approx(alone.validation_loss, rel=0.01)
        assert shared.validation_accuracy == pytest.approx(alone.validation_accuracy, abs=0.05)
        assert shared.loss == pytest.approx(alone.loss, rel=0.05, abs=1e-3)
        assert shared.soft_loss == pytest.approx(alone.soft_loss, rel=0.05, abs=1e-3)
        assert shared.validation_hard_loss == pytest.approx(alone.validation_hard_loss, rel=0.02)
    weights = [load_file(folder / "student" / "model.safetensors") for folder in (chain.folder, both)]
    for name, expected in weights[0].items():
        assert np.abs(weights[1][name] - expected).max() < 0.02, name


def test_student_when_trained_by_two_processes_then_committed_like_any_other(both: Path, chain: Chain) -> None:
    names = [sorted(p.name for p in (folder / "student").iterdir()) for folder in (chain.folder, both)]
    assert names[0] == names[1]
    keys = [json.loads((folder / "student" / "manifest.json").read_text())["settings_json"] for folder in (chain.folder, both)]
    assert keys[0] == keys[1]
    assert not list(both.rglob("*.partial"))


def test_error_when_the_recipe_is_wrong_then_one_message_and_exit_code_2_in_both(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("id: tiny\n")
    answers = ended(launch(["-m", "edgedistill", "run", "-r", "recipe.yaml", "-t", "raspberry-pi"], folder=tmp_path))
    assert [answer.code for answer in answers] == [2, 2]
    assert answers[0].stderr.count("error:") == answers[0].stderr.count("hint:") == 1
    assert (answers[0].stdout, answers[1].stdout, answers[1].stderr) == ("", "", "")


@pytest.mark.slow
def test_training_when_it_diverges_then_the_group_goes_on_and_can_train_again(chain: Chain, tmp_path: Path) -> None:
    answers = ended(launch(["-c", ALL_DIVERGE_AT_FIRST, str(chain.folder), str(tmp_path)]))
    assert [answer.code for answer in answers] == [0, 0], answers
    assert [answer.stdout for answer in answers] == ["diverged\nfinished\n", ""]


@pytest.mark.slow
def test_error_when_only_the_second_process_has_it_then_it_says_so_and_both_end(chain: Chain, tmp_path: Path) -> None:
    answers = ended(launch(["-c", ONE_FAILS, *_distill(chain, tmp_path / "student")]))
    assert [answer.code for answer in answers] == [2, 2]
    told = "".join(answer.stderr for answer in answers)
    assert told.count("error:") == 1
    assert "process 1 of 2: soft labels: not on this machine" in answers[1].stderr
    assert not (tmp_path / "student").exists()


@pytest.fixture
def in_training(chain: Chain, tmp_path: Path) -> Callable[[], list["subprocess.Popen[str]"]]:
    """A function that starts a long training in two processes and returns when it has its first checkpoint."""

    def start() -> list["subprocess.Popen[str]"]:
        long = ("distillation.rows_seen=30000", "distillation.patience=99")
        processes = launch(["-m", "edgedistill", *_distill(chain, tmp_path / "student", *long)])
        deadline = time.monotonic() + 600
        while not list(tmp_path.glob("student.partial/checkpoints/*/complete")):
            assert time.monotonic() < deadline, "no checkpoint"
            assert all(process.poll() is None for process in processes), ended(processes)
            time.sleep(0.2)
        return processes

    return start


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_training_when_one_process_is_killed_then_the_other_ends_with_one_message(
    in_training: Callable[[], list["subprocess.Popen[str]"]], killed: int
) -> None:
    processes = in_training()
    processes[killed].kill()
    answers = ended(processes, timeout_s=300)
    assert answers[killed].code == -signal.SIGKILL
    assert answers[1 - killed].code == 1
    assert answers[1 - killed].stderr.count("error:") == 1
    assert "has ended without a message" in answers[1 - killed].stderr


@pytest.mark.slow
def test_training_when_interrupted_then_both_end_with_130_and_running_again_goes_on(
    in_training: Callable[[], list["subprocess.Popen[str]"]], tmp_path: Path
) -> None:
    processes = in_training()
    for process in processes:
        process.send_signal(signal.SIGINT)
    answers = ended(processes, timeout_s=300)
    assert [answer.code for answer in answers] == [130, 130]
    assert "".join(answer.stderr for answer in answers).count("interrupted") == 1
    kept = {path.parent.name for path in tmp_path.glob("student.partial/checkpoints/*/complete")}
    answers = ended(in_training())
    assert [answer.code for answer in answers] == [0, 0], answers
    assert "continuing from checkpoint-" in answers[0].stderr
    assert any(f"continuing from {name}\n" in answers[0].stderr for name in kept)


TOLD_APART = """
import os, sys
from edgedistill.__main__ import main

sys.stderr.write(f'process {os.environ["RANK"]} of {os.environ["WORLD_SIZE"]}\\n')  # in one piece: the other one writes, too
main()
"""


def _by_accelerate() -> list[str]:
    return [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
            "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(free_port())]


def test_student_when_trained_by_two_processes_of_accelerate_then_that_of_one_up_to_rounding(
    chain: Chain, tmp_path: Path
) -> None:
    script = tmp_path / "told_apart.py"
    script.write_text(TOLD_APART)
    command = [*_by_accelerate(), str(script), *_distill(chain, tmp_path / "student")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert all(f"process {rank} of 2" in done.stderr for rank in (0, 1))
    weights = [load_file(folder / "student" / "model.safetensors") for folder in (chain.folder, tmp_path)]
    assert max(np.abs(weights[1][name] - expected).max() for name, expected in weights[0].items()) < 0.02


@pytest.mark.slow
def test_run_when_started_by_accelerate_then_the_whole_line_and_a_student_as_good(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    run = ["edgedistill", "run", "--recipe", str(recipe), "--target", "raspberry-pi"]
    for command in ([*_by_accelerate(), "-m", *run, "-o", str(shared)], [sys.executable, "-m", *run, "-o", str(alone)]):
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("report: ") == 1
    reports = [json.loads((folder / "report.json").read_text())["targets"]["raspberry-pi"] for folder in (alone, shared)]
    for variant in ("teacher", "student", "student_int8"):
        one, two = (report["variants"][variant]["accuracy"] for report in reports)
        assert abs(one - two) <= 0.07, variant  # 4 of 60 rows
    again = subprocess.run([sys.executable, "-m", *run, "-o", str(shared)], check=True, capture_output=True, text=True)
    assert again.stderr.count("skipped") > 10  # one process finds done what two have made
    assert "done in" not in again.stderr
    shutil.rmtree(shared)
