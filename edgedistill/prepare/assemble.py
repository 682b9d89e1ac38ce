"""From texts that were read to three clean splits, and the report of what was found on the way."""

from dataclasses import dataclass

from edgedistill.prepare import clean
from edgedistill.prepare.check import class_names, encode_labels, number_texts
from edgedistill.prepare.clean import SplitPlan, Words
from edgedistill.prepare.data_report import DataReport, SplitName, SplitReport, text_lengths
from edgedistill.prepare.rows import LabelledTexts

_WORDS = Words(one="text", several="rows", source="a file")


@dataclass(frozen=True)
class Sources:
    """What the user gave; a missing split is None."""

    train: LabelledTexts
    validation: LabelledTexts | None
    test: LabelledTexts | None


@dataclass(frozen=True)
class Split:
    """One split with its texts.

    Attributes:
        kept: which rows of what was read, and their class numbers.
        rows: its texts and where they came from; n of them.
    """

    kept: clean.Split
    rows: LabelledTexts

    def ids(self) -> list[str]:
        """The example ids: the split and the row's number in the source, which dropping others does not change."""
        return [f"{self.kept.name}-{row:06d}" for row in self.rows.rows]


@dataclass(frozen=True)
class CleanData:
    """The three splits, the classes in the order of their numbers, and what was found on the way."""

    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    report: DataReport


def assemble(sources: Sources, plan: SplitPlan) -> CleanData:
    """Check, split and clean the data, as `edgedistill.prepare.clean` says.

    Args:
        sources: what was read.
        plan: how missing splits are made.

    Raises:
        DataError: train has one class; a label is unknown; there are too few rows to split; nothing is left, or nothing of a
            class where no teacher knows it.
    """
    classes = class_names(sources.train, order=plan.label_order)
    read = _by_name(sources)
    given = _numbered(read, classes)
    found = clean.clean(given, plan, _WORDS, classes=classes)
    if plan.label_order is None:  # a trained teacher may know classes of which there is no text
        clean.require_all_classes(found.train, classes, _WORDS)
    train, validation, test = (_with_texts(split, read) for split in (found.train, found.validation, found.test))
    report = DataReport(
        classes=classes,
        train=_describe(train, classes),
        validation=_describe(validation, classes),
        test=_describe(test, classes),
        conflicting_texts=found.conflicting,
    )
    return CleanData(classes, train, validation, test, report)


def require_assembled(sources: Sources, plan: SplitPlan) -> tuple[str, ...]:
    """Refuse what `assemble` would refuse, as far as counting tells; arguments as there.

    Returns:
        the classes.

    Raises:
        DataError: as `assemble`.
    """
    classes = class_names(sources.train, order=plan.label_order)
    left = clean.require_cleanable(_numbered(_by_name(sources), classes), plan, _WORDS, classes=classes)
    if plan.label_order is None:
        clean.require_all_classes(left, classes, _WORDS)
    return classes


def _numbered(read: dict[SplitName, LabelledTexts], classes: tuple[str, ...]) -> dict[SplitName, clean.Split]:
    return {
        name: clean.as_read(name, rows.source, encode_labels(rows, classes), contents)
        for (name, rows), contents in zip(read.items(), number_texts(list(read.values())), strict=True)
    }


def _by_name(sources: Sources) -> dict[SplitName, LabelledTexts]:
    read: dict[SplitName, LabelledTexts] = {"train": sources.train}
    if sources.validation is not None:
        read["validation"] = sources.validation
    if sources.test is not None:
        read["test"] = sources.test
    return read


def _with_texts(split: clean.Split, read: dict[SplitName, LabelledTexts]) -> Split:
    source = read["train" if split.is_made_here else split.name]
    return Split(split, source.take(split.rows))


def _describe(split: Split, classes: tuple[str, ...]) -> SplitReport:
    kept = split.kept
    return SplitReport(
        source=kept.source,
        is_made_here=kept.is_made_here,
        rows=len(kept),
        rows_by_class=kept.rows_by_class(classes),
        duplicates=kept.duplicates,
        dropped_duplicates=kept.dropped_duplicates,
        dropped_in_other_splits=kept.dropped_in_other_splits,
        words=text_lengths(split.rows.texts),
    )
