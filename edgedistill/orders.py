"""What the main process tells the others to do: a stage with its settings and inputs, by name, or to leave."""

import dataclasses
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedistill.document import Document

_OURS = "edgedistill."


class Work(Document):
    """A stage to be done together. Types are given as `module:name`, and only names of this package are followed."""

    stage: str
    settings_type: str
    settings_json: str
    inputs_type: str
    inputs: dict[str, str | dict[str, str] | None]
    out: str


class Order(Document):
    """Something to do; without any work, to leave with `exit_code`."""

    work: Work | None = None
    exit_code: int = 0


@dataclass(frozen=True)
class Call:
    """A stage with what it is to be called with."""

    stage: Any
    settings: Document
    inputs: Any
    out: Path


def write_down(call: Call) -> Work:
    """Describe a call so that another process can make it.

    Raises:
        TypeError: the stage stands in no module of this package under a name of its own.
    """
    return Work(
        stage=_name_of(call.stage, call.stage.run.__module__),
        settings_type=_name_of(type(call.settings), type(call.settings).__module__),
        settings_json=call.settings.model_dump_json(),
        inputs_type=_name_of(type(call.inputs), type(call.inputs).__module__),
        inputs={item.name: _as_text(getattr(call.inputs, item.name)) for item in dataclasses.fields(call.inputs) if item.init},
        out=str(call.out.absolute()),
    )


def look_up(work: Work) -> Call:
    """Return the call that was written down.

    Raises:
        TypeError: a name is not one of this package, or not of the right kind.
    """
    from edgedistill.stage import Stage

    stage, settings, inputs = (_value_of(name) for name in (work.stage, work.settings_type, work.inputs_type))
    if not isinstance(stage, Stage):
        raise TypeError(f"{work.stage} is no stage")
    if not (isinstance(settings, type) and issubclass(settings, Document)):
        raise TypeError(f"{work.settings_type} is no document")
    if not (isinstance(inputs, type) and dataclasses.is_dataclass(inputs)):
        raise TypeError(f"{work.inputs_type} is no dataclass")
    paths = {name: _as_path(value) for name, value in work.inputs.items()}
    return Call(stage, settings.model_validate_json(work.settings_json), inputs(**paths), Path(work.out))


def _name_of(value: object, module: str) -> str:
    """Return `module:name` of something that stands at the top of a module."""
    for name, found in vars(sys.modules[module]).items():
        if found is value and module.startswith(_OURS):
            return f"{module}:{name}"
    raise TypeError(f"{value!r} has no name in {module}, so other processes cannot find it")


def _value_of(name: str) -> Any:
    module, _, attribute = name.partition(":")
    if not module.startswith(_OURS) or not attribute.isidentifier():
        raise TypeError(f"{name} is no name of this package")
    return getattr(importlib.import_module(module), attribute)


def _as_text(value: Any) -> str | dict[str, str] | None:
    if isinstance(value, Mapping):
        return {name: str(path.absolute()) for name, path in value.items()}
    return None if value is None else str(value.absolute())


def _as_path(value: str | dict[str, str] | None) -> Path | dict[str, Path] | None:
    if isinstance(value, dict):
        return {name: Path(path) for name, path in value.items()}
    return None if value is None else Path(value)
