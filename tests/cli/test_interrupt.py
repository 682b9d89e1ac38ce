"""Ctrl-C: exit code 130, one line, no traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CLASSES = ("light", "music")


def _write_problem(folder: Path) -> Path:
    """A recipe whose data take some seconds to read."""
    rows = "".join(f"{CLASSES[i % 2]}\tplease do thing number {i} for me now\n" for i in range(400_000))
    (folder / "train.tsv").write_text("label\ttext\n" + rows, encoding="utf-8")
    teacher = folder / "teacher"
    teacher.mkdir()
    files = {"config.json": '{"model_type": "bert"}', "vocab.txt": "[PAD]\n", "model.safetensors": ""}
    for name, content in files.items():
        (teacher / name).write_text(content, encoding="utf-8")
    recipe = folder / "recipe.yaml"
    recipe.write_text("id: big\ntask: text-classification\ndata: {train: train.tsv}\nteacher: {name: teacher}\n")
    return recipe


@pytest.mark.skipif(os.name == "nt", reason="signals are sent in the POSIX way")
def test_run_when_interrupted_then_exit_code_130_and_a_clean_message(tmp_path: Path) -> None:
    recipe = _write_problem(tmp_path)
    command = [sys.executable, "-m", "edgedistill", "run", "-r", str(recipe), "-t", "raspberry-pi", "-o",
               str(tmp_path / "out")]
    # a background job of a shell hands an ignored SIGINT down
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert "prepare: ..." in first
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    assert stderr == "interrupted: run the same command again, it goes on where it stopped\n"
    assert not list(tmp_path.rglob("*.partial"))
