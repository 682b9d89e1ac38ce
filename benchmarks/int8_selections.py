"""Which training rows to calibrate static int8 on: `python benchmarks/int8.py --selections`, on one picture and two text tasks.

A row is a student, a scheme, a selection and the seed that draws. Every file is made by the first static scheme for the suite's
target with 256 rows and ranges from minimum to maximum, where the choice of rows matters most; nothing is put back to float.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from int8_subjects import IMAGE_TASK, ONNX_FILE, Places, Subject, accuracy_of
from resumable_rows import Row, RowFile
from script_options import ScriptOptions

from edgedistill.catalog import load_target
from edgedistill.examples import read_examples
from edgedistill.int8_settings import Calibration
from edgedistill.quantize import stage as quantize_stage
from edgedistill.quantize.calibration_rows import draw_rows
from edgedistill.quantize.calibration_sample import Selection
from edgedistill.quantize.candidates import Candidate, make_candidate
from edgedistill.quantize.court import answers_of
from edgedistill.quantize.judgement import divergence
from edgedistill.quantize.rows import each, read_rows
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.schemes import AUTO, schemes_for

SELECTION = "int8-selection"
TASKS = (IMAGE_TASK, "trec6", "sst2_sentence")
SIZE = "1/80"
CALIBRATION_ROWS = 256


@dataclass(frozen=True)
class Draw:
    """A way to choose calibration rows, and the seed that draws them."""

    selection: Selection
    seed: int


def draws() -> Iterator[Draw]:
    """Yield what is compared: three draws each; by the teacher there is nothing to draw but ties, so one."""
    for selection in ("random", "class-balanced"):
        yield from (Draw(selection, seed) for seed in (13, 14, 15))  # type: ignore[arg-type]
    yield Draw("informative", 13)


def selection_tasks(places: Places) -> Places:
    """Return the places with the tasks and the size of this comparison, where the command line names none."""
    return replace(places, tasks=places.tasks or TASKS, sizes=places.sizes or (SIZE,))


def measure_selections(options: ScriptOptions, subject: Subject) -> None:
    """Make the rows of a student that are missing."""
    rows = RowFile(options.results / f"{subject.task}.json")
    scheme = schemes_for(load_target(subject.target), wanted=AUTO).static[0]
    for draw in draws():
        settings = subject.settings(SELECTION, scheme=scheme, rows=CALIBRATION_ROWS, selection=draw.selection, draw=draw.seed,
                                    quantize=quantize_stage.STAGE.version)
        if rows.find(settings) is not None:
            continue
        if options.is_dry:
            print(f"{subject.name}: {draw.selection}, draw {draw.seed}")
            continue
        row = rows.add(settings, selection_figures(subject, scheme, draw), command=options.command + " --selections")
        print(f"{subject.name}: {draw.selection}, draw {draw.seed}: test {row['int8_test']:.4f} of {row['float_test']:.4f}, "
              f"KL {row['kl_nats']:.2g}", file=sys.stderr, flush=True)


def selection_figures(subject: Subject, scheme: str, draw: Draw) -> Row:
    """Quantize with calibration rows chosen one way; return accuracies and divergence from float on validation and test."""
    wanted = Calibration(rows=CALIBRATION_ROWS, selection=draw.selection)
    chosen = draw_rows(subject.data / "train.arrow", subject.exported, wanted, seed=draw.seed, soft_labels=subject.soft_labels)
    made = subject.workspace.root / "int8-selection.onnx"
    make_candidate(subject.exported / ONNX_FILE, made, Candidate(parse_scheme(scheme)), calibration=lambda: each(chosen))
    figures: Row = {"kind": SELECTION, **subject.labels, "scheme": scheme, "selection": draw.selection, "draw": draw.seed,
                    "calibration_rows": len(chosen), "int8_bytes": made.stat().st_size}
    for split in ("validation", "test"):
        examples, rows = subject.data / f"{split}.arrow", read_rows(subject.data / f"{split}.arrow", subject.exported)
        labels, after = np.asarray(read_examples(examples).labels), answers_of(made, rows)
        before = _float_answers(subject, split)
        figures |= {f"int8_{split}": accuracy_of(after, labels), f"float_{split}": accuracy_of(before, labels),
                    f"n_{split}": len(labels)}
        figures["kl_nats"] = divergence(before, after)  # of the last split: test
    made.unlink()
    return figures


def _float_answers(subject: Subject, split: str) -> np.ndarray:
    """Return the float student's answers to a split; they are kept beside its steps."""
    kept = subject.workspace.root / f"int8-float-{subject.exported.name}-{split}.npy"
    if not kept.is_file():
        found = answers_of(subject.exported / ONNX_FILE, read_rows(subject.data / f"{split}.arrow", subject.exported))
        np.save(kept, found)
    return np.load(kept)
