"""The examples of docs/library.md: the quick one runs, the long one names only what exists."""

import re
from pathlib import Path

import pytest

import edgedistill

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "library.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)


def test_plan_example_when_run_then_prints_the_choice_and_the_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(BLOCKS[0], "docs/library.md", "exec"), {})
    first, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("student bert-")
    assert any(row.endswith("fits") for row in rows)


@pytest.mark.parametrize("block", BLOCKS)
def test_example_when_read_then_short_and_every_call_exists(block: str) -> None:
    compile(block, "docs/library.md", "exec")
    assert len(block.splitlines()) <= 10
    assert set(re.findall(r"\bed\.(\w+)", block)) <= set(edgedistill.__all__)


def test_page_when_calls_are_listed_then_all_of_the_library_and_no_other() -> None:
    assert sorted(re.findall(r"^\| `(\w+)\(", PAGE, re.M)) == sorted(edgedistill.__all__)
