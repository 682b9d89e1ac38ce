"""Documents: frozen pydantic models that are read from YAML or JSON and refuse what they do not know.

Everything that touches the disk derives from `Document`. Reading gives either the document or one
`EdgedistillError` that names file, line and key; an unknown key is answered with "did you mean".
"""

import difflib
import json
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from edgedistill.document_keys import description_at, keys_at, meant_by
from edgedistill.errors import EdgedistillError, UsageError
from edgedistill.typed_paths import look_there, not_there, quoted


class Document(BaseModel):
    """A value that can be written to a file and read back unchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def to_json(self) -> str:
        """Return indented JSON with a final newline: the form in which documents are stored."""
        return self.model_dump_json(indent=2) + "\n"

    def to_yaml(self) -> str:
        """Return YAML in the order of the fields."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)

    @classmethod
    def read_json(cls, path: Path) -> Self:
        """Read a document that edgedistill wrote.

        Raises:
            UsageError: the file is missing, is not JSON, or is not this kind of document.
        """
        return parse(cls, read_text(path), path, error=UsageError, loader=_load_json)


def without_defaults(document: Document, written: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return what is written of a document without some fields that have their defaults.

    For fields that came later: documents that do not use them keep their bytes, and settings of a stage their key.
    """
    fields = type(document).model_fields
    unused = {name for name in names if getattr(document, name) == fields[name].default}
    return {name: value for name, value in written.items() if name not in unused}


DocumentT = TypeVar("DocumentT", bound=Document)


def wrong_at(place: tuple[str | int, ...], message: str) -> PydanticCustomError:
    """Return what a validator raises when one of several keys that it looks at is wrong, so that its line is named.

    Args:
        place: the way to it from what the validator checks.
        message: what is wrong, without the key.
    """
    return PydanticCustomError("wrong_at", "{message}", {"message": message, "place": place})


def read_text(path: Path, *, error: type[EdgedistillError] = UsageError) -> str:
    """Return the text of a UTF-8 file, or raise `error` with what is wrong with it."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(not_there(path), hint=look_there(path)) from None
    except IsADirectoryError:
        raise error(f"{path}: is a folder, a file is expected", hint="name the file in it") from None
    except PermissionError:
        raise error(f"{path}: may not be read", hint=f"chmod +r {quoted(path)}") from None
    except OSError as bad:  # a file in the place of a folder, a name too long, a loop of links
        raise error(f"{path}: cannot be read ({bad.strerror})", hint=look_there(path)) from None
    except UnicodeDecodeError as bad:
        line = bad.object.count(b"\n", 0, bad.start) + 1
        encoding = "UTF-16" if bad.object[:2] in {b"\xff\xfe", b"\xfe\xff"} else "WINDOWS-1252"
        there, copy = quoted(path), quoted(path.with_name(f"utf8-{path.name}"))
        raise error(f"{path}:{line}: byte {bad.start + 1} of the file is not UTF-8",
                    hint=f"iconv -f {encoding} -t UTF-8 {there} > {copy}") from None


def parse(
    kind: type[DocumentT], text: str, path: Path, *, error: type[EdgedistillError], loader: Any = None
) -> DocumentT:
    """Turn text into a document of `kind`.

    Raises:
        EdgedistillError: of the class `error`, naming file, line and key, with a suggestion.
    """
    load = loader or _load_yaml
    try:
        value = load(text)
    except yaml.YAMLError as bad:
        mark = getattr(bad, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(bad, "problem", None) or getattr(bad, "reason", None) or "not YAML"
        raise error(f"{path}{where}: {problem}", hint="indent with spaces; quote values that hold ': '") from None
    except json.JSONDecodeError as bad:
        raise error(f"{path}:{bad.lineno}:{bad.colno}: {bad.msg}", hint=_REMAKE) from None
    except (ValueError, RecursionError) as bad:  # a date like 2024-13-45, a number of 5000 digits, endless brackets
        problem = "is nested too deep" if isinstance(bad, RecursionError) else str(bad)
        raise error(f"{path}: {problem}", hint="quote dates and long numbers that are meant as text") from None
    if not isinstance(value, dict):
        raise error(f"{path}: a mapping of keys to values is expected", hint=_schema_hint(kind))
    try:
        return kind.model_validate(value)
    except ValidationError as bad:
        raise _explain(kind, bad, text, path, error, value) from None


class _UniqueKeys(yaml.SafeLoader):
    """The safe loader, and a key that stands twice is an error: silently, the last one would win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping; raises ConstructorError, with its place, for a key that stands twice."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if name in seen and isinstance(key, yaml.ScalarNode):
                problem = f"key {key.value!r} stands twice"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def _load_yaml(text: str) -> Any:
    return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - it is a SafeLoader


def _load_json(text: str) -> Any:
    return json.loads(text)


_REMAKE = "this file is damaged: make it again"
_SCHEMAS = {"Recipe": "recipe", "Int8Sections": "recipe", "Target": "target", "RunReport": "report"}
_PAGES = {"recipe": "docs/recipe.md", "target": "docs/targets.md", "report": "docs/report.md"}
_WITH_EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE]\+?\d{1,2}")
_SETTINGS = Path("--set")
"""What stands in the place of a file for settings of the command line."""


def _schema_hint(kind: type[Document]) -> str:
    schema = _SCHEMAS.get(kind.__name__)
    return f"{_PAGES[schema]} tells the keys; all of them: edgedistill schema {schema}" if schema else (
        "correct it there, or make the file again")


def _explain(  # noqa: PLR0913 - private, and every argument is a different kind of thing
    kind: type[Document], bad: ValidationError, text: str, path: Path, error: type[EdgedistillError], value: Any
) -> EdgedistillError:
    causes = _root_causes(bad)
    problems = [
        f"{path}{_line_suffix(text, _place(item))}: {'.'.join(_with_ids(_place(item), value)) or 'document'}: "
        f"{_problem(kind, item)}"
        for item in causes
    ]
    shown = "\n".join(problems[:5]) + (f"\n(+{len(problems) - 5} more)" if len(problems) > 5 else "")
    remedies = (_remedy(kind, item, is_set=path == _SETTINGS) for item in causes[:5])
    return error(shown, hint=next(filter(None, remedies), None) or _schema_hint(kind))


def _remedy(kind: type[Document], item: Any, *, is_set: bool) -> str | None:
    """Return what to type where it is known which key or word was meant."""
    is_set = is_set and not any(isinstance(part, int) for part in item["loc"])  # no setting reaches into a list
    word: str | int | None = _meant_word(item)
    if word is None:
        word = _meant_number(item)
    if word is not None:
        return _setting(item["loc"], word) if is_set else f"write {word}"
    meant = meant_by(kind, item["loc"]) if item["type"] == "extra_forbidden" else None
    if meant is None:
        return None
    if is_set:
        return _setting(meant.ways[0], item["input"])
    *section, key = meant.ways[0]
    if meant.is_beside:
        return f"write {key} in its place"
    return f"write {key} below {'.'.join(section)}:" if section else f"write {key} at the beginning of a line, below no other key"


def _setting(way: Sequence[int | str], value: Any) -> str:
    """Return the option that sets a key; the value of a whole section is left to the reader."""
    written = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    short = "VALUE" if isinstance(value, dict) else written.removesuffix("\n").removesuffix("\n...")
    way_in_words = ".".join(map(str, way))
    return f"--set {quoted(f'{way_in_words}={short}')}"


def _place(item: Any) -> tuple[str | int, ...]:
    """Return where a problem is: pydantic's place, and what a validator added to it with `wrong_at`."""
    return (*item["loc"], *(item.get("ctx") or {}).get("place", ()))


def _with_ids(place: tuple[str | int, ...], value: Any) -> list[str]:
    """Return the parts of a place, and with an item of a list the id that it has in the file."""
    words = []
    for part in place:
        is_known = isinstance(value, dict) or (isinstance(value, list) and isinstance(part, int) and part < len(value))
        value = (value.get(part) if isinstance(value, dict) else value[part]) if is_known else None
        name = value.get("id") if isinstance(value, dict) and isinstance(part, int) else None
        words.append(f"{part} ({name})" if isinstance(name, str) else str(part))
    return words


def _root_causes(bad: ValidationError) -> list[Any]:
    """Leave out 'too short' for a list whose items are wrong: pydantic counts only good items."""
    items = bad.errors(include_url=False)
    parents = {item["loc"][:depth] for item in items for depth in range(len(item["loc"]))}
    return [item for item in items if item["type"] != "too_short" or item["loc"] not in parents]


def _problem(kind: type[Document], item: Any) -> str:
    if item["type"] == "extra_forbidden":
        likely = meant_by(kind, item["loc"])
        return f"unknown key; {likely.words if likely else 'known keys: ' + ', '.join(keys_at(kind, item['loc'][:-1]))}"
    if item["type"] == "model_type":
        return "a mapping of keys to values is expected; leave the key out to take the defaults"
    if item["type"] in {"tuple_type", "list_type"}:
        return "a list is expected: a dash before each item, or brackets around all"
    if item["type"] == "missing" and (meant := description_at(kind, item["loc"])):
        return f"Field required: {meant}"
    given, word = item.get("input"), _meant_word(item)
    if word is not None:
        return f"{given!r} is none of {item['ctx']['expected']}; did you mean {word!r}?"
    shown = f" (got {given!r})" if isinstance(given, str | int | float | bool) else ""
    return str(item["msg"]).removeprefix("Value error, ") + shown


def _meant_word(item: Any) -> str | None:
    """Return which of the allowed words is like the one that was given."""
    given = item.get("input")
    if item["type"] != "literal_error" or not isinstance(given, str):
        return None
    return next(iter(difflib.get_close_matches(given, re.findall(r"'([^']*)'", item["ctx"]["expected"]), n=1)), None)


def _meant_number(item: Any) -> int | None:
    """Return the whole number that was given as 2e5: without a point and the sign of its exponent that is a word in YAML 1.1."""
    given = item.get("input")
    if item["type"] != "int_parsing" or not isinstance(given, str) or not _WITH_EXPONENT.fullmatch(given):
        return None
    value = Decimal(given)
    return int(value) if value == value.to_integral_value() else None


def _line_suffix(text: str, loc: Sequence[int | str]) -> str:
    """Return ":line" of the deepest key of `loc` that stands in the YAML (or JSON) text."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return ""
    line = None
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            match = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if match is None:
                break
            line, node = match[0].start_mark.line, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return f":{line + 1}" if line is not None else ""
