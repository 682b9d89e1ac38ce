"""What the loops are given, and that ours train as the product does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import training_speed as script
from resumable_rows import RowFile
from student_line import Line
from suite_files import SpeedSuite, StudentsSuite, read_suite_file


@pytest.fixture(scope="module")
def suite() -> SpeedSuite:
    return read_suite_file(SpeedSuite, "training_speed")


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(read_suite_file(StudentsSuite, "students"), "clinc150", tmp_path, tmp_path)


def test_job_of_loop_then_only_ours_by_default_has_sentence_vectors_and_the_products_looks(line: Line, suite: SpeedSuite) -> None:
    jobs = {loop: script.job_of_loop(line, suite, loop, {"samples": 1}) for loop in script.LOOPS}
    assert jobs["ours"]["distillation"]["losses"] == []
    assert [term["name"] for term in jobs["ours_default"]["distillation"]["losses"]] == ["sentence-vectors"]
    assert (jobs["ours"]["evaluations"], jobs["ours_default"]["evaluations"]) == (1, 12)
    assert jobs["plain"] == {"samples": 1, "loop": "plain"}
    assert {loop: job["distillation"]["alpha"] for loop, job in jobs.items() if "distillation" in job} == {
        "ours": suite.alpha, "ours_default": suite.alpha}


def test_current_base_then_is_that_of_the_rows_that_would_be_made(line: Line, suite: SpeedSuite, tmp_path: Path) -> None:
    current = script.current_base(suite, line.suite)
    assert current({"task": "clinc150", "threads": 2}) == script.speed_base(line, suite, 2)
    assert current({"task": "clinc150", "threads": 1}) != script.speed_base(line, suite, 2)
    assert current({"task": "trec6", "threads": 2}) is None
    rows = RowFile(tmp_path / "rows.json")
    keys = {rows.add(script.speed_settings(line, suite, loop, 0, 2), {}, command="c")["key"] for loop in script.LOOPS}
    assert len(keys) == len(script.LOOPS)


@pytest.mark.slow
@pytest.mark.parametrize("losses", [[], [{"name": "sentence-vectors", "weight": 2.0}]])
def test_ours_then_trains_with_the_recipes_losses_and_the_products_attention(
    tmp_path: Path, tiny: Any, tiny_suite: Callable[[], StudentsSuite], losses: list[Any]
) -> None:
    import numpy as np
    import speed_worker

    from edgedistill.examples import read_examples
    from edgedistill.prepare.stage import LABELS_FILE, TRAIN_FILE, VALIDATION_FILE
    from edgedistill.recipe import Distillation
    from edgedistill.torch_setup import quickest_attention

    tiny.write_data(tmp_path)
    (tmp_path / "teacher").mkdir()
    tiny.write_teacher(tmp_path / "teacher")
    line = Line(tiny_suite(), "tiny", tmp_path, tmp_path / "work")
    data, teacher = line.prepared(3).folder, line.teacher(3).folder
    shape = {"id": "tiny", "layers": 1, "hidden": 32, "heads": 1, "intermediate": 32, "vocabulary": 100}
    job = {"start": str(tmp_path / "start"), "teacher": str(teacher), "labels": str(data / LABELS_FILE), "train": str(data / TRAIN_FILE),
           "validation": str(data / VALIDATION_FILE), "shape": shape, "max_tokens": 32, "seed": 1, "samples": 96, "batch_size": 32,
           "learning_rate": 1e-3, "warmup_share": 0.0, "evaluations": 1, "loop": "ours",
           "distillation": Distillation(losses=losses).model_dump(mode="json")}
    start = speed_worker.make_start(json.loads(json.dumps(job)))
    model, seconds = speed_worker.ours(json.loads(json.dumps(job)), start, read_examples(data / TRAIN_FILE))
    assert model.config._attn_implementation == quickest_attention()
    assert all(np.isfinite(value) and value > 0 for value in seconds.values())
