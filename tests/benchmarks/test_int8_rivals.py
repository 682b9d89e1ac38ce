"""Other tools' int8: the job that their environment gets, what becomes of its file, and that a failure is a row."""

import sys
from pathlib import Path
from typing import Any

import int8_rivals as script
import int8_table
import numpy as np
import pytest
from int8_table import block_of
from resumable_rows import RowFile
from script_options import ScriptOptions, WorkerFailedError

from edgedistill.errors import MissingDependencyError

STAND_IN = '''
class Dataset:
    def __init__(self, items):
        self.items = list(items)

class DropType:
    ABSOLUTE = "absolute"

class ModelType:
    TRANSFORMER = "transformer"

def quantize_with_accuracy_control(model, calibration, validation, validation_fn, max_drop, drop_type, model_type):
    print("a tool that talks")
    assert len(calibration.items) == 80 and set(calibration.items[0]) == {"input_ids"}
    assert (max_drop, drop_type, model_type) == (0.008, "absolute", "transformer")
    accuracy, _ = validation_fn(model, None)
    if accuracy != 1.0 or FAILS:
        raise ValueError(f"no | operator\\nat {accuracy}")
    return model
'''


def stand_in(folder: Path, *, fails: bool = False) -> Path:
    """Make an interpreter in whose environment nncf is a module that returns the float model."""
    folder.mkdir(parents=True)
    (folder / "nncf.py").write_text(f"FAILS = {fails}\n{STAND_IN}", encoding="utf-8")
    (folder / "nncf-3.4.0.dist-info").mkdir()
    (folder / "nncf-3.4.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: nncf\nVersion: 3.4.0\n", encoding="utf-8")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={folder} exec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return python


@pytest.fixture
def options(tmp_path: Path) -> ScriptOptions:
    return ScriptOptions(tmp_path, tmp_path / "work", tmp_path / "results" / "int8_rivals", None, None, (), False, "c")


def test_measure_tool_then_both_sources_have_a_row_each_made_once(
    int8_subject: Any, options: ScriptOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = stand_in(tmp_path / "env")
    monkeypatch.setattr(script, "environment", lambda folder, tool: python)
    script.measure_tool(options, tmp_path, ("nncf",), int8_subject)
    rows = RowFile(options.results / "trec6.json").rows()
    assert [(row["source"], row["failure"], row["evaluations"]) for row in rows] == [("fused", None, 1), ("plain", None, 1)]
    assert rows[0]["versions"]["nncf"] == "3.4.0"
    assert (rows[0]["int8_validation"], rows[0]["int8_test"], rows[0]["n_test"]) == (1.0, 1.0, 50)
    assert (options.work / "int8-rivals" / "trec6" / "13-tiny" / "nncf@fused.onnx").is_file()
    script.measure_tool(options, tmp_path, ("nncf",), int8_subject)
    assert RowFile(options.results / "trec6.json").rows() == rows
    assert "| nncf | fused | 1.0000 | 1.0000 |" in block_of(options.results.parent)


def test_measure_tool_where_this_machine_has_a_graph_of_its_own_then_it_is_a_third_source(
    int8_subject: Any, options: ScriptOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = stand_in(tmp_path / "env")
    monkeypatch.setattr(script, "environment", lambda folder, tool: python)
    here = {"local": "2", "fused": "1"}
    monkeypatch.setattr(script, "sha256_of_file", lambda path: here.get(path, "3"))
    monkeypatch.setattr(script, "source_file", lambda subject, source: source)
    assert script.has_local_form(int8_subject)
    monkeypatch.setattr(script, "rival_figures", lambda subject, tool, source, *_: {"failure": f"of {source}"})
    script.measure_tool(options, tmp_path, ("nncf",), int8_subject)
    assert [row["failure"] for row in RowFile(options.results / "trec6.json").rows()] == ["of fused", "of local", "of plain"]
    here["local"] = "1"
    assert not script.has_local_form(int8_subject)


def test_fastest_files_then_the_sentence_takes_the_fastest_and_says_whether_the_tool_had_our_graph_for_this_machine() -> None:
    def student(rung: str, *sources: tuple[str, float]) -> tuple[tuple[object, ...], dict[str, Any], list[dict[str, Any]]]:
        known = {"task": "trec6", "size": "1/80", "rung": rung, "seed": 13}
        own = {**known, "kind": "int8-timing", "settings": {"files": {f"nncf@{name}": name for name, _ in sources}},
               "speed_to_rivals": {f"nncf@{name}": {"value": ratio} for name, ratio in sources}}
        return tuple(known.values()), own, [{**known, "tool": "nncf", "source": name, "sha256": name} for name, _ in sources]

    made = [student("a", ("fused", 1.5), ("local", 1.1), ("plain", 1.3)), student("b", ("fused", 2.0), ("plain", 1.2))]
    sentence = int8_table._fastest_files("nncf", [row for _, _, rows in made for row in rows], {key: own for key, own, _ in made})
    assert sentence == ("Beside the fastest file of nncf, edgedistill's is 1.10 to 1.10 times as fast on 1 students (it had `local`); "
                        "1.20 to 1.20 times as fast on 1 students (it had no `local`).")
    assert int8_table._fastest_files("nncf", [], {}) == ""


def test_measure_tool_when_the_tool_fails_then_the_row_and_the_table_say_why(
    int8_subject: Any, options: ScriptOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = stand_in(tmp_path / "env", fails=True)
    monkeypatch.setattr(script, "environment", lambda folder, tool: python)
    script.measure_tool(options, tmp_path, ("nncf",), int8_subject)
    rows = RowFile(options.results / "trec6.json").rows()
    assert {row["failure"] for row in rows} == {"ValueError: no | operator\nat 1.0"}
    assert script.better_source(rows) is None
    assert "failed (fused: ValueError: no / operator at 1.0; plain: ValueError" in block_of(options.results.parent)


def test_run_worker_when_the_process_dies_then_says_what_it_said_and_when_it_is_slow_it_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, line in (("dies", "echo gone >&2; exit 3"), ("waits", "exec sleep 60")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    with pytest.raises(WorkerFailedError, match="nncf ended with 3: gone"):
        script.run_worker(tmp_path / "dies", tmp_path / "job.json", "nncf")
    monkeypatch.setattr(script, "LIMIT_S", 0.5)
    assert script.run_worker(tmp_path / "waits", tmp_path / "job.json", "nncf")["failure"] == "no result within 0.5 s"


def test_environment_when_pip_fails_then_the_reason_stands_in_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_network(folder: Path, **_: object) -> None:
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").write_text("#!/bin/sh\necho 'no matching distribution' >&2; exit 1\n", encoding="utf-8")
        (folder / "bin" / "python").chmod(0o755)

    monkeypatch.setattr(script.venv, "create", without_network)
    with pytest.raises(MissingDependencyError, match="could not install nncf: no matching distribution"):
        script.environment(tmp_path / "env", "nncf")


def test_better_source_is_chosen_on_validation_then_by_bytes() -> None:
    def row(source: str, validation: float, size: int) -> dict[str, Any]:
        return {"source": source, "failure": None, "int8_validation": validation, "int8_test": 1 - validation, "int8_bytes": size}

    assert script.better_source([row("fused", 0.8, 10), row("plain", 0.9, 20)])["source"] == "plain"  # type: ignore[index]
    assert script.better_source([row("fused", 0.9, 10), row("plain", 0.9, 20)])["source"] == "fused"  # type: ignore[index]


def test_save_rows_then_the_worker_reads_the_same(int8_subject: Any, tmp_path: Path) -> None:
    import int8_rival_worker as worker

    from edgedistill.quantize.rows import read_rows

    rows = read_rows(int8_subject.data / "validation.arrow", int8_subject.exported)
    script.save_rows(tmp_path / "rows.npz", rows)
    found = worker.rows_of(str(tmp_path / "rows.npz"))
    assert len(found) == len(rows)
    for index, row in enumerate(found):
        assert set(row) == set(rows.row(index))
        assert all(np.array_equal(array, rows.row(index)[name]) for name, array in row.items())


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("tool", sorted(script.TOOLS))
def test_tool_on_a_tiny_bert_then_its_file_answers(
    int8_subject: Any, model_folder: Any, options: ScriptOptions, tmp_path: Path, tool: str
) -> None:
    """Each tool is installed; it makes a file of one of the two sources at least."""
    from dataclasses import replace

    from edgedistill.stage import Workspace

    bert = replace(int8_subject, model=model_folder("bert"), workspace=Workspace(tmp_path / "steps"))
    script.measure_tool(options, tmp_path / "environments", (tool,), bert)
    rows = RowFile(options.results / "trec6.json").rows()
    assert script.better_source(rows) is not None, [row["failure"] for row in rows]
