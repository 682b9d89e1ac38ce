"""A model of one line and an emulator that is a script: it runs the guest's program with this very Python."""

import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgedistill.emulation.environment import Environment, EnvironmentFacts

COUNTS = """m 0
b 1 2094824e
b 2 20040091
c 1 2000
c 2 400
m 1
c 1 2000
c 2 600
m 2
c 1 2000
c 2 500
m 3
"""
SCRIPT = """
import json, os, pathlib, subprocess, sys
words = sys.argv[1:]
pathlib.Path({log!r}).write_text(json.dumps(words))
if {failure}:
    sys.stderr.write("Illegal instruction\\n")
    sys.exit({failure})
if "-plugin" in words:
    pathlib.Path(words[words.index("-plugin") + 1].split(",out=")[1]).write_text({counts!r})
start = next(i for i, word in enumerate(words) if word.endswith("python3.11")) + 1
sys.exit(subprocess.run([sys.executable, *words[start:]]).returncode)
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that says which of three tokens is most frequent: logits are the mean of rows of a table."""
    table = numpy_helper.from_array(np.eye(3, dtype=np.float32) * 4, "table")
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["vectors"]),
             helper.make_node("ReduceMean", ["vectors"], ["logits"], axes=[1], keepdims=0)]
    graph = helper.make_graph(nodes, "most_frequent", [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "n"])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])], [table])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.fixture
def rows() -> list[dict[str, np.ndarray]]:
    return [{"input_ids": np.array([ids])} for ids in ([0, 0, 1], [2], [1, 1, 0, 1, 2], [2, 2, 0, 2])]


@pytest.fixture
def environment(tmp_path: Path) -> Callable[..., Environment]:
    """A function that makes an environment; `failure` is the exit code with which its emulator ends at once."""

    def make(*, failure: int = 0, counts_instructions: bool = True) -> Environment:
        folder = tmp_path / "environment"
        for core in ("cortex-a53", "cortex-a72", "cortex-a76"):
            (folder / "cores" / core).mkdir(parents=True)
        (folder / "sysroot" / "usr" / "bin").mkdir(parents=True)
        (folder / "sysroot" / "usr" / "bin" / "python3.11").touch()
        program = folder / "emulator" / "usr" / "bin" / "qemu-aarch64"
        program.parent.mkdir(parents=True)
        text = SCRIPT.format(log=str(tmp_path / "qemu.json"), failure=failure, counts=COUNTS)
        program.write_text(f"#!{sys.executable}\n{text}", encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        facts = EnvironmentFacts(
            emulator="7.2.22", onnxruntime="1.30.0", numpy="2.4.6", python="3.11.2", counts_instructions=counts_instructions,
            no_counts_because="" if counts_instructions else "no C compiler", packages=(), vital_files=(),
            tree_sha256="0" * 64, size_bytes=1,
        )
        return Environment(folder, facts)

    return make


@pytest.fixture
def emulator_words(tmp_path: Path) -> Callable[[], list[str]]:
    """A function that returns the words with which the emulator was called last."""
    return lambda: json.loads((tmp_path / "qemu.json").read_text(encoding="utf-8"))
