"""Cleaning: what is split off train takes no class away from it."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from edgedistill.errors import DataError
from edgedistill.prepare.clean import CleanSplits, SplitPlan, Words, as_read, clean, require_all_classes

WORDS = Words(one="text", several="rows", source="a file")
CLASSES = ("a", "b", "c")


def cleaned(labels: np.ndarray, contents: np.ndarray, seed: int) -> CleanSplits:
    plan = SplitPlan(validation_share=0.2, test_share=0.2, seed=seed)
    return clean({"train": as_read("train", "train.tsv", labels, contents)}, plan, WORDS, classes=CLASSES)


@pytest.mark.parametrize("seed", range(12))
def test_clean_when_the_only_row_of_a_class_has_the_text_of_another_row_then_both_stay_in_train(seed: int) -> None:
    labels = np.array([0] * 20 + [1] * 20 + [2], np.int32)
    contents = np.append(np.arange(40), 0)
    found = cleaned(labels, contents, seed)
    require_all_classes(found.train, ("a", "b", "c"), WORDS)
    assert {0, 40} <= set(found.train.rows.tolist())
    assert [len(split) for split in (found.train, found.validation, found.test)] == [25, 8, 8]


@pytest.mark.parametrize("seed", range(12))
def test_clean_when_the_only_row_of_one_of_several_labels_has_the_text_of_another_then_both_stay(seed: int) -> None:
    labels = np.zeros((41, 3), np.int32)
    labels[:20, 0] = labels[20:40, 1] = labels[40, 2] = labels[40, 0] = 1
    found = cleaned(labels, np.append(np.arange(40), 25), seed)
    assert {25, 40} <= set(found.train.rows.tolist())
    assert found.train.labels[:, 2].sum() == 1


def test_clean_when_texts_of_larger_classes_are_in_conflict_then_rows_are_drawn_as_ever() -> None:
    labels = np.array([0] * 20 + [1] * 20 + [2], np.int32)
    apart, alike = (cleaned(labels, contents, 3) for contents in (np.arange(41), np.append(np.arange(39), [0, 40])))
    assert alike.test.rows.tolist() == apart.test.rows.tolist()
    assert alike.validation.rows.tolist() == apart.validation.rows.tolist()


def in_proportion(labels: np.ndarray, seed: int) -> tuple[list[int], list[int]]:
    """Return the rows of test and validation as scikit-learn alone draws them."""
    left, test = train_test_split(np.arange(len(labels)), test_size=round(0.2 * len(labels)), random_state=seed, stratify=labels)
    left = np.sort(left)
    _, validation = train_test_split(left, test_size=round(0.2 * len(labels)), random_state=seed, stratify=labels[left])
    return sorted(test.tolist()), sorted(validation.tolist())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sizes", [[100] * 6, [500, 60, 7], [5, 300]])
def test_clean_when_a_split_in_proportion_reaches_every_class_then_exactly_that_one(sizes: list[int], seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int32)
    names = [f"c{number}" for number in range(len(sizes))]
    plan = SplitPlan(validation_share=0.2, test_share=0.2, seed=seed)
    found = clean({"train": as_read("train", "x", labels, np.arange(len(labels)))}, plan, WORDS, classes=names)
    assert (found.test.rows.tolist(), found.validation.rows.tolist()) == in_proportion(labels, seed)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("small", "split"), [(2, (1, 0, 1)), (3, (1, 1, 1)), (1, (1, 0, 0))])
def test_clean_when_a_class_is_small_then_test_has_a_row_first_and_then_validation(
    small: int, split: tuple[int, int, int], seed: int
) -> None:
    labels = np.repeat([0, 1, 2], [100, 60, small]).astype(np.int32)
    found = cleaned(labels, np.arange(len(labels)), seed)
    assert tuple(int((part.labels == 2).sum()) for part in (found.train, found.validation, found.test)) == split
    assert len(found.test) == len(found.validation) == round(0.2 * len(labels))
    assert np.bincount(found.test.labels).tolist()[:2] == pytest.approx([20, 12], abs=1)


def test_clean_when_one_of_two_classes_has_two_rows_then_test_has_one_and_validation_is_of_the_other() -> None:
    labels = np.repeat([0, 1], [200, 2]).astype(np.int32)
    found = cleaned(labels, np.arange(202), seed=3)
    assert [np.bincount(part.labels).tolist() for part in (found.train, found.validation, found.test)] == [[121, 1], [40], [39, 1]]


def test_clean_when_a_small_class_shares_its_texts_with_another_then_it_keeps_what_train_needs() -> None:
    labels = np.append(np.repeat([0, 1], [60, 60]), [2, 2]).astype(np.int32)
    found = cleaned(labels, np.append(np.arange(120), [0, 120]), seed=1)  # one text of class 2 is one of class 0, too
    require_all_classes(found.train, CLASSES, WORDS)
    assert 121 in found.train.rows


def test_clean_when_test_is_train_then_the_error_names_the_split_that_was_given() -> None:
    labels, contents = np.repeat([0, 1], 20).astype(np.int32), np.arange(40)
    given = {name: as_read(name, "a.csv", labels, contents) for name in ("train", "test")}
    with pytest.raises(DataError, match=r"a\.csv: every text of train stands in test too") as caught:
        clean(given, SplitPlan(validation_share=0.2, test_share=0.2, seed=1), WORDS, classes=CLASSES)
    assert caught.value.hint == "give test a file of its own, or null to split it off train"
