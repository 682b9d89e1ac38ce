"""The benchmark scripts import each other by their plain names: their folder is on the path, as when one is started."""

import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

N_TEST = 8
_TINY = Path(__file__).resolve().parents[1] / "integration" / "tiny.py"


@pytest.fixture
def tiny() -> Any:
    """The module of the integration tests that writes a tiny problem: data and teacher."""
    spec = importlib.util.spec_from_file_location("tiny_problem", _TINY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tiny_suite(tmp_path: Path) -> Callable[[], Any]:
    """A function that returns the suite of the tiny problem, whose data and teacher lie in tmp_path."""
    from suite_files import DataFile, StudentsSuite, SuiteRung, TaskData

    from edgedistill.artifact import sha256_of_file
    from edgedistill.recipe import Teacher

    def make() -> StudentsSuite:
        train, validation, test = (
            DataFile(file=name, sha256=sha256_of_file(tmp_path / name)) for name in ("train.tsv", "validation.tsv", "test.tsv")
        )
        return StudentsSuite(
            kind="data-sets", description="tiny", target="raspberry-pi", teacher=Teacher(name="teacher", max_tokens=32),
            teacher_seed=3, seeds=(4,), rungs=(SuiteRung(size="small", rung="bert-2x64", divisor=2, goal=0.5),),
            tasks={"tiny": TaskData(train=train, validation=validation, test=test)},
            overrides=("distillation.rows_seen=600", "distillation.batch_size=32", "distillation.transfer_set.rows=60",
                       "teacher.fine_tuning.epochs=2", "teacher.fine_tuning.learning_rate=0.002"),
        )

    return make


@pytest.fixture
def write_row(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A function that writes a hand-made row of 8 test rows to results/<folder>/<task>.json."""
    from resumable_rows import RowFile, pack_bits

    def write(folder: str, *, right: Sequence[int], task: str = "trec6", **figures: Any) -> dict[str, Any]:
        bits = np.asarray(right, dtype=bool)
        assert len(bits) == N_TEST
        defaults: dict[str, Any] = {
            "task": task, "seed": 13, "n_test": N_TEST, "right": pack_bits(bits), "base": "same", "rung": "r", "int8_validation": 0.5, "int8_bytes": 1_000_000,
            "int8_test": float(bits.mean()), "test": float(bits.mean()), "teacher_fp32_bytes": 90_000_000, "teacher_test": 1.0,
            "rows_seen": 250_000, "threads": [2, 2], "distill_s": 60.0, "distill_s_is_whole": True, "soft_labels_s": 10.0, "limit_bytes": 1_125_000,
        }
        settings = {"task": task, "folder": folder, **{k: v for k, v in figures.items() if k != "made"}}
        file = RowFile(tmp_path / "results" / folder / f"{task}.json")
        return file.add(settings, defaults | figures, command="python benchmarks/made_by_hand.py")

    return write
