"""docs/recipe.md has every key of the recipe, as the schema says it."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgedistill.document import parse
from edgedistill.errors import RecipeError
from edgedistill.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "make_recipe_page.py"))


def test_recipe_page_when_compared_with_the_schema_then_current(page: dict[str, Any]) -> None:
    assert page["PAGE"].read_text(encoding="utf-8") == page["render_page"](), "stale: python docs/make_recipe_page.py"


def test_recipe_page_when_a_default_recipe_is_walked_then_every_key_stands_in_its_section(page: dict[str, Any]) -> None:
    smallest = {"id": "a", "task": "text-classification", "data": {"train": "a.tsv"}, "teacher": {"name": "a"}}
    content = Recipe.model_validate(smallest).model_dump(mode="json")
    sections = {part.splitlines()[0].strip("`"): part for part in page["render_page"]().split("\n## ")[1:]}

    def walk(name: str, value: dict[str, Any]) -> None:
        for key, inner in value.items():
            assert f"\n| `{key}` |" in sections[name or "All sections"], f"{name}.{key}"
            if isinstance(inner, dict):
                walk(f"{name}.{key}".lstrip("."), inner)

    walk("", content)
    assert {"data.hub", "goals"} <= set(sections)


def test_recipe_page_when_rows_are_read_then_every_key_is_explained(page: dict[str, Any]) -> None:
    rows = [line for line in page["render_page"]().splitlines() if line.startswith("| `")]
    bare = [line for line in rows if not line.removesuffix("|").rpartition(" | ")[2].strip()]
    assert not bare


def test_recipe_page_when_its_example_is_read_then_a_recipe(page: dict[str, Any]) -> None:
    text = page["INTRODUCTION"].split("```yaml\n")[1].split("```")[0]
    assert parse(Recipe, text, Path("recipe.yaml"), error=RecipeError).id == yaml.safe_load(text)["id"]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"type": "string"}, "text"),
        ({"type": "integer", "minimum": 1, "maximum": 4}, "whole number, >= 1, <= 4"),
        ({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]}, "number, > 0 or null"),
        ({"enum": ["cut", "random"], "type": "string"}, "`cut`, `random`"),
        ({"const": 1, "type": "integer"}, "`1`"),
        ({"$ref": "#/$defs/Data"}, "section"),
        ({"type": "array", "items": {"$ref": "#/$defs/Goal"}}, "list of sections"),
    ],
)
def test_kind_of_when_field_is_known_then_words(page: dict[str, Any], field: dict[str, Any], words: str) -> None:
    assert page["kind_of"](field) == words
