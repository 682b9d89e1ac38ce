"""What differs by task is behind one door: outside of `tasks/` nothing names a task, so nothing can ask which one it is."""

import re
from pathlib import Path

import edgedistill

ROOT = Path(edgedistill.__file__).parent
_NAMES = re.compile(r"""["'](text|image)-classification["']|tasks\.(text|image)_classification\.task""")
_MAY = {"recipe.py"}  # the names that a recipe may have


def test_code_outside_of_tasks_then_names_no_task() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{number}"
        for file in sorted(ROOT.rglob("*.py")) if "tasks" not in file.relative_to(ROOT).parts and file.name not in _MAY
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1) if _NAMES.search(line)
    ]
    assert found == []
