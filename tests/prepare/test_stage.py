"""The prepare stage: files, report, decisions, determinism, and refusals before any work."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgedistill.artifact import sha256_of_path
from edgedistill.data_settings import HubData
from edgedistill.errors import DataError
from edgedistill.examples import read_examples
from edgedistill.prepare.stage import (
    DATA_REPORT_FILE,
    LABELS_FILE,
    STAGE,
    TEST_FILE,
    TRAIN_FILE,
    UNLABELLED_FILE,
    VALIDATION_FILE,
    DataReport,
    Inputs,
    Labels,
    Settings,
)
from edgedistill.stage import Outcome


def perform(inputs: Inputs, out: Path, settings: Settings | None = None) -> Outcome:
    settings = settings or Settings()
    out.mkdir()
    STAGE.requires(settings, inputs)
    outcome = STAGE.run(settings, inputs, out)
    STAGE.ensures(out)
    return outcome


def table(*rows: tuple[str, str]) -> str:
    return "label\ttext\n" + "".join(f"{label}\t{text}\n" for label, text in rows)


TRAIN = table(
    ("b", "one"),
    ("a", "two"),
    ("a", "Two"),
    ("b", "three"),
    ("a", "in test"),
    ("b", "four"),
    ("a", "five"),
    ("b", "five"),
)
VALIDATION = table(("a", "six"), ("b", "In  Test"), ("b", "four"))
TEST = table(("a", "in test"), ("b", "seven words make this one rather long"), ("b", "eight"), ("b", "eight"))


@pytest.fixture
def three_files(write) -> Inputs:
    return Inputs(write("train.tsv", TRAIN), write("validation.tsv", VALIDATION), write("test.tsv", TEST))


def test_run_when_three_files_then_no_text_stands_in_two_splits(three_files: Inputs, tmp_path: Path) -> None:
    perform(three_files, tmp_path / "out")
    train = read_examples(tmp_path / "out" / TRAIN_FILE)
    assert train.ids == ["train-000000", "train-000001", "train-000003", "train-000006", "train-000007"]
    assert train.texts == ["one", "two", "three", "five", "five"]
    assert train.labels.tolist() == [1, 0, 1, 0, 1]
    assert read_examples(tmp_path / "out" / VALIDATION_FILE).ids == ["validation-000000", "validation-000002"]
    assert len(read_examples(tmp_path / "out" / TEST_FILE)) == 4
    assert Labels.read_json(tmp_path / "out" / LABELS_FILE).labels == ("a", "b")


def test_run_when_three_files_then_report_counts_what_was_found(three_files: Inputs, tmp_path: Path) -> None:
    outcome = perform(three_files, tmp_path / "out")
    report = DataReport.read_json(tmp_path / "out" / DATA_REPORT_FILE)
    assert report.conflicting_texts == 2  # "five" in train; "in test" is b in validation and a elsewhere
    assert (report.train.duplicates, report.train.dropped_duplicates, report.train.dropped_in_other_splits) == (1, 1, 2)
    assert (report.validation.rows, report.validation.dropped_in_other_splits) == (2, 1)
    assert (report.test.rows, report.test.duplicates, report.test.dropped_duplicates) == (4, 1, 0)
    assert report.test.rows_by_class == {"a": 1, "b": 3}
    assert (report.test.words.minimum, report.test.words.median, report.test.words.maximum) == (1, 1.5, 7)
    assert not report.test.is_made_here
    assert [d.what for d in outcome.decisions] == [
        "left 1 repeated row out of train",
        "left 2 rows out of train",
        "left 1 row out of validation",
        "left 2 texts with two or more different labels as they are",
        "validation has 2 rows, and choices are made by it",
        "test has 4 rows, and the report's figures are of it",
    ]


def test_run_when_unlabelled_texts_then_none_of_any_split_is_among_them(
    three_files: Inputs, write, tmp_path: Path
) -> None:
    own = write("own.txt", "seven words make this one rather long\nnew\nfive\nIN TEST\nsix\nnewer\nnew\n")
    outcome = perform(replace(three_files, unlabelled=own), tmp_path / "out")
    found = read_examples(tmp_path / "out" / UNLABELLED_FILE)
    assert found.texts == ["new", "newer"]
    assert found.labels.tolist() == [-1, -1]
    assert outcome.decisions[-1].what == "took 2 texts without labels"
    perform(three_files, tmp_path / "without")
    assert len(read_examples(tmp_path / "without" / UNLABELLED_FILE)) == 0


def test_run_when_only_train_then_splits_are_made_and_told(write, tmp_path: Path) -> None:
    path = write("data.tsv", table(*[("ab"[i % 2], f"text {i}") for i in range(200)]))
    outcome = perform(Inputs(path), tmp_path / "out")
    splits = [read_examples(tmp_path / "out" / name) for name in (TRAIN_FILE, VALIDATION_FILE, TEST_FILE)]
    assert [len(split) for split in splits] == [130, 30, 40]
    assert [split.labels.sum() for split in splits] == [65, 15, 20]
    assert len(set().union(*(split.texts for split in splits))) == 200
    assert all(
        f"text {int(i.split('-')[1])}" == text
        for split in splits
        for i, text in zip(split.ids, split.texts, strict=True)
    )
    assert all(split.ids == sorted(split.ids) for split in splits)
    report = DataReport.read_json(tmp_path / "out" / DATA_REPORT_FILE)
    assert (report.train.is_made_here, report.validation.is_made_here, report.test.is_made_here) == (False, True, True)
    assert {d.what for d in outcome.decisions} == {
        "split 40 rows off train for test", "split 30 rows off train for validation",
        "validation has 30 rows, and choices are made by it", "test has 40 rows, and the report's figures are of it",
    }  # fmt: skip


def test_run_when_a_row_of_each_class_is_more_than_the_share_then_a_decision_says_so(write, tmp_path: Path) -> None:
    many = write("many.tsv", table(*[(f"c{i % 50}", f"text {i}") for i in range(150)]))
    told = [d.why for d in perform(Inputs(many), tmp_path / "many").decisions if d.what.startswith("split")]
    assert told[0] == "no test data was given; a row of each class is more than the share of 0.2, stratified by class, seed 13"
    rows = [("ab"[i % 2], f"text {i}") for i in range(1000)]
    both = write("both.tsv", table(*rows, *((label, f"text {i + 1}") for i, (label, _) in enumerate(rows[:40]))))
    told = [d.why for d in perform(Inputs(both), tmp_path / "both").decisions if d.what.startswith("split")]
    assert all("share 0." in why for why in told)  # rows that stand in another split, too, were counted before they were dropped


def test_run_when_repeated_then_same_bytes_and_with_another_seed_others(write, tmp_path: Path) -> None:
    path = write("data.tsv", table(*[("ab"[i % 2], f"text {i}") for i in range(100)]))
    for name, seed in (("first", 13), ("again", 13), ("other", 14)):
        perform(Inputs(path), tmp_path / name, Settings(seed=seed))
    first, again, other = (sha256_of_path(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert first != other


def test_run_when_formats_differ_then_same_examples(write, tmp_path: Path) -> None:
    rows = [("ab"[i % 2], f"text {i}") for i in range(60)]
    tsv = write("data.tsv", table(*rows))
    jsonl = write("data.jsonl", "".join(f'{{"text": "{text}", "label": "{label}"}}\n' for label, text in rows))
    perform(Inputs(tsv), tmp_path / "one")
    perform(Inputs(jsonl), tmp_path / "two")
    assert (tmp_path / "one" / TRAIN_FILE).read_bytes() == (tmp_path / "two" / TRAIN_FILE).read_bytes()


def test_run_when_a_class_is_absent_from_a_split_then_a_decision_says_so(
    three_files: Inputs, write, tmp_path: Path
) -> None:
    inputs = Inputs(three_files.train, write("only_a.tsv", table(("a", "six"))), three_files.test)
    outcome = perform(inputs, tmp_path / "out")
    assert "validation has no row of these classes: b" in [d.what for d in outcome.decisions]


def test_run_when_the_teacher_knows_classes_without_rows_then_they_are_classes_and_decisions_say_so(write, tmp_path: Path) -> None:
    inputs = Inputs(write("train.tsv", table(("a", "six"), ("b", "new"), ("c", "in test"))),
                    write("validation.tsv", table(("a", "seven"), ("b", "eight"))), write("test.tsv", table(("c", "in test"))))
    outcome = perform(inputs, tmp_path / "out", Settings(label_order=("d", "c", "b", "a")))
    report = DataReport.read_json(tmp_path / "out" / DATA_REPORT_FILE)
    assert Labels.read_json(tmp_path / "out" / LABELS_FILE).labels == report.classes == ("d", "c", "b", "a")
    assert report.train.rows_by_class == {"d": 0, "c": 0, "b": 1, "a": 1}
    assert read_examples(tmp_path / "out" / TRAIN_FILE).labels.tolist() == [3, 2]
    told = [d.what for d in outcome.decisions if "these classes" in d.what]
    assert told == ["no split has a row of these classes that the teacher knows: d", "train has no row of these classes: c",
                    "validation has no row of these classes: c", "test has no row of these classes: b, a"]


@pytest.mark.parametrize(
    ("train", "validation", "test", "message", "hint"),
    [
        (table(("a", "x"), ("a", "y")), VALIDATION, TEST, "all 2 rows have the label 'a'", "data.label_column"),
        (TRAIN, VALIDATION, table(("c", "x")), "test.tsv:2: label 'c' is not in train", "correct the label"),
        (TRAIN, TEST, TEST, "every text of validation stands in test too", "give test a file of its own"),
        (
            table(("a", "six"), ("b", "new")),
            VALIDATION,
            TEST,
            "every training text of class 'a' stands in",
            "add training rows",
        ),
        (table(("a", "x"), ("b", "y")), None, TEST, "too few to split off", "data.validation"),
    ],
)
def test_run_when_data_cannot_be_used_then_error(
    write, tmp_path: Path, train: str, validation: str | None, test: str, message: str, hint: str
) -> None:
    inputs = Inputs(
        write("train.tsv", train),
        write("validation.tsv", validation) if validation else None,
        write("test.tsv", test),
    )
    with pytest.raises(DataError) as caught:
        perform(inputs, tmp_path / "out")
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert not list((tmp_path / "out").iterdir())


def test_requires_when_file_is_missing_or_nothing_is_given_then_error(three_files: Inputs, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        STAGE.requires(Settings(), Inputs(three_files.train, tmp_path / "nowhere.tsv"))
    with pytest.raises(DataError, match="neither as a file nor on the hub"):
        STAGE.requires(Settings(), Inputs(None))
    with pytest.raises(DataError, match="or both ways"):
        STAGE.requires(Settings(hub=HubData(name="some/data")), three_files)


def test_run_when_texts_have_several_labels_then_examples_labels_and_report_say_so(write, tmp_path: Path) -> None:
    rows = [f"{'a' if i % 2 else ''}{';' if i % 6 == 3 else ''}{'b' if i % 3 == 0 else ''}\ttext {i}" for i in range(60)]
    inputs = Inputs(write("train.tsv", "label\ttext\n" + "\n".join(rows) + "\n"))
    perform(inputs, tmp_path / "out", Settings(label_separator=";"))
    assert Labels.read_json(tmp_path / "out" / LABELS_FILE) == Labels(
        labels=("a", "b"), problem_type="multi_label_classification")
    report = DataReport.read_json(tmp_path / "out" / DATA_REPORT_FILE)
    splits = {name: read_examples(tmp_path / "out" / file).labels
              for name, file in (("train", TRAIN_FILE), ("validation", VALIDATION_FILE), ("test", TEST_FILE))}
    assert sum(len(labels) for labels in splits.values()) == 60
    assert sum(labels.sum(axis=0) for labels in splits.values()).tolist() == [30, 20]
    for name, labels in splits.items():
        assert list(getattr(report, name).rows_by_class.values()) == labels.sum(axis=0).tolist()


def test_labels_when_an_example_has_one_then_the_file_says_nothing_of_it() -> None:
    assert Labels(labels=("a", "b")).to_json() == '{\n  "labels": [\n    "a",\n    "b"\n  ]\n}\n'
    assert "multi_label" in Labels(labels=("a", "b"), problem_type="multi_label_classification").to_json()


@pytest.mark.parametrize(("rows", "absent"), [
    (1, ["validation has no row of these classes: c", "test has no row of these classes: c"]),
    (2, ["validation has no row of these classes: c"]), (3, []),
])
def test_run_when_a_class_is_small_then_it_is_in_test_first_and_what_lacks_it_is_warned_of(
    write, tmp_path: Path, caplog: pytest.LogCaptureFixture, rows: int, absent: list[str]
) -> None:
    path = write("data.tsv", table(*[("ab"[i % 2], f"text {i}") for i in range(100)], *[("c", f"rare {i}") for i in range(rows)]))
    found = [d for d in perform(Inputs(path), tmp_path / "out").decisions if "no row" in d.what]
    assert [d.what for d in found] == absent
    assert all(d.why.startswith("train has too few rows of them") for d in found)
    warned = [record.getMessage() for record in caplog.records]
    assert [text for text in warned if "no row" in text] == [f"prepare: {d.what} ({d.why})" for d in found]


def test_run_when_a_class_cannot_spare_a_row_then_the_decision_does_not_say_that_it_is_small(write, tmp_path: Path) -> None:
    shared = [("c", "text 0"), ("c", "rare")]  # the first would leave train with the other row of its text
    path = write("data.tsv", table(*[("ab"[i % 2], f"text {i}") for i in range(200)], *shared))
    whys = {d.what: d.why for d in perform(Inputs(path), tmp_path / "out", Settings(seed=1)).decisions if d.what.endswith(": c")}
    assert "under another label too" in whys["test has no row of these classes: c"]
    assert "too few rows" in whys["validation has no row of these classes: c"]


def test_run_when_a_given_split_lacks_a_class_then_the_decision_says_that_it_was_given_so(three_files: Inputs, write, tmp_path: Path) -> None:
    inputs = Inputs(three_files.train, write("only_a.tsv", table(("a", "six"))), three_files.test)
    why = next(d.why for d in perform(inputs, tmp_path / "out").decisions if d.what.startswith("validation has no row"))
    assert why.startswith("the rows that were given for it have none")


def test_run_when_labels_stand_between_another_separator_then_warned_with_what_to_type(
    write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("data.tsv", table(*[(("a", "b", "a;b")[i % 3], f"text {i}") for i in range(90)]))
    told = perform(Inputs(path), tmp_path / "out", Settings(label_separator=",")).decisions[-1]
    assert told.what == "took 'a;b' for one class: no text has two labels with ',' between them"
    assert """--set "data.label_separator=';'"; with init""" in told.why
    assert caplog.records[-1].getMessage() == f"prepare: {told.what} ({told.why})"
    assert not perform(Inputs(path), tmp_path / "one").decisions[-1].what.startswith("took")


def test_run_when_several_labels_are_zero_and_one_then_refused(write, tmp_path: Path) -> None:
    path = write("data.tsv", table(*[(("0,1,1", "1,0,0", "0,0,0")[i % 3], f"text {i}") for i in range(90)]))
    with pytest.raises(DataError, match=r"data\.tsv: column 'label' holds 0 and 1 for each class"):
        perform(Inputs(path), tmp_path / "out", Settings(label_separator=","))


def test_run_when_no_text_without_a_label_is_left_then_warned(
    three_files: Inputs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = perform(replace(three_files, unlabelled=three_files.train), tmp_path / "out").decisions[-1]
    assert told.what == "took 0 texts without labels"
    assert "prepare: took 0 texts without labels" in caplog.text


@pytest.mark.parametrize(("labels", "test", "order", "expected"), [
    (("1.0", "2.0"), ("1", "2"), None, ("1", "2")),
    (("1.0", "1.1", "2.0"), ("1.0", "2.0"), None, ("1.0", "1.1", "2.0")),
    (("1.0", "2.0"), ("1", "2.0"), ("2.0", "1.0"), ("2.0", "1.0")),
    (("true", "false"), ("True", "False"), ("True", "False"), ("True", "False")),
    (("0", "1", "10", "9"), ("10",), None, ("0", "1", "9", "10")),
])
def test_run_when_numbers_and_truths_are_spelled_in_two_ways_then_classes_are_those_of_train_or_the_teacher(
    write, tmp_path: Path, labels: tuple[str, ...], test: tuple[str, ...], order: tuple[str, ...] | None, expected: tuple[str, ...]
) -> None:
    path = write("data.tsv", table(*[(labels[i % len(labels)], f"text {i}") for i in range(90)]))
    other = write("test.tsv", table(*[(label, f"other {i}") for i, label in enumerate(test)]))
    perform(Inputs(path, None, other), tmp_path / "out", Settings(label_order=order))
    assert Labels.read_json(tmp_path / "out" / LABELS_FILE).labels == expected
    plain = [name.lower().removesuffix(".0") for name in expected]
    assert read_examples(tmp_path / "out" / TEST_FILE).labels.tolist() == [plain.index(t.lower().removesuffix(".0")) for t in test]
