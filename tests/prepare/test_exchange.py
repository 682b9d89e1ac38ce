"""Exchanging rows: every class that can has one on both sides, and nothing moves where each has."""

import numpy as np
import pytest

from edgedistill.prepare.exchange import reach_every_class


def exchanged(
    held: list[int], labels: np.ndarray, *, stays: tuple[int, ...] = (), lost: tuple[int, ...] = (), left: int = 1
) -> np.ndarray:
    is_held, does_stay, is_lost = (np.zeros(len(labels), bool) for _ in range(3))
    is_held[held] = does_stay[list(stays)] = is_lost[list(lost)] = True
    return reach_every_class(is_held, labels, stays=does_stay, lost=is_lost, left=left, seed=0)


def test_reach_every_class_when_each_has_a_row_on_both_sides_then_nothing_moves() -> None:
    labels = np.array([0] * 20 + [1, 1, 2], np.int32)
    assert np.flatnonzero(exchanged([3, 4, 20], labels)).tolist() == [3, 4, 20]


def test_reach_every_class_when_one_lacks_a_held_row_then_the_fullest_gives_one_back() -> None:
    labels = np.array([0] * 20 + [1] * 20 + [2] * 2, np.int32)
    found = exchanged([0, 1, 2, 3, 4, 5, 20, 21, 22], labels)
    assert np.bincount(labels[found]).tolist() == [5, 3, 1]


def test_reach_every_class_when_one_is_held_whole_then_it_gets_back_as_many_rows_as_it_should_keep() -> None:
    labels = np.array([0] * 20 + [1] * 3, np.int32)
    assert np.bincount(labels[exchanged([0, 1, 20, 21, 22], labels)]).tolist() == [3, 2]
    assert np.bincount(labels[exchanged([0, 1, 20, 21, 22], labels, left=2)]).tolist() == [4, 1]


def test_reach_every_class_when_the_only_other_row_may_be_left_out_later_then_the_class_stays() -> None:
    labels = np.array([0] * 20 + [1] * 2, np.int32)
    assert np.flatnonzero(exchanged([0, 1], labels, lost=(20,))).tolist() == [0, 1]


def test_reach_every_class_when_the_other_row_stays_for_sure_then_this_one_is_held() -> None:
    labels = np.zeros((22, 3), np.int32)
    labels[:20, 0] = labels[20:, 1] = labels[21, 2] = 1  # row 21 holds the only label 2
    found = exchanged([0, 1], labels, stays=(21,))
    assert found[20]
    assert found.sum() == 2


@pytest.mark.parametrize("first", [0, 5])
def test_reach_every_class_when_rows_have_several_labels_then_no_label_loses_its_last_row(first: int) -> None:
    labels = np.zeros((40, 3), np.int32)
    labels[:20, 0] = labels[20:, 1] = labels[[first, 30, 31], 2] = 1
    held = [10, 11, 12, 22]
    found = exchanged(held, labels)
    assert found.sum() == 4
    assert (labels[found].sum(axis=0) > 0).all()
    assert (labels[~found].sum(axis=0) > 0).all()


def test_reach_every_class_when_classes_are_many_then_all_that_can_have_a_row_on_both_sides() -> None:
    labels = np.repeat(np.arange(20_000, dtype=np.int32), 3)
    is_held = np.random.default_rng(1).permutation(len(labels)) < 20_000
    nobody = np.zeros(len(labels), bool)
    found = reach_every_class(is_held, labels, stays=nobody, lost=nobody, left=2, seed=0)
    assert (np.bincount(labels[found]) == 1).all()  # as many as are held, and two of three are to be kept


@pytest.mark.parametrize(("is_several", "held"), [
    (False, [1, 2, 3, 4, 12, 13, 21, 24, 26, 28, 32, 33]), (True, [0, 1, 2, 3, 4, 12, 13, 21, 24, 26, 32, 33]),
])
def test_reach_every_class_when_run_again_by_a_later_version_then_the_same_rows(is_several: bool, held: list[int]) -> None:
    labels = np.repeat(np.arange(8, dtype=np.int32), [12, 6, 4, 3, 3, 3, 2, 2])  # what was held by the first version
    if is_several:
        labels = np.eye(8, dtype=np.int32)[labels]
        labels[::4, 0] = labels[3::9, 5] = 1
    assert np.flatnonzero(exchanged([0, 1, 2, 3, 4, 12, 13, 22, 23, 24, 31, 32], labels, left=2)).tolist() == held
