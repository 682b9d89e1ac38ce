"""Licences that may not ship: compares what teacher and data are under with what a recipe denies."""

import itertools
import re
from collections.abc import Mapping, Sequence

from edgedistill.errors import UsageError
from edgedistill.recipe import Recipe

_OPERATORS = re.compile(r"\s+(?:AND|OR|WITH)\s+|[()]")


def require_allowed(licences: Mapping[str, str], denied: Sequence[str]) -> None:
    """Refuse to pack what is under a denied licence.

    An expression such as "GPL-3.0-only OR MIT" is refused when every choice that it leaves holds a denied licence; so
    "A AND B" is refused with A denied, "A OR B" only with both. `unknown` can be denied like any other word.

    Args:
        licences: an SPDX expression by what is under it.
        denied: SPDX ids; a trailing `*` stands for any end. Upper and lower case are the same.

    Raises:
        UsageError: names what is under which licence.
    """
    wrong = [f"{what} is under {licence}" for what, licence in licences.items() if _is_denied(licence, denied)]
    if wrong:
        raise UsageError(
            f"this may not ship: {'; '.join(wrong)}, and {', '.join(denied)} {'is' if len(denied) == 1 else 'are'} denied",
            hint="train from another teacher or other data, or take the licence off --deny-licence "
                 "(package.deny_licences in the recipe)",
        )


def require_recipe_allowed(recipe: Recipe) -> None:
    """Refuse before hours of work what could not be packed at their end.

    Raises:
        UsageError: the recipe's teacher or data are under a licence that the recipe denies.
    """
    found = origins(recipe.teacher.name, recipe.teacher.licence, recipe_id=recipe.id, data=recipe.data.licence)
    require_allowed(found, recipe.package.deny_licences)


def origins(teacher: str, licence: str, *, recipe_id: str, data: str) -> dict[str, str]:
    """Return the licence of everything that a bundle derives from, by what it is."""
    return {f"the teacher {teacher}": licence, f"the data of {recipe_id}": data}


def _is_denied(expression: str, denied: Sequence[str]) -> bool:
    """Deny by the loosest choice: every alternative of a top-level OR must hold a denied id."""
    alternatives = _alternatives(expression)
    return all(any(_matches(item, denied) for item in _ids(choice)) for choice in alternatives)


def _alternatives(expression: str) -> list[str]:
    """Split at each OR outside of parentheses; an OR inside some keeps both sides, so both must be allowed."""
    expression = _without_brackets(expression)
    parts, depth, start = [], 0, 0
    for match in re.finditer(r"[()]|\s+OR\s+", expression):
        if match.group() in "()":
            depth += 1 if match.group() == "(" else -1
        elif depth == 0:
            parts.append(expression[start : match.start()])
            start = match.end()
    return [*parts, expression[start:]]


def _without_brackets(expression: str) -> str:
    """Take off parentheses that enclose the whole expression: SPDX fields often have them."""
    text = expression.strip()
    if not (text.startswith("(") and text.endswith(")")):
        return expression
    depths = itertools.accumulate({"(": 1, ")": -1}.get(letter, 0) for letter in text)
    is_closed_before = any(depth == 0 for depth in itertools.islice(depths, len(text) - 1))
    return expression if is_closed_before else _without_brackets(text[1:-1])


def _ids(expression: str) -> list[str]:
    return [part.strip() for part in _OPERATORS.split(expression) if part and part.strip()]


def _matches(licence: str, denied: Sequence[str]) -> bool:
    name = licence.lower()
    return any(
        name.startswith(pattern.lower()[:-1]) if pattern.endswith("*") else name == pattern.lower() for pattern in denied
    )
