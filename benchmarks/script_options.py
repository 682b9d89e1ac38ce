"""What all benchmark scripts over data sets take from the command line, and how they end."""

import argparse
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgedistill.errors import EdgedistillError, UsageError

RESULTS = Path(__file__).resolve().parent / "results"
DATA_VARIABLE = "EDGEDISTILL_DATA_SETS"


class WorkerFailedError(EdgedistillError):
    """A process that a script started ended without a result."""


@dataclass(frozen=True)
class ScriptOptions:
    """Folders and choices.

    Attributes:
        data: the folder of the data sets.
        work: where steps are kept; may be deleted, the rows stay.
        results: where the rows are written, a file a task.
        tasks: which; None for all.
        seeds: which; None for the suite's.
        overrides: recipe settings for every row.
        is_dry: list the rows that are missing and make none?
        command: the command line, for the rows; without the folders of this machine.
    """

    data: Path
    work: Path
    results: Path
    tasks: tuple[str, ...] | None
    seeds: tuple[int, ...] | None
    overrides: tuple[str, ...]
    is_dry: bool
    command: str


def option_parser(description: str | None, *, name: str) -> argparse.ArgumentParser:
    """Return a parser with the options that all scripts have; `name` is the folder below results/."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, default=os.environ.get(DATA_VARIABLE), metavar="DIR",
        help=f"folder with one folder a data set (or the variable {DATA_VARIABLE})")
    add("--work", type=Path, default=Path("runs/benchmarks"), metavar="DIR", help="where finished steps are kept")
    add("--results", type=Path, default=RESULTS / name, metavar="DIR", help="where the rows go, a file a task")
    add("--tasks", nargs="+", metavar="TASK", help="only these")
    add("--seeds", nargs="+", type=int, metavar="N", help="instead of the suite's")
    add("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE", help="a recipe setting, for every row")
    add("--threads", type=int, metavar="N", help="threads of every computation (default: one a core)")
    add("--dry-run", action="store_true", help="say which rows are missing, and make none")
    return parser


def read_options(given: argparse.Namespace, *, script: str) -> ScriptOptions:
    """Check the common options and fix the number of threads, before torch is imported.

    Raises:
        UsageError: the data folder is missing.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("edgedistill").setLevel(logging.INFO)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if given.threads:
        os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(given.threads)
    if given.data is None:
        raise UsageError("where are the data sets?", hint=f"--data DIR, or {DATA_VARIABLE}=DIR")
    words = [f"--{name.replace('_', '-')} {_words(value)}" for name, value in sorted(vars(given).items())
             if name in ("tasks", "seeds", "threads", "sizes", "kinds", "names") and value]
    words += [f"--set {item}" for item in given.overrides]
    return ScriptOptions(
        Path(given.data), given.work, given.results, tuple(given.tasks) if given.tasks else None,
        tuple(given.seeds) if given.seeds else None, tuple(given.overrides), given.dry_run,
        " ".join(["python", f"benchmarks/{script}", "--data DIR", *words]),
    )


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def run_script(main: Callable[[], None]) -> None:
    """Run a script; a refusal becomes one message and one hint, and the exit code of its kind."""
    try:
        main()
    except EdgedistillError as failure:
        print(f"error: {failure.message}\n  hint: {failure.hint}", file=sys.stderr)
        sys.exit(failure.exit_code)
    except KeyboardInterrupt:
        print("interrupted: the same command goes on where it stopped", file=sys.stderr)
        sys.exit(130)
