"""Write the measured table of docs/images.md from benchmarks/results/images/: `python benchmarks/images_table.py [--check]`."""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "images.md"
BEGIN, END = "<!-- pictures measured -->", "<!-- /pictures measured -->"
_HEADER = ("| data, seed | teacher, fp32 | int8 student | accuracy on test: teacher, int8 student (95 %) | kept | "
           "points over the same student without the teacher (95 %) | teaching, distilling |")


def row(path: Path) -> str:
    """Return the row of one run."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    teacher, student, gain = (found["variants"]["teacher"], found["variants"]["student_int8"], found["gain"]["difference"])
    low, high = student["accuracy_ci95"]
    spent = {kind: sum(s for step, s in found["steps_s"].items() if step.split()[0] in steps) / 60
             for kind, steps in (("teach", ("teach", "soft-labels")), ("distil", ("distill",)))}
    link = f"[{path.stem}](../benchmarks/results/images/{path.name})"
    return (
        f"| {link}, {found['seed']} | {teacher['size_bytes'] / 1e6:.2f} MB | "
        f"{student['size_bytes'] / 1e3:.0f} kB | "
        f"{teacher['accuracy']:.4f}, {student['accuracy']:.4f} ({low:.4f} to {high:.4f}) | "
        f"{student['accuracy'] / teacher['accuracy']:.3f} | {100 * gain['value']:+.1f} ({100 * gain['low']:+.1f} to "
        f"{100 * gain['high']:+.1f}) | {spent['teach']:.0f}, {spent['distil']:.0f} min |"
    )


def table() -> str:
    """Return the whole block between the markers."""
    rows = [row(path) for path in sorted((ROOT / "benchmarks" / "results" / "images").glob("*.json"))]
    return "\n".join([BEGIN, _HEADER, "|" + "---|" * (_HEADER.count("|") - 1), *rows, END])


def main() -> None:
    """Rewrite the page, or say that it is stale."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    fresh = before + table() + rest.partition(END)[2]
    if "--check" in sys.argv:
        sys.exit(0 if fresh == text else f"{PAGE.name} is stale: python benchmarks/images_table.py")
    PAGE.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
