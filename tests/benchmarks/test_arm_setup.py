"""How long arm-env takes: each run has an empty cache of its own, and a failure is told."""

import os
import sys
from pathlib import Path

import arm_setup as script
import pytest
from script_options import WorkerFailedError

STAND_IN = """
import json, os, pathlib
cache = pathlib.Path(os.environ["EDGEDISTILL_CACHE"])
(cache / "built").mkdir(exist_ok=True)
with open({log!r}, "a") as stream:
    print(cache, file=stream)
print(json.dumps({{"emulator": "7.2", "onnxruntime": "1.32.0", "packages": [1, 2, 3], "size_bytes": 7}}))
"""


def test_rows_of_then_each_run_builds_in_an_empty_cache_and_checks_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    monkeypatch.setattr(script, "_COMMAND", (sys.executable, "-c", STAND_IN.format(log=str(log))))
    rows = script.rows_of(2)
    caches = log.read_text(encoding="utf-8").split()
    assert len(set(caches)) == 2
    assert caches[0] == caches[1]
    assert caches[2] == caches[3]
    assert not any(os.path.exists(cache) for cache in caches)
    assert all(row["build_s"] > 0 and row["check_s"] > 0 for row in rows)  # type: ignore[operator]
    assert [(row["packages"], row["size_bytes"], row["onnxruntime"]) for row in rows] == [(3, 7, "1.32.0")] * 2


def test_timed_call_when_it_fails_then_its_reason_stands_in_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "_COMMAND", (sys.executable, "-c", "import sys; sys.exit('no package')"))
    with pytest.raises(WorkerFailedError, match="ended with 1: no package"):
        script.timed_call(tmp_path)
