"""Write the support matrix of README.md from benchmarks/results/: `python benchmarks/support_matrix.py [--check]`.

A row is ticked where a result file says so, and links to it; without a file there is no tick. A check of what ships must have
looked at what the sources are today.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bundle_checks import CHECKS

from edgedistill.catalog import target_ids

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path("benchmarks/results")
BEGIN, END = "<!-- support -->", "<!-- /support -->"
TASKS = ("text-classification", "image-classification", "text-generation")


@dataclass(frozen=True)
class Claim:
    """A row: what may be said, and the result files that say it; none: it may not be said."""

    what: str
    files: tuple[str, ...]

    def row(self) -> str:
        """Return the row as Markdown."""
        links = ", ".join(f"[{Path(name).stem}]({(RESULTS / name).as_posix()})" for name in self.files)
        return f"| {self.what} | {'✔' if self.files else '–'} | {links} |"


def read_results(folder: Path) -> dict[str, Any]:
    """Return the content of the result files by their name below the folder."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.json"))
    return {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in names}


def claims(results: Mapping[str, Any], targets: tuple[str, ...]) -> Iterator[Claim]:
    """Yield the rows in their order."""
    runs = {name: content["report"] for name, content in results.items() if "report" in content}
    for task in TASKS:
        yield Claim(f"{task}: a whole run", _where(runs, lambda report, task=task: report["task"] == task))
    ran = {target: _where(runs, lambda report, target=target: target in report["targets"]) for target in targets}
    for target in targets:
        if ran[target]:
            yield Claim(f"{target}: a whole run, latency predicted", ran[target])
    rest = [target for target in targets if not ran[target]]
    if rest:
        yield Claim(f"the {len(rest)} other [targets](docs/targets.md): a whole run; all have a plan", ())
    each = [(name, target) for name, report in runs.items() for target in report["targets"].values()]
    emulated = tuple(name for name, content in results.items() if name.startswith("emulated-") and any(
        row["architecture"] == "aarch64" for row in content["rows"]))
    yield Claim("int8 answers on an ARM instruction set, emulated", _names(each, _has_arm_answers) + emulated)
    yield Claim("latency measured on a device", _names(each, _is_measured_on_device))
    yield Claim("what students keep at 1/30 and 1/80 of the teacher",
                tuple(name for name in results if name.startswith("students/")))
    yield Claim(*_fuzz(results))
    checks = results.get("bundle_checks.json", {"checks": {}})["checks"]
    for name, check in CHECKS.items():
        row = checks.get(name, {})
        is_passed = row.get("outcome") == "passed" and row.get("sources_sha256") == check.sources_sha256()
        yield Claim(check.what, ("bundle_checks.json",) if is_passed else ())
    yield Claim(*_web(results))
    yield Claim("the Android and iOS modules on a phone", ())


def _where(runs: Mapping[str, Any], holds: Any) -> tuple[str, ...]:
    return tuple(name for name, report in runs.items() if holds(report))


def _names(each: list[tuple[str, Any]], holds: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name, target in each if holds(target)))


def _has_arm_answers(target: Any) -> bool:
    return bool(target["parity"].get("arm64"))


def _is_measured_on_device(target: Any) -> bool:
    found = [variant["latency"]["target"] for variant in target["variants"].values() if variant.get("latency")]
    return any(latency and latency["source"] == "measured" for latency in found)


def _fuzz(results: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Tell the tokenizer in the graph by its worst row; ticked when no text differs."""
    rows = results.get("tokenizer_fuzz.json", {"rows": []})["rows"]
    if not rows:
        return "the tokenizer in the graph on fuzzed texts", ()
    versions = " and ".join(sorted({row["onnxruntime_extensions"] for row in rows}))
    differing, texts = sum(row["texts_that_differ"] for row in rows), min(row["texts"] for row in rows)
    what = (f"the tokenizer in the graph (onnxruntime-extensions {versions}): ids of {texts:,} fuzzed texts a tokenizer, "
            f"{differing} differ")
    return what, ("tokenizer_fuzz.json",) if not differing else ()


def _web(results: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Tell the page with an int8 student; ticked when ids and classes are the golden ones and no logit is too far off."""
    row = results.get("web_logits.json")
    if row is None:
        return "the web page with an int8 student", ()
    furthest = max(row["max_abs_errors"])
    is_passed = row["equal_ids"] == row["equal_labels"] == row["vectors"] and furthest <= row["tolerance"]
    more = row.get("texts")
    of_texts = "" if more is None else (
        f"; of {more['rows']} test texts {more['equal_classes']} have Python's class and {more['within_1e-3']} logits within "
        f"1e-3, the furthest {more['max_abs_error']:.3f} off"
    )
    in_float = (results.get("web_logits_float.json") or {}).get("texts")
    if in_float is not None:
        of_texts += f"; in float {in_float['within_1e-3']} of {in_float['rows']} within 1e-3"
    what = (f"the web page with an int8 student of {row['recipe_id']} ({row['student']}): golden ids and classes; "
            f"{row['within_1e-3']} of {row['vectors']} golden texts within 1e-3, the furthest logit {furthest:.3f} off, "
            f"{row['tolerance']:g} is allowed{of_texts}")
    files = tuple(name for name in ("web_logits.json", "web_logits_float.json", "web_operators.json") if name in results)
    return what, files if is_passed else ()


def matrix() -> str:
    """Return the whole block between the markers."""
    rows = [claim.row() for claim in claims(read_results(ROOT / RESULTS), tuple(target_ids()))]
    return "\n".join([BEGIN, "| what | | result file |", "|---|---|---|", *rows, END])


def main() -> None:
    """Rewrite the README, or say that it is stale."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    fresh = before + matrix() + after
    if "--check" in sys.argv:
        sys.exit(0 if fresh == text else "README.md is stale: python benchmarks/support_matrix.py")
    path.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
