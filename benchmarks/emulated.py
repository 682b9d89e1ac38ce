"""int8 by instruction set: `python benchmarks/emulated.py --student RUN/TARGET/student --train FILE --test FILE`.

A student is quantized by each scheme and answers the same test rows here and on emulated cores. A row of the result is one
model on one core: decisions that differ from this host's answers of the same file, the largest difference of a logit,
accuracy here and there, instructions of one inference by class, memory of the guest. Times are not in it. Rows that are there
are not made again. Needs `edgedistill arm-env`.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import edgedistill
from edgedistill.emulation.cores import CORES, core_named
from edgedistill.emulation.environment import ensure
from edgedistill.emulation.guest import Feeds
from edgedistill.emulation.replay import replay
from edgedistill.errors import GoalMissedError
from edgedistill.evaluate.onnx_model import OnnxModel
from edgedistill.examples import read_examples, spread_rows
from edgedistill.export.stage import copy_companions
from edgedistill.host import this_host
from edgedistill.int8_settings import PostTraining
from edgedistill.recipe import Parity
from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.user_paths import model_classes, open_examples
from edgedistill.verify.emulated import judge
from edgedistill.verify.parity import emulated_gate

RESULTS = Path(__file__).resolve().parent / "results"
FLOAT = "float"
SCHEMES = ("dynamic_wi8_afp32_per_channel", "dynamic_wi8_afp32_per_channel_reduced_range", FLOAT)


@dataclass(frozen=True)
class Test:
    """The test rows: model inputs and classes."""

    rows: list[Feeds]
    classes: np.ndarray


def prepare_models(student: Path, train: Path, work: Path, schemes: list[str], target: str) -> dict[str, Path]:
    """Quantize the student by each scheme and return the model folders by scheme.

    Raises:
        GoalMissedError: a scheme does not keep the goal, so that the court would ship float under its name.
    """
    models = {FLOAT: work / FLOAT}
    models[FLOAT].mkdir(parents=True, exist_ok=True)
    shutil.copyfile(student / "onnx" / "model.onnx", models[FLOAT] / "model.onnx")
    copy_companions(student, models[FLOAT])
    for scheme in schemes:
        if scheme == FLOAT:
            continue
        models[scheme] = work / scheme
        wanted = PostTraining.model_validate({"scheme": scheme, "trials": 0})
        device = edgedistill.load_target(target)
        verdict = edgedistill.quantize(models[FLOAT], train, models[scheme], target=device, wanted=wanted,
                                       gates=Parity(emulated_rows=0))  # replayed below, on the test rows
        if verdict.is_float:
            raise GoalMissedError(f"{scheme}: {verdict.decision}", hint=f"--schemes without {scheme}")
    return {scheme: models[scheme] for scheme in dict.fromkeys((*schemes, FLOAT))}


def read_test(student: Path, test: Path, limit: int) -> Test:
    """Read at most `limit` test rows, evenly spread."""
    with open_examples(test, "test", model_classes(student)) as path:
        examples = read_examples(path)
        chosen = spread_rows(len(examples), limit)
        texts, labels = examples.texts, np.asarray(examples.labels)[chosen]
        encoded = TextEncoder.load(student).encode([texts[index] for index in chosen])
    return Test([encoded.batch([index]) for index in range(len(encoded))], labels)


def measure(
    models: dict[str, Path], test: Test, *, schemes: list[str], cores: list[str], done: set[tuple[str, str]]
) -> Iterator[dict[str, object]]:
    """Yield a row for each of the schemes and cores that is not done; the float model is needed to compare with in any case."""
    environment = ensure()
    floats = _answers(models[FLOAT], test)
    for scheme, model in models.items():
        if scheme not in schemes:
            continue
        wanted = [core for core in cores if (scheme, core) not in done]
        here = _answers(model, test) if wanted else floats
        for core in map(core_named, wanted):
            found = replay(model / "model.onnx", test.rows, core=core, environment=environment)
            check = judge(found, here, core=core, emulator=f"qemu {environment.facts.emulator}",
                          gate=emulated_gate(0.0, core=core.name))
            row = {"scheme": scheme, "size_bytes": (model / "model.onnx").stat().st_size,
                   "host_accuracy": _accuracy(here, test), "host_agreement_with_float": _agreement(here, floats),
                   **json.loads(check.to_json())}
            if found.logits is not None:
                row |= {"accuracy": _accuracy(found.logits, test), "agreement_with_float": _agreement(found.logits, floats)}
            yield row


def _answers(model: Path, test: Test) -> np.ndarray:
    here = OnnxModel(model / "model.onnx")
    return np.concatenate([here.logits(row) for row in test.rows])


def _accuracy(logits: np.ndarray, test: Test) -> float:
    return float((logits.argmax(axis=1) == test.classes).mean())


def _agreement(logits: np.ndarray, reference: np.ndarray) -> float:
    return float((logits.argmax(axis=1) == reference.argmax(axis=1)).mean())


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as the Markdown table of docs/verify.md."""
    lines = ["| scheme | core | int8 by | rows | decisions flipped | largest difference | mean difference | instructions |",
             "|---|---|---|---:|---:|---:|---:|---:|"]
    for row in rows:
        parity, counted = row["parity"], row["instructions"] or {}
        path = (counted.get("int8_path") or "-").upper() if row["scheme"] != FLOAT else "-"
        total = f"{counted['total'] / 1e6:.2f} M" if counted else "-"
        lines.append(f"| `{row['scheme']}` | `{row['core']}` | {path} | {parity['n']} | {parity['decisions_flipped']} | "
                     f"{parity['max_abs_error']:.2g} | {parity['mean_abs_error']:.2g} | {total} |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, make the rows that are missing, and write the file after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", type=Path, help="the student folder of a run")
    parser.add_argument("--train", type=Path, help="texts on which the schemes are judged, not the test rows")
    parser.add_argument("--test", type=Path, help="labelled test rows")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--schemes", nargs="+", default=list(SCHEMES))
    parser.add_argument("--cores", nargs="+", default=list(CORES))
    parser.add_argument("--target", default="raspberry-pi", help="whose scheme rules apply")
    parser.add_argument("--work", type=Path, default=Path("runs/emulated"))
    parser.add_argument("--name", default="emulated-home-intents", help="of the result file")
    parser.add_argument("--table", action="store_true", help="print the rows that are there, and make none")
    given = parser.parse_args()
    path = RESULTS / f"{given.name}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.is_file() else []
    if given.table:
        print(table(rows))
        return
    if not (given.student and given.train and given.test):
        parser.error("--student, --train and --test are needed")
    models = prepare_models(given.student, given.train, given.work, given.schemes, given.target)
    done = {(row["scheme"], row["core"]) for row in rows}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    host = this_host()
    test = read_test(given.student, given.test, given.rows)
    for row in measure(models, test, schemes=given.schemes, cores=given.cores, done=done):
        rows.append(row)
        content = {"command": "python benchmarks/emulated.py " + " ".join(sys.argv[1:]), "commit": commit,
                   "host": {"architecture": host.architecture, "features": host.features}, "rows": rows}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(row["scheme"], row["core"], row["parity"], flush=True)  # type: ignore[index]


if __name__ == "__main__":
    main()
