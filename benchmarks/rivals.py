"""What a user would do today, on the same data and bytes: static embeddings, and a small BERT with plain distillation.

`python benchmarks/rivals.py --data DIR` writes benchmarks/results/rivals/<task>.json, and makes only the rows that are missing.
What is tried stands in benchmarks/suites/rivals.yaml.

model2vec: the same encoder distilled to a table of embeddings, quantized, and as wide as the bytes allow, with a logistic
regression on it. It wants another transformers than edgedistill, so it is installed into an environment of its own below --work.
plain: a student of the shape of BERT-Tiny or BERT-Mini, with random weights (the published ones are on a hub, and nothing here
reaches one), trained on the teacher's soft labels of the training texts with transformers' Trainer and padded batches, as many
rows as ours sees. Its ONNX and int8 are made by our stages, so that bytes are comparable.
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from plain_student import ACCURACY_FILE, PLAIN, PlainInputs, PlainSettings, fitting_vocabulary
from resumable_rows import Row, RowFile, key_of, pack_bits
from script_options import ScriptOptions, WorkerFailedError, option_parser, read_options, run_script
from student_line import Line, text_encoder, wanted_tasks
from students import teacher_row, teacher_settings
from suite_files import PlainStudent, RivalsSuite, StaticEmbeddings, StudentsSuite, read_suite_file

from edgedistill.errors import MissingDependencyError, UsageError
from edgedistill.examples import read_examples
from edgedistill.results import Labels
from edgedistill.stage import Done

SUITE = "rivals"
_WIDTH = 384
_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Rival:
    """A row to be made: static embeddings of a size, or a plain student."""

    name: str
    size: str
    seed: int
    plain: PlainStudent | None = None


def rivals_of(suite: RivalsSuite, seeds: tuple[int, ...], *, names: tuple[str, ...] | None) -> list[Rival]:
    """Return the rows of a task; static embeddings have no seed of their own and get the first."""
    found = [Rival("model2vec", size, seeds[0]) for size in suite.model2vec.sizes]
    found += [Rival(student.name, student.size, seed, student) for seed in seeds for student in suite.students]
    return [rival for rival in found if names is None or rival.name in names]


def rival_settings(line: Line, rival: Rival, suite: RivalsSuite, limit_bytes: int | None) -> Row:
    """Return the settings that a row is known by: nothing of our students but the rows they see, and how int8 is made."""
    base = teacher_settings(line, line.teacher_seed(rival.seed))
    common = {**base, "kind": "rival", "name": rival.name, "size": rival.size, "seed": rival.seed, "limit_bytes": limit_bytes}
    if rival.plain is None:
        encoder = {name: value for name, value in common["teacher"].items() if name != "tried_rates"}  # it is not fine-tuned here
        return {**common, "teacher": encoder, "model2vec": suite.model2vec.model_dump(mode="json", exclude={"sizes"})}
    ours = line.base_settings(line.recipe(), teacher_seed=0)
    stages = {name: ours["stages"][name] for name in (*base["stages"], "soft_labels", "quantize")}
    return {**common, "stages": stages, "quantization": ours["quantization"], "plain": suite.plain.model_dump(mode="json"),
            "student": rival.plain.model_dump(mode="json"), "rows_seen": ours["distillation"]["rows_seen"],
            "stage": PLAIN.version}


def rival_base(line: Line, rival: Rival, suite: RivalsSuite) -> str:
    """Return what the rows of a rival and a size have in common: a key of its settings without seed and bytes."""
    return key_of({**rival_settings(line, rival, suite, None), "teacher_seed": 0, "seed": 0})


def current_base(suite: RivalsSuite, students: StudentsSuite) -> Callable[[Row], str | None]:
    """Return a function that says which `base` a rival's row has where it was made with today's settings.

    None: it is of a task or a rival that the suites do not have.
    """
    wanted = {(rival.name, rival.size): rival for rival in rivals_of(suite, students.seeds, names=None)}

    def current(row: Row) -> str | None:
        rival = wanted.get((row["name"], row["size"]))
        if rival is None or row["task"] not in students.tasks:
            return None
        return rival_base(Line(students, row["task"], Path(), Path()), rival, suite)

    return current


def limit_of(line: Line, rival: Rival, teacher: Row) -> int | None:
    """Return the bytes that a size allows."""
    divisor = line.suite.rung_of(rival.size).divisor
    return teacher["fp32_bytes"] // divisor if divisor else None


def is_made(line: Line, rows: RowFile, rival: Rival, suite: RivalsSuite) -> bool:
    """Is the row there? Without that of its teacher, whose bytes set the limit, it cannot be."""
    teacher = rows.find(teacher_settings(line, line.teacher_seed(rival.seed)))
    return teacher is not None and rows.find(rival_settings(line, rival, suite, limit_of(line, rival, teacher))) is not None


def rival_row(line: Line, rows: RowFile, rival: Rival, suite: RivalsSuite, command: str) -> Row:
    """Make a row, or return it when it is there."""
    teacher = teacher_row(line, rows, rival.seed, command)
    limit = limit_of(line, rival, teacher)
    settings = rival_settings(line, rival, suite, limit)
    found = rows.find(settings)
    if found is not None:
        return found
    print(f"{line.task}: seed {rival.seed}, {rival.name}, {rival.size}", file=sys.stderr, flush=True)
    bytes_limit = limit or teacher["fp32_bytes"]
    made = (static_figures(line, suite.model2vec, bytes_limit) if rival.plain is None
            else plain_figures(line, rival, suite, bytes_limit))
    figures = {
        "task": line.task, "seed": rival.seed, "kind": "rival", "name": rival.name, "size": rival.size, **made,
        "limit_bytes": limit, "teacher_fp32_bytes": teacher["fp32_bytes"], "teacher_test": teacher["test"],
        "teacher_validation": teacher["validation"], "teacher_row": teacher["key"], "overrides": list(line.overrides),
        "base": rival_base(line, rival, suite),
    }
    return rows.add(settings, figures, command=command)


def plain_figures(line: Line, rival: Rival, suite: RivalsSuite, limit_bytes: int) -> Row:
    """Train a plain student with every learning rate, take the best by validation, and evaluate it."""
    assert rival.plain is not None
    recipe = line.recipe("distillation.transfer_set.rows=0")
    tried: list[tuple[float, float, Done]] = []
    for rate in suite.plain.learning_rates:
        done = _trained(line, rival, suite, rate, limit_bytes)
        accuracy = json.loads((done.folder / ACCURACY_FILE).read_text(encoding="utf-8"))["accuracy"]
        tried.append((accuracy, rate, done))
    best = max(tried, key=lambda t: t[0])[2]
    seen = json.loads((best.folder / ACCURACY_FILE).read_text(encoding="utf-8"))["rows_seen"]
    return {**line.figures(recipe, best, rival.seed), "distill_s": best.manifest.duration_s, "rows_seen": seen,
            "soft_labels_s": line.soft_labels(recipe, rival.seed).manifest.duration_s,
            "tried": [{"learning_rate": rate, "validation": accuracy} for accuracy, rate, _ in tried]}


def _trained(line: Line, rival: Rival, suite: RivalsSuite, rate: float, limit_bytes: int) -> Done:
    from edgedistill.prepare.stage import LABELS_FILE, TRAIN_FILE, VALIDATION_FILE
    from edgedistill.teach.stage import SOFT_LABELS_FILE

    assert rival.plain is not None
    recipe, teacher_seed = line.recipe("distillation.transfer_set.rows=0"), line.teacher_seed(rival.seed)
    data, teacher = line.prepared(teacher_seed).folder, line.teacher(teacher_seed).folder
    vocabulary = rival.plain.vocabulary
    if vocabulary == "fit":
        classes = len(Labels.read_json(data / LABELS_FILE).labels)
        vocabulary = fitting_vocabulary(rival.plain, limit_bytes=limit_bytes, classes=classes,
                                        positions=recipe.teacher.max_tokens, most=30_000)
    settings = PlainSettings(
        student=rival.plain, vocabulary=None if vocabulary == "teacher" else vocabulary, training=suite.plain,
        learning_rate=rate, rows_seen=recipe.distillation.rows_seen, max_tokens=recipe.teacher.max_tokens, seed=rival.seed,
    )
    soft_labels = line.soft_labels(recipe, rival.seed).folder / SOFT_LABELS_FILE
    return line.workspace.perform("plain-distill", PLAIN, settings, PlainInputs(
        teacher, data / TRAIN_FILE, data / VALIDATION_FILE, soft_labels, data / LABELS_FILE))


def static_figures(line: Line, wanted: StaticEmbeddings, limit_bytes: int) -> Row:
    """Run model2vec in its own environment on the splits of a task.

    Raises:
        WorkerFailedError: its process failed; what it said stands above.
    """
    from edgedistill.prepare.stage import LABELS_FILE, TEST_FILE, TRAIN_FILE, VALIDATION_FILE

    teacher, data = line.recipe().teacher, line.prepared(line.suite.teacher_seed).folder
    splits = {}
    for name, file in (("train", TRAIN_FILE), ("validation", VALIDATION_FILE), ("test", TEST_FILE)):
        examples = read_examples(data / file)
        splits[name] = {"texts": examples.texts, "labels": examples.labels.tolist()}
    job = {
        "encoder": str(text_encoder(teacher, line.data)), "models": str((line.work / "model2vec").resolve()),
        "width": _WIDTH, "limit_bytes": limit_bytes, "classes": len(Labels.read_json(data / LABELS_FILE).labels),
        "max_tokens": teacher.max_tokens, "clusters": list(wanted.clusters), "dtypes": list(wanted.dtypes),
        "inverse_penalties": list(wanted.inverse_penalties), "splits": splits,
    }
    path = line.work / line.task / f"model2vec-{limit_bytes}.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    surroundings = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    with FileLock(line.work / ".model2vec.lock"):  # environment and embeddings are shared by the tasks, and made once
        python = environment(line.work / "model2vec-environment", wanted)
        worker = subprocess.run([str(python), str(_HERE / "model2vec_worker.py"), str(path)], check=False, env=surroundings)
    if worker.returncode:
        raise WorkerFailedError(f"model2vec ended with {worker.returncode}", hint="read what it said above")
    result = json.loads(path.with_suffix(".result.json").read_text(encoding="utf-8"))
    right = result.pop("right")
    return {"int8_bytes": result["bytes"], "int8_test": sum(right) / len(right), "int8_validation": result["validation"],
            "n_test": len(right), "right": pack_bits(right), "distill_s": result["seconds"], "made_with": result}


def environment(folder: Path, wanted: StaticEmbeddings) -> Path:
    """Return the interpreter of an environment with model2vec; makes it once.

    What this interpreter has (torch above all) is seen from there, so that only model2vec and what it needs newer are
    installed.

    Raises:
        MissingDependencyError: pip could not install it.
    """
    python = folder / "bin" / "python"
    mark = folder / f"ready-{key_of(wanted.model_dump(include={'requirement', 'transformers'}))}"
    if mark.is_file():
        return python
    venv.create(folder, with_pip=True, clear=True)
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (packages / "parent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, wanted.requirement, wanted.transformers], check=False, capture_output=True, text=True)
    if done.returncode:
        raise MissingDependencyError(f"pip could not install {wanted.requirement}: {done.stderr.strip().splitlines()[-1]}",
                                     hint=f"{' '.join(pip)} '{wanted.requirement}' '{wanted.transformers}'")
    mark.touch()
    return python


def measure_task(line: Line, rivals: list[Rival], suite: RivalsSuite, options: ScriptOptions) -> None:
    """Make the rows of a task that are missing."""
    rows = RowFile(options.results / f"{line.task}.json")
    if options.is_dry:
        for rival in rivals:
            if not is_made(line, rows, rival, suite):
                print(f"{line.task}: seed {rival.seed}, {rival.name}, {rival.size}")
        return
    for rival in rivals:
        with line.held():
            row = rival_row(line, rows, rival, suite, options.command)
        print(f"  {line.task} {row['name']} {row['size']}: {row['int8_bytes']} bytes, int8 test {row['int8_test']:.4f}",
              file=sys.stderr, flush=True)


def main() -> None:
    """Read the command line and measure."""
    parser = option_parser(__doc__, name="rivals")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="only these: model2vec, or a student of the suite")
    given = parser.parse_args()
    options = read_options(given, script="rivals.py")
    suite, students = read_suite_file(RivalsSuite, SUITE), read_suite_file(StudentsSuite, "students")
    known = {rival.name for rival in rivals_of(suite, students.seeds, names=None)}
    unknown = sorted(set(given.names or ()) - known)
    if unknown:
        raise UsageError(f"no rival {unknown[0]!r} in the suite", hint=f"choose of: {', '.join(sorted(known))}")
    for task in wanted_tasks(students, options.tasks):
        line = Line(students, task, options.data, options.work, options.overrides)
        rivals = rivals_of(suite, options.seeds or students.seeds_of(task), names=tuple(given.names) if given.names else None)
        measure_task(line, rivals, suite, options)


if __name__ == "__main__":
    run_script(main)
