"""What a smaller vocabulary loses before anything is trained: the teacher against itself, reading the student's tokens.

`python benchmarks/vocabulary_loss.py --data DIR` writes benchmarks/results/vocabulary/<task>.json, a row for each number of
tokens: KL and agreement on validation. Data, teacher and transfer set are those of benchmarks/students.py, and so are
the finished steps when both are given the same --work folder. The ladder in models/students.yaml rests on it (docs/adr/0012).
"""

import sys

import numpy as np
from resumable_rows import RowFile
from script_options import ScriptOptions, option_parser, read_options, run_script
from student_line import Line, wanted_tasks
from suite_files import StudentsSuite, read_suite_file

SIZES = (1500, 2500, 4000, 6000, 10_000)


def measure_task(line: Line, options: ScriptOptions) -> None:
    """Make the rows of a task that are missing."""
    from edgedistill.distill.student_model import make_tokenizer
    from edgedistill.distill.vocabulary_loss import StandInEncoder, measure_vocabulary
    from edgedistill.examples import read_examples
    from edgedistill.prepare.stage import LABELS_FILE, TRAIN_FILE, VALIDATION_FILE
    from edgedistill.results import Labels
    from edgedistill.soft_labels import read_soft_labels
    from edgedistill.tasks.text_classification.encoding import TextEncoder
    from edgedistill.teach.stage import SOFT_LABELS_FILE, TOKEN_VECTORS_FILE, TRANSFER_FILE
    from edgedistill.teach.teacher_model import load_classifier

    rows, recipe, seed = RowFile(options.results / f"{line.task}.json"), line.recipe(), line.suite.teacher_seed
    base = line.base_settings(recipe, teacher_seed=seed)
    kept = {name: base[name] for name in ("task", "data", "validation_share", "teacher", "teacher_seed")}
    settings = {size: {**kept, "aliases": recipe.student.aliases, "tokens": size,
                       "transfer_set": recipe.distillation.transfer_set.model_dump(mode="json")} for size in SIZES}
    missing = [size for size in SIZES if rows.find(settings[size]) is None]
    if options.is_dry or not missing:
        print("\n".join(f"{line.task}: {size} tokens" for size in missing))
        return
    with line.held():
        data, taught, folder = line.prepared(seed).folder, line.soft_labels(recipe, seed).folder, line.teacher(seed).folder
    teacher, encoder = load_classifier(folder, Labels.read_json(data / LABELS_FILE).labels), TextEncoder.load(folder)
    vectors = np.load(taught / TOKEN_VECTORS_FILE, mmap_mode="r", allow_pickle=False)
    tables = [read_examples(path) for path in (data / TRAIN_FILE, taught / TRANSFER_FILE)]
    validation, soft = read_examples(data / VALIDATION_FILE), read_soft_labels(taught / SOFT_LABELS_FILE)
    expected = soft.logits[soft.rows_of(list(validation.ids))]
    for size in missing:
        texts = (batch for table in tables for batch in table.text_batches())
        tokenizer = make_tokenizer(encoder, vectors, texts, size=size, aliases=recipe.student.aliases)
        if tokenizer.vocabulary is None:
            raise ValueError("the teacher's vocabulary cannot be reduced")
        stand_ins = StandInEncoder(encoder, tokenizer.vocabulary)
        found = measure_vocabulary(teacher, stand_ins, list(validation.texts), expected=expected)
        rows.add(settings[size], {"task": line.task, "seed": seed, "kind": "vocabulary", **found.model_dump()},
                 command=options.command)
        print(f"{line.task}: {size} tokens: KL {found.kl_nats:.4f} nats, agreement {found.agreement:.4f}", file=sys.stderr)


def main() -> None:
    """Read the command line and measure."""
    options = read_options(option_parser(__doc__, name="vocabulary").parse_args(), script="vocabulary_loss.py")
    suite = read_suite_file(StudentsSuite, "students")
    for task in wanted_tasks(suite, options.tasks):
        measure_task(Line(suite, task, options.data, options.work, options.overrides), options)


if __name__ == "__main__":
    run_script(main)
