"""Checks: classes and their order, unknown labels, repeats, conflicts."""

import numpy as np
import pytest

from edgedistill.errors import DataError
from edgedistill.examples import folded
from edgedistill.prepare.check import (
    class_names,
    count_conflicts,
    encode_labels,
    find_repeats,
    number_texts,
    other_separator,
    require_named,
)
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.rows import LabelledTexts, RowCollector


def rows(*pairs: tuple[str, str], source: str = "some.tsv") -> LabelledTexts:
    collector = RowCollector(source, Columns("text", "label"), has_lines=True)
    for line, (text, label) in enumerate(pairs, 2):
        collector.add(text, label, line)
    return collector.finish()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["b", "a", "b"], ("a", "b")),
        (["10", "9", "-1", "2.5"], ("-1", "2.5", "9", "10")),
        (["10", "9", "x"], ("10", "9", "x")),
        (["LABEL_10", "LABEL_2", "LABEL_0"], ("LABEL_0", "LABEL_2", "LABEL_10")),
        (["LABEL_10", "LABEL_2", "other"], ("LABEL_10", "LABEL_2", "other")),
    ],
)
def test_class_names_when_words_or_numbers_then_sorted_by_spelling_or_value(
    labels: list[str], expected: tuple[str, ...]
) -> None:
    assert class_names(rows(*[("t", label) for label in labels])) == expected


def test_class_names_when_one_class_then_error() -> None:
    with pytest.raises(DataError, match=r"some.tsv: all 2 rows have the label 'a'; two classes are needed") as caught:
        class_names(rows(("x", "a"), ("y", "a")))
    assert "data.label_column" in caught.value.hint


def test_encode_labels_when_known_then_positions() -> None:
    assert encode_labels(rows(("x", "b"), ("y", "a")), ("a", "b")).tolist() == [1, 0]


def test_encode_labels_when_unknown_then_error_names_line_and_nearest() -> None:
    with pytest.raises(DataError) as caught:
        encode_labels(rows(("x", "volume"), ("y", "volum"), ("z", "other")), ("light", "volume"))
    assert caught.value.message == (
        "some.tsv:3: label 'volum' is not in train; did you mean 'volume'? (and 1 more such rows)"
    )


@pytest.mark.parametrize("blank", ["\t", "\v", "\x1f", "\x85", "\u00a0", "\u2009", "\u3000"])
def test_number_texts_when_a_blank_is_any_that_python_knows_then_equal(blank: str) -> None:
    assert blank.isspace()
    first, second = number_texts([rows((f"turn{blank}it up", "a"), ("off", "a")), rows(("turn it up", "b"))])
    assert first[0] == second[0] != first[1]


def test_number_texts_when_capitals_and_blanks_differ_then_equal() -> None:
    first, second = number_texts([rows(("Turn  it UP", "a"), ("off", "a")), rows(("turn it up", "b"), ("up", "b"))])
    assert first[0] == second[0]
    assert len({int(first[0]), int(first[1]), int(second[1])}) == 3


@pytest.mark.parametrize(("one", "other", "are_equal"), [
    ("ΟΔΟΣ ΑΘΗΝΑΣ", "οδος αθηνας", True),
    ("ΟΔΟΣ", "οδοσ", True),
    ("İstanbul", "istanbul", True),
    ("İSTANBUL", "İstanbul", True),
    ("i\u0307stanbul", "istanbul", False),  # two characters in the source: a dot that nobody lowered
    ("I\u0307stanbul", "i\u0307stanbul", True),
    ("ISTANBUL", "ıstanbul", False),
    ("Straße", "STRASSE", False),
])
def test_number_texts_when_letters_have_two_lower_forms_then_equal_as_folded_says(one: str, other: str, are_equal: bool) -> None:
    (numbers,) = number_texts([rows((one, "a"), (other, "b"))])
    assert (numbers[0] == numbers[1]) == are_equal
    assert (folded(one) == folded(other)) == are_equal


def test_find_repeats_when_text_and_label_stood_before_then_marked() -> None:
    texts = np.array([0, 1, 0, 0, 1], np.int32)
    labels = np.array([5, 6, 5, 7, 6], np.int32)
    assert find_repeats(texts, labels).tolist() == [False, False, True, False, True]
    assert count_conflicts(texts, labels) == 1


def test_place_when_source_has_rows_only_then_row_is_named() -> None:
    collector = RowCollector("x.parquet", Columns("text", "label"), has_lines=False)
    collector.add("hi", "a", 1)
    assert collector.finish().place(0) == "x.parquet: row 1"


def several(*sets: list[str]) -> LabelledTexts:
    collector = RowCollector("some.jsonl", Columns("text", "label", separator=","), has_lines=True)
    for line, labels in enumerate(sets, start=1):
        collector.add(f"text {line}", labels, line)
    return collector.finish()


def test_class_names_when_texts_have_several_labels_then_all_that_occur() -> None:
    assert class_names(several(["b", "a"], [], ["c"])) == ("a", "b", "c")


@pytest.mark.parametrize(("sets", "message"), [
    ([[], []], "none of its 2 rows has a label"), ([["a"], []], "the only label of its 2 rows is 'a'"),
])
def test_class_names_when_several_labels_are_less_than_two_then_error(sets: list[list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        class_names(several(*sets))


def test_encode_labels_when_texts_have_several_then_a_row_of_zeros_and_ones_each() -> None:
    assert encode_labels(several(["b", "a"], [], ["c"]), ("a", "b", "c")).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_encode_labels_when_one_of_several_is_unknown_then_names_its_row() -> None:
    with pytest.raises(DataError, match=r"some\.jsonl:3: label 'volum' is not in train; did you mean 'volume'\? \(and 1 more"):
        encode_labels(several(["light", "volume"], [], ["light", "volum"], ["x", "y"]), ("light", "volume"))


def test_find_repeats_when_labels_are_several_then_compares_sets() -> None:
    contents, labels = np.array([0, 0, 0]), np.array([[1, 0], [1, 1], [1, 0]], np.int32)
    assert find_repeats(contents, labels).tolist() == [False, False, True]
    assert count_conflicts(contents, labels) == 1


def test_class_names_when_the_teacher_spells_them_otherwise_then_as_it_does() -> None:
    numbers = rows(("x", "1.0"), ("y", "2.0"))
    assert class_names(numbers, order=("2.0", "1.0")) == ("2.0", "1.0")
    assert encode_labels(numbers, ("2.0", "1.0")).tolist() == [1, 0]
    with pytest.raises(DataError, match="the teacher does not know the label '2'; it knows 1.0, 3.0"):
        class_names(numbers, order=("1.0", "3.0"))


def test_encode_labels_when_another_split_spells_numbers_without_the_point_then_the_same_class() -> None:
    versions = class_names(rows(("x", "1.0"), ("y", "1.1"), ("z", "2.0")))
    assert versions == ("1.0", "1.1", "2.0")
    assert encode_labels(rows(("x", "2.0"), ("y", "1.0")), versions).tolist() == [2, 0]


SEVERAL = Columns("text", "label", separator=",")


@pytest.mark.parametrize("sets", [
    [["1", "0"], ["0", "1"]], [["0"], ["0", "1"]], [["1.0", "0.0"]], [["True"], ["false"]], [["0"]],
])
def test_require_named_when_labels_are_nothing_but_flags_then_refused(sets: list[list[str]]) -> None:
    with pytest.raises(DataError, match=r"some\.jsonl: column 'label' holds 0 and 1 for each class") as caught:
        require_named(several(*sets), SEVERAL)
    assert "--label-columns" in caught.value.hint


def test_require_named_when_names_or_known_to_the_teacher_or_one_a_text_then_taken() -> None:
    flags = several(["1", "0"], ["0"])
    require_named(several(["1", "2"], ["0"]), SEVERAL)
    require_named(several([], []), SEVERAL)
    require_named(flags, SEVERAL, order=("1.0", "0.0"))
    require_named(flags, Columns("text", "label", separator=",", flags=("0", "1")))
    require_named(rows(("x", "0"), ("y", "1")), Columns("text", "label"))
    with pytest.raises(DataError):
        require_named(flags, SEVERAL, order=("toxic", "insult"))


@pytest.mark.parametrize(("sets", "expected"), [
    ([["a;b"], ["a"], []], ";"), ([["a|b"], ["a|c"], ["x/y"]], "|"), ([["a;b", "c"], ["a"]], None), ([["a"], ["b"]], None),
])
def test_other_separator_when_no_text_has_two_labels_and_names_hold_one_then_it(sets: list[list[str]], expected: str | None) -> None:
    texts = several(*sets)
    assert other_separator(texts, class_names(texts), ",") == expected
