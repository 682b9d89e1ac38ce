"""Splits so small that a figure on them says little: warned of with how little, the same for texts and pictures."""

from collections.abc import Iterator, Mapping

from edgedistill.manifest import Decision, GivenWarning, warned
from edgedistill.prepare.data_report import SplitName, WrittenSplit

_STEP = "prepare"
_ENOUGH = 100
"""Rows from which on an accuracy of 0.9 is known to some 6 points in either direction."""

_USES: dict[SplitName, str] = {"validation": "choices are made by it", "test": "the report's figures are of it"}


def few_rows(splits: Mapping[SplitName, WrittenSplit]) -> Iterator[GivenWarning]:
    """Warn of a validation or test split of fewer than 100 rows.

    Args:
        splits: as they were written.
    """
    from edgedistill.evaluate.intervals import wilson  # scipy comes with it

    for name, use in _USES.items():
        n = splits[name].rows
        if not 0 < n < _ENOUGH:
            continue
        interval = wilson(round(0.9 * n), n)
        yield warned(Decision(
            step=_STEP, what=f"{name} has {n} row{'' if n == 1 else 's'}, and {use}",
            why=f"an accuracy of {interval.value:.2f} on so few may as well be {interval.low:.2f} or {interval.high:.2f}: give "
                f"more rows (data.{name}, or a larger data.{name}_share)",
        ))
