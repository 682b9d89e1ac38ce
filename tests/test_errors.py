"""Errors: the table in the module's docstring is what the classes do."""

import inspect
import re

import pytest

from edgedistill import errors
from edgedistill.errors import INTERRUPTED_EXIT_CODE, EdgedistillError, UsageError

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, EdgedistillError)
}
DOCUMENTED = {
    name: int(code) if code else None
    for name, code in re.findall(r"([A-Z]\w+Error)(?: (\d))?  +\w", errors.__doc__ or "")
}
# DESIGN, "The command line": exit codes
EXIT_CODES = {
    "EdgedistillError": 1, "UsageError": 2, "GoalMissedError": 3, "ParityError": 4, "TargetUnreachableError": 5,
    "MissingDependencyError": 6,
}


def test_table_when_compared_with_the_classes_then_each_stands_there_once() -> None:
    assert set(DOCUMENTED) == set(CLASSES)
    assert {name: code for name, code in DOCUMENTED.items() if code} == EXIT_CODES


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_exit_code_when_class_has_no_number_then_it_is_a_usage_error(name: str) -> None:
    expected = DOCUMENTED[name] or 2
    assert CLASSES[name].exit_code == expected
    assert issubclass(CLASSES[name], UsageError) == (expected == 2)


def test_exit_codes_when_collected_then_unique_and_130_is_free() -> None:
    own = [kind.__dict__["exit_code"] for kind in CLASSES.values() if "exit_code" in kind.__dict__]
    assert len(own) == len(set(own)) == len(EXIT_CODES)
    assert INTERRUPTED_EXIT_CODE == 130
    assert INTERRUPTED_EXIT_CODE not in own


@pytest.mark.parametrize("kind", CLASSES.values(), ids=list(CLASSES))
def test_error_when_raised_then_carries_message_and_hint(kind: type[EdgedistillError]) -> None:
    error = kind("what happened", hint="what to type")
    assert (str(error), error.message, error.hint) == ("what happened", "what happened", "what to type")


def test_error_when_hint_is_missing_then_it_cannot_be_made() -> None:
    with pytest.raises(TypeError):
        UsageError("what happened")  # type: ignore[call-arg]
