"""Measure distilled int8 picture students on the data sets of benchmarks/suites/images.yaml.

`python benchmarks/images.py --data DIR --work DIR` makes one run a task and seed and writes
benchmarks/results/images/<task>.json: teacher, student, the same student without its teacher, each with its interval, bytes, and
the wall time of every step. A run that was interrupted goes on where it stopped; one that is finished is not made again.
The test split is read by the run alone, after the student was chosen on validation.
"""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, JsonValue
from script_options import ScriptOptions, option_parser, read_options, run_script
from suite_files import DataFile, read_suite_file

from edgedistill.artifact import sha256_of_file
from edgedistill.document import Document
from edgedistill.errors import DataError, UsageError
from edgedistill.evaluate.intervals import paired_difference
from edgedistill.evaluate.logits import read_logits
from edgedistill.examples import read_examples
from edgedistill.run_folder import STAGES_FOLDER

SUITE = "images"


class ImageTask(Document):
    """A data set, and the sections of its recipe."""

    train: DataFile
    test: DataFile
    labels: tuple[DataFile, ...] = Field((), description="label files that lie beside these")
    recipe: dict[str, JsonValue]


class ImagesSuite(Document):
    """The data sets that are measured."""

    kind: Literal["data-sets"]
    schema_version: Literal[1] = 1
    description: str
    target: str
    tasks: dict[str, ImageTask]


class ImageRow(Document):
    """What one run found; accuracies are of the test split, intervals of 95 %."""

    task: str
    seed: int
    command: str
    recipe: JsonValue
    variants: dict[str, JsonValue]
    gain: JsonValue = Field(description="student against the same student without its teacher, paired by test row")
    int8_gain: JsonValue = Field(None, description="the int8 student against the float one without its teacher, paired by row")
    retention: float
    test_rows: int
    missed: tuple[str, ...]
    steps_s: dict[str, float] = Field(description="wall time of each step on the host, seconds")
    host: JsonValue
    tools: dict[str, str]


def recipe_of(name: str, task: ImageTask, data: Path, seed: int) -> dict[str, Any]:
    """Return a recipe as a mapping; paths are absolute, as it lies in the work folder."""
    return {
        "id": name.replace("_", "-"), "task": "image-classification", "seed": seed,
        "data": {"train": str((data / task.train.file).resolve()), "test": str((data / task.test.file).resolve()),
                 "validation_share": 1 / 12},
        "search": {"trials": 1}, **task.recipe,
    }


def require_data(task: ImageTask, data: Path) -> None:
    """Compare every file with its hash.

    Raises:
        DataError: one is missing or another one.
    """
    for file in (task.train, task.test, *task.labels):
        path = data / file.file
        if not path.is_file():
            raise DataError(f"{path}: no such file", hint="--data DIR names the folder of the data sets")
        if sha256_of_file(path) != file.sha256:
            raise DataError(f"{path}: is not the file that the suite names (its sha256 differs)", hint=f"see suites/{SUITE}.yaml")


def answers_of_run(run: Path, variant: str, found: dict[str, Any]) -> NDArray[np.bool_]:
    """Return which test rows a variant of a run answers right; its step is the one with the figures of the report.

    Raises:
        DataError: no step has them.
    """
    from edgedistill.evaluate.stage import EVALUATION_FILE, LOGITS_FILE
    from edgedistill.results import Evaluation

    for folder in (run / STAGES_FOLDER / f"evaluate-{variant.replace('_', '-')}").glob("*"):
        if not (folder / EVALUATION_FILE).is_file():
            continue
        evaluation = Evaluation.read_json(folder / EVALUATION_FILE)
        if (evaluation.accuracy.value, evaluation.macro_f1.value) == (found["accuracy"], found["macro_f1"]):
            for data in (run / STAGES_FOLDER / "prepare").glob("*/test.arrow"):
                right = read_logits(folder / LOGITS_FILE).argmax(1) == read_examples(data).labels
                if right.mean() == evaluation.accuracy.value:
                    return right
    raise DataError(f"{run}: no step has the figures of {variant}", hint="python benchmarks/images.py again")


def make_row(name: str, task: ImageTask, options: ScriptOptions, *, target: str, seed: int) -> ImageRow:
    """Make one run, or find it made, and read its report."""
    import edgedistill

    folder = options.work / SUITE / f"{name}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    content = recipe_of(name, task, options.data, seed)
    (folder / "recipe.yaml").write_text(json.dumps(content, indent=1), encoding="utf-8")  # JSON is YAML
    located = edgedistill.load_recipe(folder / "recipe.yaml", overrides=options.overrides)
    result = edgedistill.run(located, [edgedistill.load_target(target)], folder / "run")
    report = json.loads(result.report.to_json())
    found = report["targets"][target]
    int8, baseline = (answers_of_run(folder / "run", name, found["variants"][name]) for name in ("student_int8", "student_no_kd"))
    keys = ("parameters", "size_bytes", "accuracy", "accuracy_ci95", "macro_f1", "agreement_with_teacher")
    recipe = {key: value for key, value in content.items() if key != "data"}
    return ImageRow(
        task=name, seed=seed, command=options.command, recipe=recipe,
        variants={variant: {key: values[key] for key in keys} for variant, values in found["variants"].items()},
        int8_gain=paired_difference(int8, baseline).model_dump(mode="json"), gain=found["distillation_gain"],
        retention=found["retention"], missed=result.missed,
        test_rows=found["variants"]["teacher"]["test_rows"],
        steps_s={step["step"]: step["duration_s"] for step in report["steps"]}, host=report["host"], tools=report["tools"],
    )


def main() -> None:
    """Make the rows that are asked for."""
    parser = option_parser(__doc__, name=SUITE)
    options = read_options(parser.parse_args(), script="images.py")
    suite = read_suite_file(ImagesSuite, SUITE)
    strange = sorted(set(options.tasks or ()) - set(suite.tasks))
    if strange:
        raise UsageError(f"no task {strange[0]!r}", hint=f"--tasks {' '.join(suite.tasks)}")
    for name in options.tasks or tuple(suite.tasks):
        for seed in options.seeds or (13,):
            path = options.results / f"{name}.json" if seed == 13 else options.results / f"{name}-{seed}.json"
            if options.is_dry:
                print(f"{name}, seed {seed}: {'there' if path.is_file() else 'missing'}")
                continue
            require_data(suite.tasks[name], options.data)
            row = make_row(name, suite.tasks[name], options, target=suite.target, seed=seed)
            options.results.mkdir(parents=True, exist_ok=True)
            path.write_text(row.to_json(), encoding="utf-8")
            print(f"{name}, seed {seed}: " + ", ".join(
                f"{variant} {values['accuracy']:.4f} at {values['size_bytes']:,} bytes"  # type: ignore[index, call-overload]
                for variant, values in row.variants.items()))


if __name__ == "__main__":
    run_script(main)
