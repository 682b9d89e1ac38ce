"""Does `edgedistill benchmark A B` keep its word? Two identical models, and one with a planted slow-down, many times over.

    python benchmarks/ab_power.py                       # an idle machine, two hours: 100 comparisons of each kind
    python benchmarks/ab_power.py --kinds planted       # only those that ask for an idle machine
    python benchmarks/ab_power.py --times 3 --processes 8 --results /tmp/here    # a trial of the script

Identical models may be called different in at most 5 of 100; a planted slow-down of a tenth must be found in at least 95.
The slow-down is real work: a chain of small products that hangs on the inputs, as long as it takes. How large it became is
measured too, and stands in each row. Rows are kept in benchmarks/results/ab_power.json: stopped and started again, it makes
those that are missing.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from random_student import build_student, write_inputs
from resumable_rows import RowFile
from script_options import RESULTS, run_script

from edgedistill.benchmark.comparison import compare_pairs
from edgedistill.benchmark.protocol import Candidate, Trace, measure
from edgedistill.benchmark.statistics import percentile, pooled
from edgedistill.errors import UsageError
from edgedistill.host import this_host
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.tasks.text_classification.task import ladder

TOKENS, RUNG, ROUNDS, WIDTH = 12, "bert-4x192", 2, 48
_FIRST_LINKS, _CORRECTIONS = 100, 3
ASKED = {"same": "at most 5 of 100 may be called different", "planted": "at least 95 of 100 must be slower"}
Row = dict[str, Any]


def plant(model: Path, out: Path, *, links: int) -> Path:
    """Write the model with a chain of `links` products beside it that hangs on input_ids and adds zero to the logits."""
    graph_model = onnx.load(model)
    graph = graph_model.graph
    logits = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["planted_before" if name == logits else name for name in node.output]
    weights = {"planted_w": np.eye(WIDTH, dtype=np.float32), "planted_ones": np.ones((1, WIDTH), np.float32),
               "planted_zero": np.zeros((WIDTH, 1), np.float32), "planted_axes": np.array([0, 1], np.int64)}
    nodes = [helper.make_node("Cast", ["input_ids"], ["planted_ids"], to=TensorProto.FLOAT),
             helper.make_node("ReduceMean", ["planted_ids", "planted_axes"], ["planted_mean"], keepdims=1),
             helper.make_node("Mul", ["planted_mean", "planted_ones"], ["planted_0"])]
    nodes += [helper.make_node("MatMul", [f"planted_{i}", "planted_w"], [f"planted_{i + 1}"]) for i in range(links)]
    nodes += [helper.make_node("MatMul", [f"planted_{links}", "planted_zero"], ["planted_nothing"]),
              helper.make_node("Add", ["planted_before", "planted_nothing"], [logits])]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in weights.items())
    onnx.save(graph_model, out)
    return out


def _timed(models: dict[str, Path], inputs: Path, protocol: BenchmarkProtocol, seed: int) -> dict[str, Trace]:
    return measure([Candidate(name, "onnx", path, inputs, TOKENS) for name, path in models.items()], protocol, seed=seed)


def slowed(model: Path, folder: Path, inputs: Path, share: float) -> tuple[Path, int]:
    """Return the model made slower by a share, and the links that it took.

    A first guess comes from the time of a long chain; a short one costs less a link, so the guess is measured and set right.

    Raises:
        UsageError: the chain takes no time that this machine could see.
    """
    bare, links = plant(model, folder / "bare.onnx", links=0), _FIRST_LINKS
    for _ in range(_CORRECTIONS):
        traces = _timed({"bare": bare, "slow": plant(model, folder / "slow.onnx", links=links)}, inputs,
                        BenchmarkProtocol(processes=12, rounds=ROUNDS), seed=links)
        base, slow = (_by_process(traces[name].rounds_s) for name in ("bare", "slow"))
        found = 1 / compare_pairs(base, slow).ratio.value - 1
        print(f"a chain of {links} products makes it slower by {found:.1%}", file=sys.stderr)
        if found <= 0:
            raise UsageError("the planted chain takes no time that could be seen", hint="try again on an idle machine")
        links = max(1, round(links * share / found))
    return plant(model, folder / "slow.onnx", links=links), links


def compare_row(file: RowFile, kind: str, number: int, made: dict[str, Path], inputs: Path, options: argparse.Namespace) -> Row:
    """Return the row of one comparison."""
    protocol = BenchmarkProtocol(processes=options.processes, rounds=ROUNDS)
    settings = {"kind": kind, "number": number, "share": options.share if kind == "planted" else 0.0, "rung": options.rung,
                "host": this_host().model_dump(mode="json"), "protocol": protocol.model_dump()}
    found = file.find(settings)
    if found is not None:
        return found
    traces = _timed({"a": made["a"], "b": made[kind]}, inputs, protocol, seed=number)
    a, b = (_by_process(traces[name].rounds_s) for name in ("a", "b"))
    comparison = compare_pairs(a, b)
    figures = {"verdict": comparison.verdict, "ratio": comparison.ratio.model_dump(), "links": made.get("links"),
               "process_p50_s": {"a": _medians(a), "b": _medians(b)}}
    return file.add(settings, figures, command=f"python benchmarks/ab_power.py --times {options.times}")


def _by_process(rounds: tuple[tuple[float, ...], ...]) -> list[tuple[tuple[float, ...], ...]]:
    return [rounds[start : start + ROUNDS] for start in range(0, len(rounds), ROUNDS)]


def _medians(processes: list[tuple[tuple[float, ...], ...]]) -> list[float]:
    return [percentile(pooled(rounds), 50) for rounds in processes]


def main() -> None:
    """Make the rows that are missing and print how often each verdict was given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=100, metavar="N", help="comparisons of each kind")
    parser.add_argument("--kinds", nargs="+", choices=sorted(ASKED), default=list(ASKED), help="what is compared")
    parser.add_argument("--share", type=float, default=0.10, help="the planted slow-down")
    parser.add_argument("--processes", type=int, default=24, metavar="N", help="pairs of processes a comparison")
    parser.add_argument("--rung", default=RUNG, help="the student shape that is timed")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="where ab_power.json lies")
    options = parser.parse_args()
    shape = next((shape for shape in ladder() if shape.id == options.rung), None)
    if shape is None:
        raise UsageError(f"no rung {options.rung!r}", hint=f"--rung {ladder()[0].id}")
    file = RowFile(options.results / "ab_power.json")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = build_student(folder / "student", shape)
        inputs = write_inputs(folder / "inputs.npz", tokens=TOKENS, vocabulary=shape.vocabulary)
        slow, links = slowed(model, folder, inputs, options.share)
        print(f"a slow-down of {options.share:.0%} is taken to need a chain of {links}", file=sys.stderr)
        bare = folder / "bare.onnx"
        made = {"a": bare, "same": bare, "planted": slow, "links": links}
        for kind in options.kinds:
            rows = [compare_row(file, kind, number, made, inputs, options) for number in range(options.times)]
            verdicts = [row["verdict"] for row in rows]
            counts = ", ".join(f"{name} {verdicts.count(name)}" for name in ("faster", "slower", "same", "undecided"))
            middle = float(np.median([row["ratio"]["value"] for row in rows]))
            print(f"{kind}: {len(rows)} comparisons, {counts}; median ratio {middle:.3f} ({ASKED[kind]})")


if __name__ == "__main__":
    run_script(main)
