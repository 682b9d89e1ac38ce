"""Splitting: stratified, seeded, and clear about too few rows."""

import numpy as np
import pytest

from edgedistill.errors import DataError
from edgedistill.prepare.split import hold_out


def test_hold_out_when_classes_are_uneven_then_each_in_proportion() -> None:
    labels = np.repeat([0, 1], [900, 100]).astype(np.int32)
    held = hold_out(labels, rows=200, seed=1, source="x")
    assert np.bincount(labels[held]).tolist() == [180, 20]


def test_hold_out_when_seed_is_the_same_then_same_rows_and_otherwise_others() -> None:
    labels = np.tile([0, 1, 2], 50).astype(np.int32)
    first, again, other = (hold_out(labels, rows=30, seed=seed, source="x") for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_hold_out_when_a_class_has_one_row_then_it_stays() -> None:
    labels = np.array([0] * 20 + [1] * 20 + [2], np.int32)
    held = hold_out(labels, rows=8, seed=3, source="x")
    assert not held[-1]
    assert held.sum() == 8


def test_hold_out_when_many_small_classes_then_at_least_as_many_rows_as_classes() -> None:
    labels = np.repeat(np.arange(40), 4).astype(np.int32)
    assert hold_out(labels, rows=16, seed=0, source="x").sum() == 40


@pytest.mark.parametrize("labels", [[0, 1], [0, 0, 0, 1], [0, 0, 1]])
def test_hold_out_when_too_few_rows_then_error(labels: list[int]) -> None:
    with pytest.raises(
        DataError, match=r"train.csv: \d different rows in 2 classes are too few to split off 1"
    ) as caught:
        hold_out(np.array(labels, np.int32), rows=1, seed=0, source="train.csv")
    assert "data.validation" in caught.value.hint


def test_hold_out_when_rows_have_several_labels_then_each_label_in_proportion_and_also_no_label() -> None:
    labels = np.zeros((1000, 3), np.int32)
    labels[:500, 0] = 1
    labels[400:600, 1] = 1
    labels[450:500, 2] = 1
    held = hold_out(labels, rows=200, seed=1, source="x")
    assert held.sum() == 200
    assert labels[held].sum(axis=0).tolist() == pytest.approx([100, 40, 10], abs=2)
    assert (~labels[held].any(axis=1)).sum() == pytest.approx(80, abs=2)


def test_hold_out_when_a_row_has_to_stay_then_another_of_its_class_takes_its_place_and_no_other_row_moves() -> None:
    labels = np.tile([0, 1, 2], 50).astype(np.int32)
    usual = hold_out(labels, rows=30, seed=1, source="x")
    stays = np.zeros(150, bool)
    stays[np.flatnonzero(usual)[:2]] = True
    held = hold_out(labels, rows=30, seed=1, source="x", stays=stays)
    assert not (held & stays).any()
    assert np.bincount(labels[held]).tolist() == np.bincount(labels[usual]).tolist()
    assert (held != usual).sum() == 4
    nobody = np.zeros(150, bool)
    assert (hold_out(labels, rows=30, seed=1, source="x", stays=nobody) == usual).all()


def test_hold_out_when_all_rows_of_a_class_have_to_stay_then_fewer_are_held_and_none_left_is_an_error() -> None:
    labels = np.repeat([0, 1], [20, 4]).astype(np.int32)
    assert np.bincount(labels[hold_out(labels, rows=6, seed=0, source="x")]).tolist() == [5, 1]
    held = hold_out(labels, rows=6, seed=0, source="x", stays=labels == 1)
    assert np.bincount(labels[held]).tolist() == [5]
    with pytest.raises(DataError, match="24 different rows in 2 classes are too few to split off 6 of them"):
        hold_out(labels, rows=6, seed=0, source="x", stays=np.ones(24, bool))
