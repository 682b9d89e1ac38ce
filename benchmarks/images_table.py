"""Write the measured tables of docs/images.md from the results of images.py and image_seeds.py.

`python benchmarks/images_table.py [--check]`
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from resumable_rows import Row, RowFile, unpack_bits
from row_statistics import draws_of, gain_interval, significant_seeds

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "images.md"
BEGIN, END = "<!-- pictures measured -->", "<!-- /pictures measured -->"
_HEADER = ("| data, seed | teacher, fp32 | int8 student | accuracy on test: teacher, int8 student (95 %) | kept | "
           "points over the same student without the teacher (95 %), int8 over it | teaching, distilling |")
_SEEDS_HEADER = ("| data, seeds of student and baseline | float student on test, by seed | without the teacher, by seed | "
                 "points over it, mean of the seeds (95 %) | seeds in which McNemar's test tells them apart |")


def row(path: Path) -> str:
    """Return the row of one run."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    teacher, student, gain = (found["variants"]["teacher"], found["variants"]["student_int8"], found["gain"]["difference"])
    low, high = student["accuracy_ci95"]
    spent = {kind: sum(s for step, s in found["steps_s"].items() if step.split()[0] in steps) / 60
             for kind, steps in (("teach", ("teach", "soft-labels")), ("distil", ("distill",)))}
    link = f"[{path.stem}](../benchmarks/results/images/{path.name})"
    int8 = found.get("int8_gain")
    over = "-" if int8 is None else f"{100 * int8['value']:+.1f} ({100 * int8['low']:+.1f} to {100 * int8['high']:+.1f})"
    return (
        f"| {link}, {found['seed']} | {teacher['size_bytes'] / 1e6:.2f} MB | "
        f"{student['size_bytes'] / 1e3:.0f} kB | "
        f"{teacher['accuracy']:.4f}, {student['accuracy']:.4f} ({low:.4f} to {high:.4f}) | "
        f"{student['accuracy'] / teacher['accuracy']:.3f} | {100 * gain['value']:+.1f} ({100 * gain['low']:+.1f} to "
        f"{100 * gain['high']:+.1f}), {over} | {spent['teach']:.0f}, {spent['distil']:.0f} min |"
    )


def seeds_row(path: Path) -> str | None:
    """Return the row of a data set's trainings; None where no seed has both students of one set of settings."""
    newest: dict[tuple[str, int], Row] = {}
    for found in RowFile(path).rows():
        newest[found["kind"], found["seed"]] = found  # a file's rows stand in the order of their making
    seeds = sorted(seed for kind, seed in newest if kind == "student" and _is_fair(newest, seed))
    if not seeds:
        return None
    students, others = ([newest[kind, seed] for seed in seeds] for kind in ("student", "no_kd"))
    ours, theirs = (np.stack([unpack_bits(item["right"], item["n_test"]) for item in rows]) for rows in (students, others))
    gain = gain_interval(ours, theirs, seed=draws_of(path.stem))
    each = [", ".join(f"{item['test']:.4f}" for item in rows) for rows in (students, others)]
    link = f"[{path.stem}](../benchmarks/results/image_seeds/{path.name})"
    return (f"| {link}, {', '.join(map(str, seeds))} | {each[0]} | {each[1]} | "
            f"{100 * gain.value:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f}) | {significant_seeds(ours, theirs)} |")


def _is_fair(rows: Mapping[tuple[str, int], Row], seed: int) -> bool:
    """Is there a student without a teacher of the same settings?"""
    other = rows.get(("no_kd", seed))
    same = ("task", "seed", "rung", "distillation", "pictures")
    return other is not None and all(rows["student", seed]["settings"][key] == other["settings"][key] for key in same)


def table() -> str:
    """Return the whole block between the markers."""
    results = ROOT / "benchmarks" / "results"
    runs = [row(path) for path in sorted((results / "images").glob("*.json"))]
    trainings = [found for path in sorted((results / "image_seeds").glob("*.json")) if (found := seeds_row(path)) is not None]
    lines = [_HEADER, _rule(_HEADER), *runs]
    if trainings:
        lines += ["", _SEEDS_HEADER, _rule(_SEEDS_HEADER), *trainings]
    return "\n".join([BEGIN, *lines, END])


def _rule(header: str) -> str:
    return "|" + "---|" * (header.count("|") - 1)


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
