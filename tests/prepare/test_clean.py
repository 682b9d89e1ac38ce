"""Cleaning: what is split off train takes no class away from it."""

import numpy as np
import pytest

from edgedistill.prepare.clean import CleanSplits, SplitPlan, Words, as_read, clean, require_all_classes

WORDS = Words(one="text", several="rows", source="a file")


def cleaned(labels: np.ndarray, contents: np.ndarray, seed: int) -> CleanSplits:
    plan = SplitPlan(validation_share=0.2, test_share=0.2, seed=seed)
    return clean({"train": as_read("train", "train.tsv", labels, contents)}, plan, WORDS)


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
