"""docs/code.md has every module with its subject."""

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "make_code_page.py"))


def test_code_page_when_compared_with_the_modules_then_current(page: dict[str, Any]) -> None:
    assert page["PAGE"].read_text(encoding="utf-8") == page["render_page"](), "stale: python docs/make_code_page.py"


def test_code_page_then_every_module_and_every_room_says_its_subject(page: dict[str, Any]) -> None:
    silent = [path.name for room in page["rooms"]() for path in room.glob("*.py") if len(page["subject_of"](path)) < 20]
    assert silent == []
