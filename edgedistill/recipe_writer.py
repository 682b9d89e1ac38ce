"""Writing a commented recipe from a few answers: the core of `edgedistill init`."""

import logging
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import yaml
from pydantic_core import PydanticUndefined

from edgedistill.data_settings import Data
from edgedistill.document import Document, parse
from edgedistill.errors import RecipeError, TeacherError, UsageError
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.read import splits_of_folder
from edgedistill.recipe import Recipe, Task, Teacher
from edgedistill.storage import storage_errors
from edgedistill.tasks.registry import require_own_name, require_own_teacher, task_named
from edgedistill.tasks.task import TaskDoor

log = logging.getLogger("edgedistill")

_ID = re.compile(r"[a-z0-9][a-z0-9._-]*")
_HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_PLAIN_STEMS = {"train", "training", "data", "dataset", "examples"}

_SHOWN: dict[str, tuple[str, ...]] = {
    "search": ("look_for", "trials"),
    "quantization": ("scheme",),
    "parity": ("int8_min_agreement",),
    "benchmark": ("threads", "min_runs"),
}
"""The keys a user is likely to change, by section, after those of the task; `edgedistill schema recipe` has them all."""

_OFFERED: dict[str, tuple[str, ...]] = {"data": ("unlabelled",)}
"""Keys that no question asks for, by section: written as comments, so that they are found."""


@dataclass(frozen=True)
class RecipeAnswers:
    """What `edgedistill init` asks for.

    Attributes:
        recipe_id: lower-case letters, digits, '.', '_' and '-'; names the run folder.
        task: the ML task.
        train: data file or saved `datasets` folder.
        validation: the same; None: split off train.
        test: the same; None: split off train.
        text_column: column that holds the texts, or the pictures.
        label_column: column that holds the labels.
        teacher: a model folder, or a model id of the hub; None: the one that the task begins with.
        label_separator: between the labels of a text that may have several; None: each has one, unless the data hold lists.
        label_columns: instead of `label_column`: columns of 0 and 1, one for each class.
    """

    recipe_id: str
    task: Task
    train: Path
    validation: Path | None = None
    test: Path | None = None
    text_column: str = "text"
    label_column: str = "label"
    teacher: str | None = None
    label_separator: str | None = None
    label_columns: tuple[str, ...] = ()

    @property
    def columns(self) -> Columns:
        """Where texts and labels are."""
        return Columns(self.text_column, self.label_column, flags=self.label_columns)


def suggest_recipe_id(train: Path) -> str:
    """Return a recipe id made from the name of the data file, or of its folder where the file is just called train."""
    absolute = Path(os.path.abspath(train))
    stem = absolute.name.split(".")[0]
    name = absolute.parent.name if stem.lower() in _PLAIN_STEMS else stem
    return _as_id(name)


def write_recipe(answers: RecipeAnswers, path: Path) -> None:
    """Write a recipe in which every key is explained by a comment; `read_recipe` reads it back.

    Args:
        answers: what the user wants. The beginning of each data file is read, to be sure that the columns are there, or
            that pictures can be opened.
        path: the file to write; paths in it are relative to its folder, unless they share no folder with it.

    Raises:
        UsageError: the file exists already, or the id is not one.
        DataError: a data file is missing, cannot be read or lacks a column.
        TeacherError: the teacher is neither a model folder nor an id of the hub, or it reads examples of another task.
        StorageError: the file cannot be written.
    """
    require_new(path)
    if not _ID.fullmatch(answers.recipe_id):
        raise UsageError(f"{answers.recipe_id!r} is not a recipe id: lower-case letters, digits, '.', '_' and '-'",
                         hint=f"for example: {_as_id(answers.recipe_id)}")
    _check_data(answers)
    folder = path.parent.resolve()
    task = task_named(answers.task)
    start = task.starting_point(answers.columns, answers.train)
    teacher = start.teacher if answers.teacher in (None, start.teacher.name) else _teacher(answers.teacher, folder, task)
    fitted = task.fit_to_data(teacher, answers.train, answers.columns, folder=_folder_of(answers.teacher))
    recipe = Recipe(
        id=answers.recipe_id,
        task=answers.task,
        data=Data(
            train=_relative(answers.train, folder),
            validation=_relative(answers.validation, folder) if answers.validation else None,
            test=_relative(answers.test, folder) if answers.test else None,
            text_column=start.text_column,
            label_column=answers.label_column,
            several_labels=start.several_labels or answers.label_separator is not None or bool(answers.label_columns),
            label_columns=answers.label_columns,
            label_separator=answers.label_separator or Data.model_fields["label_separator"].default,
        ),
        teacher=fitted.teacher,
        pictures=start.pictures,
        distillation=start.distillation,
    )
    notes = {**start.notes, **{f"teacher.{key}": note for key, note in fitted.notes.items()}}
    text = "\n".join(_render(recipe, path, notes)) + "\n"
    parse(Recipe, text, path, error=RecipeError)
    with storage_errors(path.parent, is_file=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)


def require_new(path: Path) -> None:
    """Refuse a recipe that is there already.

    Raises:
        UsageError: names it.
    """
    if path.exists():
        raise UsageError(f"{path}: exists already and is not overwritten", hint="choose another file: -o FILE")


def _check_data(answers: RecipeAnswers) -> None:
    for split, path in (("train", answers.train), ("validation", answers.validation), ("test", answers.test)):
        if path is not None:
            task_named(answers.task).check_source(path, answers.columns, split=split)
    held = splits_of_folder(answers.train)
    named = {"validation": answers.validation, "test": answers.test}
    unused = [split for split, path in named.items() if path is None and split in held]
    if unused:
        options = " ".join(f"--{split} {shlex.quote(str(answers.train))}" for split in unused)
        log.warning("%s holds %s too, not used as it is: add %s", answers.train, " and ".join(unused), options)


def _relative(path: Path, folder: Path) -> str:
    """A path as it is written into a recipe in `folder`; links are kept, since their names say the format."""
    absolute = path.parent.resolve() / path.name
    if os.path.commonpath([absolute, folder]) == absolute.anchor:
        return str(absolute)
    return Path(os.path.relpath(absolute, folder)).as_posix()


def _folder_of(teacher: str | None) -> Path | None:
    """The teacher's folder, where its name is one."""
    local = Path(teacher).expanduser() if teacher is not None else None
    return local if local is not None and local.is_dir() else None


def _teacher(name: str, folder: Path, task: TaskDoor) -> Teacher:
    local = Path(name).expanduser()
    if local.is_dir():
        if not (local / "config.json").is_file():
            raise TeacherError(f"{name}: is not a model folder (it has no config.json)",
                               hint="name a folder that save_pretrained() wrote, or leave --teacher out")
        require_own_teacher(local, task, is_whole=False)  # what else it lacks, plan and run say
        return Teacher(name=_relative(local, folder))
    require_own_name(name, task)
    if local.exists() or not _HUB_ID.fullmatch(name):
        raise TeacherError(f"{name}: neither a model folder nor a model id of the hub",
                           hint=task.teacher_files.otherwise + "; for example --teacher ./my-model")
    log.warning("the teacher %s is taken for a model of the hub: here is no folder of that name", name)
    return Teacher(name=name, allow_hub=True)  # who names a model of the hub wants it fetched


def _as_id(name: str) -> str:
    return re.sub(r"[^a-z0-9._]+", "-", name.lower()).strip("-._") or "my-recipe"


def _render(recipe: Recipe, path: Path, notes: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines; `notes` are further comments of keys and sections, by their dotted names."""
    yield f"# A recipe of edgedistill. Run it: edgedistill run --recipe {path.name} --target raspberry-pi"
    yield "# Every key that is not here has its default; all of them: edgedistill schema recipe"
    for key in ("schema_version", "id", "task"):
        yield from _key(recipe, key, indent="")
    for section, keys in (dict(task_named(recipe.task).shown_keys) | _SHOWN).items():
        if "." not in section:
            yield ""
        yield from _section(recipe, section, keys, notes)
    yield from _render_end(recipe)


def _section(recipe: Recipe, section: str, keys: tuple[str, ...], notes: Mapping[str, str]) -> Iterator[str]:
    """A section, or with a dotted name one within a section, which stands behind that one's keys."""
    *above, last = section.split(".")
    value: Document = reduce(getattr, section.split("."), recipe)
    outer = "  " * len(above)
    inner = outer + "  "
    yield f"{outer}# {_summary(value)}"
    if section in notes:
        yield f"{outer}# {notes[section]}"
    yield f"{outer}{last}:"
    for key in keys:
        about, written = _key(value, key, indent=inner)
        note = notes.get(f"{section}.{key}")
        yield from (about, *([f"{inner}# {note}"] if note else ()), written)
    for key in _OFFERED.get(section, ()):
        about, written = _key(value, key, indent=inner)
        yield from (about, f"{inner}# {written.strip()}")


def _render_end(recipe: Recipe) -> Iterator[str]:
    yield ""
    yield f"# {_summary(recipe.goals[0])} A missed goal is exit code 3. (default: this one)"
    yield "goals:"
    for goal in recipe.goals:
        yield f"  - {_flow(goal.model_dump())}"
    yield ""
    yield "# limits that replace the target's own, for example {model_bytes: 2000000} (default: the target's)"
    yield "budgets: {}"
    yield ""
    yield from _key(recipe, "seed", indent="")


def _key(value: Document, key: str, *, indent: str) -> Iterator[str]:
    """A comment that says what a key does and its default, then the key."""
    field = type(value).model_fields[key]
    about = field.description or _ABOUT.get(key) or _summary(getattr(value, key))
    default = "" if field.default is PydanticUndefined else f" (default: {_flow(field.default)})"
    yield f"{indent}# {about}{default}"
    yield f"{indent}{key}: {_flow(getattr(value, key))}"


_ABOUT = {"schema_version": "format of this file", "task": "what is learned"}


def _summary(value: Document) -> str:
    return (type(value).__doc__ or "").strip().splitlines()[0]


def _flow(value: object) -> str:
    """A value as YAML on one line."""
    plain = value.model_dump(mode="json") if isinstance(value, Document) else value
    text: str = yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")
