"""The catalog: the only module that knows where the shipped targets, models and suites are.

In a wheel they are `edgedistill/data/{targets,models,benchmarks}`; in a checkout the folders at its top.
"""

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgedistill.document import Document, parse, read_text
from edgedistill.errors import RecipeError, TargetError, UsageError
from edgedistill.local_target import LOCAL, local_target
from edgedistill.processor import THIRTY_TWO_BIT, THIRTY_TWO_BIT_BOARDS, refuse_32_bit, refuse_32_bit_board
from edgedistill.recipe import BenchmarkProtocol, Recipe, read_recipe
from edgedistill.target import Target, read_target
from edgedistill.typed_paths import likely_meant, not_there, quoted

_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class LocatedRecipe:
    """A recipe and the folder that its relative paths start from."""

    recipe: Recipe
    folder: Path

    def path(self, relative: str) -> Path:
        """Return a path of the recipe, from its folder on; a link keeps its own name, which says the format.

        Raises:
            RecipeError: it begins with ~ and a name that is no user of this machine.
        """
        try:
            return Path(os.path.abspath(self.folder / Path(relative).expanduser()))
        except RuntimeError as bad:
            raise RecipeError(f"{relative}: {bad}", hint="write the path from / on") from None

    @property
    def ladder(self) -> Path | None:
        """The recipe's own file of student shapes; None: the shipped ones."""
        return None if self.recipe.student.ladder is None else self.path(self.recipe.student.ladder)


class Suite(Document):
    """A benchmark that is published: which recipe is run on which targets, and how its variants are measured."""

    schema_version: Literal[1] = 1
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$", description="name of the result file")
    description: str
    recipe: str = Field(description="id of a shipped recipe")
    targets: tuple[str, ...] = Field(min_length=1, description="ids of shipped targets")
    protocol: BenchmarkProtocol = BenchmarkProtocol()

    @property
    def overrides(self) -> tuple[str, ...]:
        """The protocol as settings of the recipe: `benchmark.threads=1` and so on."""
        return tuple(f"benchmark.{name}={value}" for name, value in self.protocol.model_dump().items())


def data_folder(name: str) -> Path:
    """Return the shipped folder `targets`, `models` or `benchmarks`."""
    packaged = _PACKAGE / "data" / name
    return packaged if packaged.is_dir() else _PACKAGE.parent / name


def target_ids() -> list[str]:
    """Return the ids of the shipped targets, sorted."""
    return sorted(path.stem for path in data_folder("targets").glob("*.yaml"))


def recipe_ids() -> list[str]:
    """Return the ids of the shipped recipes, sorted."""
    return sorted(path.parent.name for path in data_folder("models").glob("*/recipe.yaml"))


def suite_ids() -> list[str]:
    """Return the ids of the shipped suites that run a recipe, sorted; those over data sets say `kind: data-sets`."""
    files = (data_folder("benchmarks") / "suites").glob("*.yaml")
    return sorted(path.stem for path in files if "\nkind: data-sets\n" not in read_text(path))


def load_suite(name: str) -> Suite:
    """Load a shipped benchmark suite by id.

    Raises:
        UsageError: there is no such suite, or it is wrong.
    """
    path = data_folder("benchmarks") / "suites" / f"{name}.yaml"
    if not path.is_file():
        raise UsageError(f"no suite {name!r}{_did_you_mean(name, suite_ids())}", hint=f"ls {quoted(path.parent)}")
    return read_suite(path)


def read_suite(path: Path) -> Suite:
    """Read a benchmark suite.

    Raises:
        UsageError: it cannot be read, is not YAML, or has an unknown key or a bad value.
    """
    return parse(Suite, read_text(path), path, error=UsageError)


_OTHER_NAMES = dict.fromkeys(
    ("raspberry-pi-4", "raspberry-pi-4b", "raspberry-pi4", "raspberrypi", "raspberrypi4", "rpi", "rpi4", "rpi-4", "pi", "pi4"),
    "raspberry-pi")
"""What people call a target that spelling alone would lead past."""


def load_target(name: str | Path) -> Target:
    """Load a target by id, or from a file (anything that ends in .yaml or .yml, or has a slash).

    `local` is this machine; it has no file.

    Raises:
        TargetError: there is no such target, it is 32-bit ARM, or the profile is wrong.
    """
    path = _as_file(name)
    if path is None and name == LOCAL:
        return local_target()
    if path is None:
        path = data_folder("targets") / f"{name}.yaml"
        if not path.is_file():
            if str(name).lower() in THIRTY_TWO_BIT_BOARDS:
                raise TargetError(refuse_32_bit_board(str(name).lower()), hint="edgedistill targets list")
            if str(name).lower() in THIRTY_TWO_BIT:
                raise TargetError(refuse_32_bit(str(name)), hint="edgedistill targets list")
            meant = _OTHER_NAMES.get(str(name).lower().replace("_", "-"))
            guess = f"; did you mean {meant!r}?" if meant else _did_you_mean(str(name), [*target_ids(), LOCAL])
            raise TargetError(f"no target {str(name)!r}{guess}",
                              hint="edgedistill targets list")
    return read_target(path)


def load_recipe(name: str | Path, *, overrides: Sequence[str] = ()) -> LocatedRecipe:
    """Load a recipe by id, or from a file (anything that ends in .yaml or .yml, or has a slash).

    Args:
        name: an id of the catalog, a file, or a folder with recipe.yaml.
        overrides: settings as `dotted.key=value` that replace the file's.

    Raises:
        RecipeError: there is no such recipe, or it is wrong.
    """
    path = _as_file(name)
    if path is None:
        path = data_folder("models") / str(name) / "recipe.yaml"
        if not path.is_file() and Path(name).is_file():  # a file whose name says nothing: `init -o my-recipe`
            path = Path(name)
        elif not path.is_file() and (Path(name) / "recipe.yaml").is_file():
            path = Path(name) / "recipe.yaml"
        if not path.is_file():
            raise _no_recipe(str(name))
    else:
        path = path / "recipe.yaml" if path.is_dir() else path
        if not os.path.exists(path):
            raise _no_recipe_file(path)
    return LocatedRecipe(read_recipe(path, overrides=overrides), path.resolve().parent)


def _no_recipe(name: str) -> RecipeError:
    """Return the error for a name that is no id: a file of that name but for its end is likelier meant than a like id."""
    file = next((file for file in (Path(f"{name}.yaml"), Path(f"{name}.yml")) if name and file.is_file()), None)
    if file is not None:
        return RecipeError(f"no recipe {name!r}; did you mean {str(file)!r}?", hint=f"--recipe {quoted(file)}")
    return RecipeError(f"no recipe {name!r}{_did_you_mean(name, recipe_ids())}", hint="edgedistill recipes list")


def _no_recipe_file(path: Path) -> RecipeError:
    near = likely_meant(path)
    return RecipeError(not_there(path), hint=(
        f"--recipe {quoted(near)}" if near
        else f"edgedistill init --train FILE -o {quoted(path)} writes one; edgedistill recipes list names those that are shipped"
    ))


def _as_file(name: str | Path) -> Path | None:
    if isinstance(name, Path) or "/" in name or name.endswith((".yaml", ".yml")):
        return Path(name).expanduser()
    return None


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(known)}"
