"""Splitting: stratified, seeded, and clear about too few rows."""

import numpy as np
import pytest

from edgedistill.errors import DataError
from edgedistill.prepare.clean import SplitPlan, Words, as_read, clean
from edgedistill.prepare.split import hold_out, require_enough, too_few

REFUSAL = DataError("too few", hint="more")


def test_hold_out_when_classes_are_uneven_then_each_in_proportion() -> None:
    labels = np.repeat([0, 1], [900, 100]).astype(np.int32)
    held = hold_out(labels, rows=200, seed=1, refusal=REFUSAL)
    assert np.bincount(labels[held]).tolist() == [180, 20]


def test_hold_out_when_seed_is_the_same_then_same_rows_and_otherwise_others() -> None:
    labels = np.tile([0, 1, 2], 50).astype(np.int32)
    first, again, other = (hold_out(labels, rows=30, seed=seed, refusal=REFUSAL) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_hold_out_when_a_class_has_one_row_then_it_stays() -> None:
    labels = np.array([0] * 20 + [1] * 20 + [2], np.int32)
    held = hold_out(labels, rows=8, seed=3, refusal=REFUSAL)
    assert not held[-1]
    assert held.sum() == 8


def test_hold_out_when_many_small_classes_then_at_least_as_many_rows_as_classes() -> None:
    labels = np.repeat(np.arange(40), 4).astype(np.int32)
    assert hold_out(labels, rows=16, seed=0, refusal=REFUSAL).sum() == 40


@pytest.mark.parametrize("labels", [[0, 1], [0, 0, 0, 1], [0, 0, 1]])
def test_hold_out_when_too_few_rows_then_error(labels: list[int]) -> None:
    with pytest.raises(DataError, match="too few"):
        hold_out(np.array(labels, np.int32), rows=1, seed=0, refusal=REFUSAL)


@pytest.mark.parametrize(("labels", "message", "hint"), [
    ([0, 1], "a.csv: 2 different rows in 2 classes are too few to split off 40 for test and 30 for validation; at least 3 of one "
     "class and 2 of another are needed", "add rows, or give files of your own: data.test and data.validation (with init: --test FILE "),
    ([0, 0, 0, 1, 1], "a.csv: 5 different rows in 2 classes are too few to split off 40 for test and 30 for validation", "add rows to"),
    ([0] * 200 + [1], "a.csv: class 'c1' has a single row, so that train and test cannot both have one", "add rows of it"),
    ([0] * 9 + [1, 2], "a.csv: class 'c1' has a single row (2 classes have), so that train and test", "add rows of it"),
    (list(range(20)), "a.csv: nearly every row has a label of its own: 20 different rows in 20 classes", "--set data.label_column=NAME"),
    ([*range(150), *range(150)], "a.csv: 300 different rows in 150 classes are too few to split off", "add rows, or"),
])
def test_too_few_when_classes_are_small_then_says_what_is_the_matter(labels: list[int], message: str, hint: str) -> None:
    names = [f"c{number}" for number in range(max(labels) + 1)]
    error = too_few(np.array(labels, np.int32), source="a.csv", wanted={"test": 40, "validation": 30}, classes=names)
    assert error.message.startswith(message)
    assert hint in error.hint


def test_hold_out_when_rows_have_several_labels_then_each_label_in_proportion_and_also_no_label() -> None:
    labels = np.zeros((1000, 3), np.int32)
    labels[:500, 0] = 1
    labels[400:600, 1] = 1
    labels[450:500, 2] = 1
    held = hold_out(labels, rows=200, seed=1, refusal=REFUSAL)
    assert held.sum() == 200
    assert labels[held].sum(axis=0).tolist() == pytest.approx([100, 40, 10], abs=2)
    assert (~labels[held].any(axis=1)).sum() == pytest.approx(80, abs=2)


def test_hold_out_when_a_row_has_to_stay_then_another_of_its_class_takes_its_place_and_no_other_row_moves() -> None:
    labels = np.tile([0, 1, 2], 50).astype(np.int32)
    usual = hold_out(labels, rows=30, seed=1, refusal=REFUSAL)
    stays = np.zeros(150, bool)
    stays[np.flatnonzero(usual)[:2]] = True
    held = hold_out(labels, rows=30, seed=1, refusal=REFUSAL, stays=stays)
    assert not (held & stays).any()
    assert np.bincount(labels[held]).tolist() == np.bincount(labels[usual]).tolist()
    assert (held != usual).sum() == 4
    nobody = np.zeros(150, bool)
    assert (hold_out(labels, rows=30, seed=1, refusal=REFUSAL, stays=nobody) == usual).all()


def test_hold_out_when_all_rows_of_a_class_have_to_stay_then_fewer_are_held_and_none_left_is_an_error() -> None:
    labels = np.repeat([0, 1], [20, 4]).astype(np.int32)
    assert np.bincount(labels[hold_out(labels, rows=6, seed=0, refusal=REFUSAL)]).tolist() == [5, 1]
    held = hold_out(labels, rows=6, seed=0, refusal=REFUSAL, stays=labels == 1)
    assert np.bincount(labels[held]).tolist() == [5]
    with pytest.raises(DataError, match="too few"):
        hold_out(labels, rows=6, seed=0, refusal=REFUSAL, stays=np.ones(24, bool))


def test_too_few_when_so_few_rows_that_none_is_wanted_then_names_the_splits_alone() -> None:
    error = too_few(np.array([0, 1], np.int32), source="a.csv", wanted={"test": 0, "validation": 0}, classes=["x", "y"])
    assert error.message == ("a.csv: 2 different rows in 2 classes are too few to split off test and validation; at least 3 of one "
                             "class and 2 of another are needed")


@pytest.mark.parametrize(("counts", "made", "is_enough"), [
    ([3, 2], 2, True), ([2, 2], 2, False), ([9, 1], 2, False), ([2, 2], 1, True), ([2, 1], 1, False), ([2, 2, 2], 2, False),
])
def test_require_enough_when_rows_are_few_then_refuses_what_cannot_be_split(counts: list[int], made: int, is_enough: bool) -> None:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    given = {"train": as_read("train", "a.csv", labels, np.arange(len(labels)))}
    if made == 1:
        given["test"] = as_read("test", "b.csv", np.array([0, 1], np.int32), np.array([98, 99]))
    names = [f"c{number}" for number in range(len(counts))]
    wanted = {name: round(0.2 * len(labels)) for name in ("test", "validation") if name not in given}

    def split() -> None:
        clean(given, SplitPlan(0.15, 0.2, seed=3), Words("text", "rows", "a file"), classes=names)

    def ask() -> None:
        require_enough(labels, source="a.csv", wanted=wanted, classes=names)

    for call in (split, ask):
        if is_enough:
            call()
            continue
        with pytest.raises(DataError, match="too few to split off|has a single row"):
            call()


@pytest.mark.parametrize("classes", [[*range(20)], [*range(90), *range(10)]])
def test_require_enough_when_nearly_every_row_has_a_label_of_its_own_then_says_so(classes: list[int]) -> None:
    names = [f"c{number}" for number in range(max(classes) + 1)]
    with pytest.raises(DataError, match="nearly every row has a label of its own"):
        require_enough(np.array(classes, np.int32), source="a.csv", wanted={"test": 20, "validation": 15}, classes=names)
