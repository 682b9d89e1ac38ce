"""Writes docs/recipe.md out of the recipe's schema: `python docs/make_recipe_page.py`; `--check` says if it is old."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgedistill.recipe import Distillation, Recipe

PAGE = Path(__file__).resolve().with_name("recipe.md")
TABLE_HEAD = ("| key | value | default | what it is |", "|---|---|---|---|")
LOSS = (Distillation.__doc__ or "").splitlines()[0]
"""A formula, which Markdown would read as emphasis."""

INTRODUCTION = """\
# The recipe

A recipe is a YAML file that says what you want: task, data, teacher, student, distillation, quantization, goals, seed.
`edgedistill init` writes one with a comment on the keys that are changed most; this page has every key. It is made by
`python docs/make_recipe_page.py` from what `edgedistill schema recipe` prints; do not edit it.

- **Only four keys are needed**: `id`, `task`, `data.train` (or `data.hub`) and `teacher.name`. The rest has a default.
- **Paths** are relative to the folder of the recipe.
- **An unknown key is an error** (exit code 2) that names file and line and asks "did you mean".
- **One setting for one run**: `--set distillation.temperature=4`, the value in YAML, or as it is written where the key
  takes text; it may be given again.
- **What a run used** stands in `recipe.lock.yaml` of the run folder, every default made explicit; it is a recipe, too,
  and its paths are as seen from the run folder.

```yaml
schema_version: 1
id: my-reviews
task: text-classification
data:
  train: reviews.tsv
  label_column: stars
teacher:
  name: ./my-teacher
goals:
  - {metric: accuracy, type: max-degradation, value: 0.02}
budgets:
  model_bytes: 2000000
```
"""

CLOSING = """\
## Related pages

[prepare](prepare.md) for `data`; [teach](teach.md) for `teacher` and the transfer set; [distill](distill.md) for the
loss; [search](search.md) for `search`; [quantize](quantize.md) for the schemes; [verify](verify.md) for the parity
gates; [benchmark](benchmark.md) for the protocol; [plan](plan.md) for `student` and `budgets`.
"""


def sections() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (dotted name, object schema) of the recipe and of every section in it, in the order of the keys.

    The recipe itself has the name "".
    """
    schema = Recipe.model_json_schema()
    yield from _walk("", schema, schema["$defs"])


def _walk(name: str, section: dict[str, Any], known: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield name, section
    for key, field in section["properties"].items():
        inner = _section_of(field)
        if inner is not None:
            yield from _walk(f"{name}.{key}".lstrip("."), known[inner], known)


def _section_of(field: dict[str, Any]) -> str | None:
    """Return the definition that a field's value follows, None for a plain value."""
    for place in (field, field.get("items", {}), *field.get("anyOf", ())):
        if "$ref" in place:
            return str(place["$ref"]).rpartition("/")[2]
    return None


def kind_of(field: dict[str, Any]) -> str:
    """Say in words what values a field takes."""
    if "anyOf" in field:
        return " or ".join("null" if part.get("type") == "null" else kind_of(part) for part in field["anyOf"])
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return "list of sections" if _section_of(field) else f"list of {kind_of(field['items'])}"
    if _section_of(field):
        return "section"
    if field.get("type") == "object" and "propertyNames" not in field:
        return "mapping of names to values"
    if field.get("type") == "object":
        return f"{kind_of(field['additionalProperties'])} for each of {kind_of(field['propertyNames'])}"
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}[field["type"]]
    shape = f" like `{field['pattern']}`" if "pattern" in field else ""
    return words + shape + "".join(f", {sign} {_yaml(field[name])}" for name, sign in _BOUNDS.items() if name in field)


_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def default_of(key: str, field: dict[str, Any], section: dict[str, Any]) -> str:
    """Say what a key is when it is left out."""
    if key in section.get("required", ()):
        return "(needed)"
    return "as below" if _section_of(field) and field.get("default") not in (None, []) else f"`{_yaml(field.get('default'))}`"


def _yaml(value: object) -> str:
    """A plain value as YAML on one line."""
    return json.dumps(value, ensure_ascii=False)


def about(field: dict[str, Any], known: dict[str, Any]) -> str:
    """Say what a key is for: its own description, else that of the section behind it."""
    inner = _section_of(field)
    return _first_line(field if "description" in field or inner is None else known[inner]).replace("|", "\\|")


def _first_line(described: dict[str, Any]) -> str:
    text = next(iter(str(described.get("description", "")).splitlines()), "")
    return f"`{text}`" if text == LOSS else text


def render_page() -> str:
    """Return the text of docs/recipe.md."""
    known = Recipe.model_json_schema()["$defs"]
    parts = [INTRODUCTION]
    for name, section in sections():
        title = f"`{name}`" if name else "All sections"
        lines = [f"## {title}", "", _first_line(section), "", *TABLE_HEAD]
        lines += [
            f"| `{key}` | {kind_of(field)} | {default_of(key, field, section)} | {about(field, known)} |"
            for key, field in section["properties"].items()
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join([*parts, CLOSING])


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` compare it; returns the exit code."""
    text = render_page()
    if "--check" in arguments:
        is_current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
        if not is_current:
            sys.stderr.write(f"{PAGE.name} is stale: python docs/make_recipe_page.py\n")
        return 0 if is_current else 1
    PAGE.write_text(text, encoding="utf-8")
    sys.stderr.write(f"wrote {PAGE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
