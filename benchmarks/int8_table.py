"""Write the measured block of docs/quantize.md from benchmarks/results/: `python benchmarks/int8_table.py [--check]`.

The rows are those of int8.py and int8_rivals.py; of each student the newest. A part without rows says which command makes them.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from int8 import LARGEST_RATIO, LEAST_COVERAGE, MEAN_LOSS, WORST_LOSS, accuracy_rows, summary
from int8_rivals import RIVAL, better_source
from int8_selections import SELECTION
from int8_subjects import asked_tasks
from int8_timing import CHOICE, TIMING
from result_rows import markdown_table, mean_of, points, read_folder
from resumable_rows import Row, unpack_bits
from row_statistics import Bits, draws_of, gain, mean_over_tasks
from script_options import RESULTS, run_script
from students_table import filled

from edgedistill.evaluate.intervals import paired_difference
from edgedistill.results import Interval

PAGE = Path(__file__).resolve().parent.parent / "docs" / "quantize.md"
BLOCK = "int8 measured"
_NOTHING = "Not measured yet: `{}`."
_COMMAND = "make bench-int8"


def block_of(results: Path) -> str:
    """Return the whole block; one sentence where there are no rows at all."""
    parts = [accuracy_part(accuracy_rows(results / "int8")), speed_part(newest(results / "int8", TIMING)),
             rivals_part(results), selections_part(newest(results / "int8", SELECTION, "selection", "draw"))]
    if not any(parts):
        return _NOTHING.format(_COMMAND)
    titles = ("Accuracy, coverage and bytes", "Speed of the court's choice", "Other tools", "Calibration rows")
    return "\n\n".join(f"**{title}.** {part or _NOTHING.format(_COMMAND)}" for title, part in zip(titles, parts, strict=True))


def newest(folder: Path, kind: str, *more: str) -> list[Row]:
    """Return the rows of a kind: of those that agree in student and in `more` the newest."""
    found: dict[tuple[object, ...], Row] = {}
    for row in read_folder(folder):
        if row["kind"] == kind:
            found[tuple(row[name] for name in ("task", "size", "rung", "seed", *more))] = row
    return list(found.values())


def accuracy_part(rows: Sequence[Row]) -> str:
    """Return what int8 costs each student, and how far that is from what is asked for."""
    if not rows:
        return ""
    found = summary(rows, asked_tasks())
    header = ("task, student", "scheme", "float on test", "int8 on test", "points", "bytes of float", "weight bytes in int8")
    lines = [[_student(row), f"`{row['scheme']}`", f"{row['float_test']:.4f}", f"{row['int8_test']:.4f}",
              _points(row["int8_test"] - row["float_test"]), f"{row['size_ratio']:.3f}", f"{row['weight_bytes_share']:.1%}"]
             for row in rows]
    lines.append([f"**{found['rows']} students of {found['tasks']} tasks**", "", "", "",
                  f"mean {_points(-found['mean_loss']['found'])}, worst {_points(-found['worst_loss']['found'])}",
                  f"mean {found['mean_ratio']:.3f}, largest {found['largest_ratio']['found']:.3f}",
                  f"mean {found['mean_coverage']:.1%}, least {found['least_coverage']['found']:.1%}"])
    lines.append(["asked for", "", "", "", f"mean {_points(-MEAN_LOSS)}, worst {_points(-WORST_LOSS)}",
                  f"largest {LARGEST_RATIO}", f"least {LEAST_COVERAGE:.0%}"])
    missing = found["missing_tasks"]
    end = f"Not measured yet: {', '.join(missing)}." if missing else "All that is asked for is met." if found["all_met"] else (
        f"Missed: {', '.join(name.replace('_', ' ') for name, is_met in found['met'].items() if not is_met)}.")
    return f"Chosen for `raspberry-pi` on validation, measured on test.\n\n{markdown_table(header, lines)}\n\n{end}"


def speed_part(rows: Sequence[Row]) -> str:
    """Return how fast the court's choice is, against the fastest candidate and against float, on the machine of the rows."""
    if not rows:
        return ""
    header = ("task, student", "the court's choice", "p50", "fastest candidate", "times as long as it (99 %)", "within 5 %",
              "times as fast as float (99 %)")
    lines = [[_student(row), f"`{_named(row, row['chosen'])}`", _ms(row, row["chosen"]),
              f"`{_named(row, row['fastest'])}`" + (" (refused)" if row["fastest"] in row["refused"] else ""),
              _interval(row["slowdown"]), "yes" if row["is_within_5_percent"] else "no", _interval(row["speed_to_float"])]
             for row in rows]
    within, noisy = sum(row["is_within_5_percent"] for row in rows), sum(bool(row["warnings"]) for row in rows)
    slower = sum(row["is_slower_than_float"] for row in rows)
    hosts = ", ".join(sorted({f"{row['host']['cpu']}, {row['runtime']}" for row in rows}))
    end = f"Within 5 % in {within} of {len(rows)}; slower than float in {slower}. {noisy} of the rows are noisy. On {hosts}."
    return ("Candidates for this machine's own instruction set (target `local`), side by side in fresh processes, one thread.\n\n"
            f"{markdown_table(header, lines)}\n\n{end}")


def _named(row: Row, file: str) -> str:
    """Return the scheme of a file; a rescued choice is no candidate as it was made at first."""
    return f"{row['scheme']}, rescued" if file == CHOICE else file


def rivals_part(results: Path) -> str:
    """Return other tools' files beside ours, the same student."""
    rivals = newest(results / "int8_rivals", RIVAL, "tool", "source")
    ours = {_key(row): row for row in accuracy_rows(results / "int8")}
    ours |= {_key(row): row for row in newest(results / "int8", TIMING)}
    lines = []
    for key in dict.fromkeys(_key(row) for row in rivals):
        own = ours.get(key)
        if own is not None:
            p50 = _ms(own, own["chosen"]) if own["kind"] == TIMING else "-"
            lines.append([_student(own), "edgedistill", f"`{own['scheme']}`", f"{own['int8_validation']:.4f}",
                          f"{own['int8_test']:.4f}", "-", f"{own['int8_bytes']:,}", p50, "-"])
        for tool in sorted({row["tool"] for row in rivals}):
            lines.append(_rival_line([row for row in rivals if _key(row) == key and row["tool"] == tool], tool, own))
    header = ("task, student", "tool", "of", "validation", "test", "points of edgedistill's over it (95 %)", "bytes", "p50",
              "edgedistill's is faster (99 %)")
    text = ("Of a tool's files the one that is better on validation: made of our graph for the target (`fused`), of that for "
            "this machine (`local`), or of the exporter's (`plain`). Both tools get the accuracy that may be lost, our "
            "calibration rows and our validation rows.")
    tools = sorted({row["tool"] for row in rivals})
    means = [sentence(tool, rivals, ours) for tool in tools for sentence in (_mean_difference, _fastest_files)]
    return "\n\n".join([text, markdown_table(header, lines), *filter(None, means)]) if lines else ""


def _difference(own: Row | None, best: Row) -> tuple[Bits, Bits] | None:
    """Return which test rows our file and another tool's answer right, None where ours are not known."""
    if own is None or "int8_right" not in own or own["n_test"] != best["n_test"]:
        return None
    return unpack_bits(own["int8_right"], own["n_test"]), unpack_bits(best["right"], best["n_test"])


def _mean_difference(tool: str, rivals: Sequence[Row], ours: Mapping[tuple[object, ...], Row]) -> str:
    """Return a sentence: by how much our files are more accurate than a tool's in the mean over students."""
    drawn, alike = [], 0
    for key, own in ours.items():
        best = better_source([row for row in rivals if row["tool"] == tool and _key(row) == key])
        pair = None if best is None else _difference(own, best)
        if pair is not None:
            drawn.append(gain(pair[0][None], pair[1][None], seed=draws_of(str(key))))
            found = paired_difference(*pair)
            alike += found.low <= 0 <= found.high
    if not drawn:
        return ""
    mean = mean_over_tasks(drawn).interval
    return (f"Over {tool}, in the mean of {len(drawn)} students: {_points_interval(mean)} points of test accuracy; "
            f"the interval holds 0 for {alike} of them.")


def _fastest_files(tool: str, rivals: Sequence[Row], ours: Mapping[tuple[object, ...], Row]) -> str:
    """Return a sentence: how our files compare with the fastest that a tool made, whatever its accuracy on validation."""
    ratios: dict[bool, list[float]] = {True: [], False: []}  # by whether the tool had our graph for this machine
    for key, own in ours.items():
        made = {f"{tool}@{row['source']}": row for row in rivals if row["tool"] == tool and _key(row) == key}
        timed = [own["speed_to_rivals"][name]["value"] for name, row in made.items()
                 if own["kind"] == TIMING and own["settings"]["files"].get(name) == row.get("sha256", "none")]
        if timed:
            ratios[f"{tool}@local" in made].append(min(timed))
    parts = [f"{min(found):.2f} to {max(found):.2f} times as fast on {len(found)} students ({words} `local`)"
             for found, words in ((ratios[True], "it had"), (ratios[False], "it had no")) if found]
    return f"Beside the fastest file of {tool}, edgedistill's is {'; '.join(parts)}." if parts else ""


def _points_interval(found: Interval) -> str:
    return f"{100 * found.value:+.2f} ({100 * found.low:+.2f} to {100 * found.high:+.2f})"


def _rival_line(rows: list[Row], tool: str, own: Row | None) -> list[str]:
    best = better_source(rows)
    if best is None:
        reasons = "; ".join(f"{row['source']}: {' '.join(str(row['failure']).split())[:80]}" for row in rows) or "not run"
        return ["", tool, f"failed ({reasons})".replace("|", "/"), "-", "-", "-", "-", "-", "-"]
    name = f"{tool}@{best['source']}"
    is_timed = own is not None and own["kind"] == TIMING and own["settings"]["files"].get(name) == best["sha256"]
    p50, speed = (_ms(own, name), _interval(own["speed_to_rivals"][name])) if own is not None and is_timed else ("-", "-")
    pair = _difference(own, best)
    more = "-" if pair is None else _points_interval(paired_difference(*pair))
    return ["", tool, best["source"], f"{best['int8_validation']:.4f}", f"{best['int8_test']:.4f}", more,
            f"{best['int8_bytes']:,}", p50, speed]


def selections_part(rows: Sequence[Row]) -> str:
    """Return what the choice of calibration rows makes: means over draws, and how far the draws lie apart."""
    lines = []
    for key in dict.fromkeys((_key(row), row["selection"]) for row in rows):
        of = [row for row in rows if (_key(row), row["selection"]) == key]
        losses = [100 * (row["int8_test"] - row["float_test"]) for row in of]
        validation, test = (_points(mean_of(of, f"int8_{split}") - mean_of(of, f"float_{split}"))
                            for split in ("validation", "test"))
        lines.append([_student(of[0]), f"`{of[0]['scheme']}`", key[1], str(len(of)), validation,
                      f"{test} ({min(losses):+.2f} to {max(losses):+.2f})", f"{mean_of(of, 'kl_nats'):.2g}"])
    header = ("task, student", "scheme", "selection", "draws", "points on validation", "points on test (all draws)",
              "KL(float, int8) on test, nats")
    return f"256 rows, ranges by minimum and maximum, no rescue.\n\n{markdown_table(header, lines)}" if lines else ""


def _key(row: Row) -> tuple[object, ...]:
    return row["task"], row["size"], row["rung"], row["seed"]


def _student(row: Row) -> str:
    return f"{row['task']}, {row['size']}, {row['rung']}"


def _points(difference: float) -> str:
    return f"{100 * difference:+.2f}" if abs(difference) < 0.01 else points(difference)


def _ms(row: Row, name: str) -> str:
    return f"{1e3 * row['p50_s'][name]['value']:.3f} ms"


def _interval(found: Row) -> str:
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def main() -> None:
    """Rewrite the page, or say that it is stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 when the page is stale")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    given = parser.parse_args()
    text = given.page.read_text(encoding="utf-8")
    fresh = filled(text, {BLOCK: block_of(given.results)})
    if given.check:
        sys.exit(0 if fresh == text else f"{given.page.name} is stale: python benchmarks/int8_table.py")
    given.page.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    run_script(main)
