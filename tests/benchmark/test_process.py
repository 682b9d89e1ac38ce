"""A worker that dies, hangs or refuses gives one clear error; and none outlives its block."""

import os
import signal

import psutil
import pytest

from edgedistill.benchmark.messages import Load, Loaded, Open, Opened, Ran, Run
from edgedistill.benchmark.process import WorkerProcess, worker_environment
from edgedistill.errors import ArtifactError, EdgedistillError


def _is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_ask_when_the_worker_crashes_says_how_with_its_stderr(tmp_path):
    with WorkerProcess("student_int8", threads=1) as worker, pytest.raises(EdgedistillError) as caught:
        worker.ask(Open("onnx", 1, str(tmp_path / "absent.npz")), Opened, timeout_s=60)
    assert "student_int8" in caught.value.message
    assert "exit code 1" in caught.value.message
    assert "FileNotFoundError" in caught.value.message
    assert "absent.npz" in caught.value.message


def test_ask_when_the_worker_is_killed_names_the_signal(input_file):
    with WorkerProcess("teacher", threads=1) as worker:
        worker.ask(Open("onnx", 1, str(input_file)), Opened, timeout_s=60)
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(EdgedistillError, match="SIGKILL") as caught:
            worker.ask(Load("model.onnx", 1), Loaded, timeout_s=60)
    assert "memory" in caught.value.hint


def test_ask_when_there_is_no_answer_in_time_raises(make_model_folder, input_file):
    model = make_model_folder("student") / "model.onnx"
    with WorkerProcess("student", threads=1) as worker:
        worker.ask(Open("onnx", 1, str(input_file)), Opened, timeout_s=60)
        worker.ask(Load(str(model), 1), Loaded, timeout_s=60)
        with pytest.raises(EdgedistillError, match="no answer to Run within 0 s"):
            worker.ask(Run(1, 60 * 10**9, 0), Ran, timeout_s=0.05)
    assert _is_gone(worker.pid)


def test_ask_when_the_model_is_refused_passes_the_hint_on(tmp_path, input_file):
    with WorkerProcess("student", threads=1) as worker:
        worker.ask(Open("onnx", 1, str(input_file)), Opened, timeout_s=60)
        with pytest.raises(ArtifactError, match=r"absent\.onnx") as caught:
            worker.ask(Load(str(tmp_path / "absent.onnx"), 1), Loaded, timeout_s=60)
    assert caught.value.hint


def test_ask_when_the_answer_is_of_another_kind_raises(input_file):
    with WorkerProcess("student", threads=1) as worker, pytest.raises(EdgedistillError, match="expected Ran"):
        worker.ask(Open("onnx", 1, str(input_file)), Ran, timeout_s=60)


def test_worker_when_the_block_is_interrupted_is_killed():
    started = []

    def interrupted():
        with WorkerProcess("student", threads=1) as worker:
            started.append(worker)
            assert worker.is_running
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    (worker,) = started
    assert _is_gone(worker.pid)
    assert not worker.is_running


def test_worker_when_started_in_a_folder_of_namesakes_imports_the_real_ones(tmp_path, monkeypatch, input_file):
    (tmp_path / "queue.py").write_text("raise SystemExit('the wrong queue')")
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    with WorkerProcess("student", threads=1) as worker:
        assert worker.ask(Open("onnx", 1, str(input_file)), Opened, timeout_s=60).peak_rss_bytes > 0


def test_environment_when_threads_are_fixed_says_so_to_every_library():
    environment = worker_environment({"OMP_NUM_THREADS": "8", "HOME": "/home/someone"}, threads=2)
    assert {environment[n] for n in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")} == {"2"}
    assert environment["HOME"] == "/home/someone"
