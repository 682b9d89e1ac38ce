"""Classes of which a split has no row, said and warned of: the same for texts and pictures."""

from collections.abc import Iterator, Mapping

from edgedistill.manifest import Decision, warned
from edgedistill.prepare.data_report import SplitName, WrittenSplit

_STEP = "prepare"
_FROM_TEACHER = "the student learns them from the teacher's answers alone"
_NOT_GIVEN = "the rows that were given for it have none; such a class cannot be judged by this split"
_TOO_FEW = ("train has too few rows of them that can be held out for it (one whose {noun} stands in another split or under "
            "another label too cannot, nor one with the only row of another class); such a class cannot be judged by it")
_NAMED = 5


def class_decisions(splits: Mapping[SplitName, WrittenSplit], *, noun: str) -> Iterator[Decision]:
    """Say of which classes a split has no row; those of train are a trained teacher's, which knows them, and no warning.

    Args:
        splits: all three.
        noun: what a row is, in the singular.
    """
    absent = {name: [label for label, rows in split.rows_by_class.items() if rows == 0] for name, split in splits.items()}
    nowhere = [name for name in absent["train"] if name in absent["validation"] and name in absent["test"]]
    if nowhere:
        yield Decision(step=_STEP, what=f"no split has a row of these classes that the teacher knows: {_first(nowhere)}",
                       why="the student has them too, and learns them from the teacher's answers alone; nothing judges them")
    for name, classes in absent.items():
        if left := [label for label in classes if label not in nowhere]:
            too_few = _TOO_FEW.format(noun=noun)
            reason = _FROM_TEACHER if name == "train" else too_few if splits[name].is_made_here else _NOT_GIVEN
            decision = Decision(step=_STEP, what=f"{name} has no row of these classes: {_first(left)}", why=reason)
            yield decision if name == "train" else warned(decision)


def _first(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
