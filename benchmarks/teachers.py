"""How good a teacher somebody gets who fine-tunes the same encoder by hand: what `edgedistill teach` must not stay behind.

`python benchmarks/teachers.py --data DIR` writes benchmarks/results/teachers/<task>.json, a row a task and learning rate of
benchmarks/suites/teachers.yaml, and makes only the rows that are missing. Training is transformers' Trainer alone; the splits are
those of benchmarks/students.py. docs/students.md holds the rate that is best on validation against our teacher, on test.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from hand_tuned_teacher import HAND_TUNED, RIGHT_FILE, HandTuning, HandTuningInputs
from resumable_rows import Row, RowFile, key_of, pack_bits
from script_options import option_parser, read_options, run_script
from student_line import Line, wanted_tasks
from suite_files import StudentsSuite, TeachersSuite, read_suite_file

SUITE = "teachers"


def tunings_of(line: Line, suite: TeachersSuite, seed: int) -> list[HandTuning]:
    """Return what is tried on a task: one training a learning rate."""
    return [HandTuning(learning_rate=rate, epochs=suite.epochs_of.get(line.task, suite.epochs), batch_size=suite.batch_size,
                       warmup_share=suite.warmup_share, weight_decay=suite.weight_decay,
                       max_tokens=line.recipe().teacher.max_tokens, seed=seed) for rate in suite.learning_rates]


def row_settings(line: Line, tuning: HandTuning) -> Row:
    """Return the settings that a row is known by: data, splits and encoder, and how it is trained."""
    recipe = line.recipe()
    return {"task": line.task, "data": [item.sha256 for item in line.suite.tasks[line.task].files],
            "validation_share": recipe.data.validation_share, "split_seed": line.suite.teacher_seed,
            "encoder": recipe.teacher.sha256, "stage": HAND_TUNED.version, **tuning.model_dump(mode="json")}


def current_keys(suite: TeachersSuite, students: StudentsSuite) -> Mapping[str, frozenset[str]]:
    """Return by task the keys of the rows that a start with today's suite would make."""
    lines = [Line(students, task, Path(), Path()) for task in students.tasks]
    return {line.task: frozenset(key_of(row_settings(line, tuning)) for tuning in tunings_of(line, suite, students.teacher_seed))
            for line in lines}


def tuned_row(line: Line, tuning: HandTuning, rows: RowFile, command: str) -> Row:
    """Train with one learning rate and write which rows of validation and test are answered right."""
    from edgedistill.prepare.stage import LABELS_FILE, TEST_FILE, TRAIN_FILE, VALIDATION_FILE

    seed = line.suite.teacher_seed
    data = line.prepared(seed).folder
    done = line.workspace.perform("hand-tuned-teacher", HAND_TUNED, tuning, HandTuningInputs(
        line.teacher_model(seed), data / TRAIN_FILE, data / VALIDATION_FILE, data / TEST_FILE, data / LABELS_FILE))
    with np.load(done.folder / RIGHT_FILE) as right:
        validation, test = right["validation"], right["test"]
    figures = {
        "task": line.task, "kind": "hand-tuned", "seed": seed, "learning_rate": tuning.learning_rate, "epochs": tuning.epochs,
        "validation": float(validation.mean()), "n_validation": len(validation), "test": float(test.mean()), "n_test": len(test),
        "right": pack_bits(test), "fine_tuning_s": done.manifest.duration_s,
    }
    return rows.add(row_settings(line, tuning), figures, command=command)


def main() -> None:
    """Read the command line and train."""
    options = read_options(option_parser(__doc__, name=SUITE).parse_args(), script="teachers.py")
    students, suite = read_suite_file(StudentsSuite, "students"), read_suite_file(TeachersSuite, SUITE)
    if options.seeds:
        students = students.model_copy(update={"teacher_seed": options.seeds[0]})
    for task in wanted_tasks(students, options.tasks):
        line = Line(students, task, options.data, options.work, options.overrides)
        rows = RowFile(options.results / f"{task}.json")
        missing = [t for t in tunings_of(line, suite, students.teacher_seed) if rows.find(row_settings(line, t)) is None]
        for tuning in missing:
            print(f"{task}: learning rate {tuning.learning_rate:g}", file=sys.stderr, flush=True)
            if not options.is_dry:
                with line.held():
                    row = tuned_row(line, tuning, rows, options.command)
                print(f"  validation {row['validation']:.4f}, test {row['test']:.4f}, {row['fine_tuning_s']:.0f} s",
                      file=sys.stderr, flush=True)


if __name__ == "__main__":
    run_script(main)
