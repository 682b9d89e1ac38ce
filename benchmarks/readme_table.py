"""Write the measured table of README.md from benchmarks/results/: `python benchmarks/readme_table.py [--check]`."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results -->", "<!-- /results -->"
RUNS = ("home-intents", "handwritten-digits", "clinc150-small", "sst2-sentence")


def rows() -> list[str]:
    """Return a Markdown row for every recorded run and target."""
    found = []
    for name in RUNS:
        path = ROOT / "benchmarks" / "results" / f"{name}.json"
        if not path.is_file():
            continue
        for target, result in json.loads(path.read_text(encoding="utf-8"))["report"]["targets"].items():
            found.append(_row(name, target, result))
    return found


def _row(name: str, target: str, result: dict) -> str:
    teacher, student, plain = (result["variants"][v] for v in ("teacher", "student_int8", "student_no_kd"))
    speed = result["headline"]["speed_ratio"]["value"]
    low, high = student["accuracy_ci95"]
    predicted = student["latency"]["target"]["p50_s"] * 1e3
    return (
        f"| [{name}](benchmarks/results/{name}.json) | {target} | {teacher['size_bytes'] / 2**20:.1f} -> "
        f"{student['size_bytes'] / 2**20:.2f} MiB ({teacher['size_bytes'] / student['size_bytes']:.0f}x) | {speed:.1f}x | "
        f"{teacher['accuracy']:.3f} -> {student['accuracy']:.3f} ({low:.3f} to {high:.3f}) | {result['retention']:.3f} | "
        f"{plain['accuracy']:.3f} | {predicted:.1f} ms |"
    )


def table() -> str:
    """Return the whole block between the markers."""
    header = ("| data | target | size: teacher -> int8 student | speed-up here | test accuracy: teacher -> int8 student (95 %) | "
              "kept | same student without the teacher | p50 on the target, predicted |")
    rule = "|---|---|---|---|---|---|---|---|"
    return "\n".join([BEGIN, header, rule, *rows(), END])


def main() -> None:
    """Rewrite the README, or say that it is stale."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    fresh = before + table() + after
    if "--check" in sys.argv:
        sys.exit(0 if fresh == text else "README.md is stale: python benchmarks/readme_table.py")
    path.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
