from dataclasses import dataclass

import numpy as np
import pytest

from edgedistill.errors import ArtifactError
from edgedistill.package.golden import GoldenRule, make_golden_vectors
from edgedistill.tasks.text_classification.encoding import EncodedTexts


class SpacedNumbers:
    """An encoder for texts of numbers: '3 0 1' is the ids 3, 0, 1."""

    def encode(self, texts):
        ids = [[int(word) for word in text.split()] for text in texts]
        offsets = np.concatenate([[0], np.cumsum([len(row) for row in ids])]).astype(np.int64)
        return EncodedTexts(np.array([i for row in ids for i in row], np.int32), offsets, 0)


@dataclass
class FirstIdDecides:
    """A model whose class 1 leads by a tenth of the first id."""

    calls: int = 0

    def logits(self, batch):
        self.calls += 1
        lead = batch["input_ids"][:, 0] / 10
        return np.stack([np.zeros_like(lead), lead], axis=1).astype(np.float32)


def _golden(texts, classes, *, count=32, seed=1, model=None):
    return make_golden_vectors(
        texts, np.array(classes, np.int32), encoder=SpacedNumbers(), model=model or FirstIdDecides(),
        labels=("no", "yes"), rule=GoldenRule(tolerance=0.05, seed=seed, count=count),
    )


def test_golden_when_rows_are_few_takes_them_all_in_order():
    assert [v.text for v in _golden(["5", "5 5", "6 6 6"], [0, 1, 0])] == ["5", "5 5", "6 6 6"]


def test_golden_when_two_places_takes_longest_and_shortest():
    assert [v.text for v in _golden(["5 1", "5", "5 1 1 1", "5 1 1"], [0, 1, 0, 1], count=2)] == ["5", "5 1 1 1"]


def test_golden_when_a_near_tie_can_be_avoided_passes_it_over():
    texts = ["1 7", "9 7", "1 8", "9 8", "1 9", "9 9"]  # a lead of 0.1 is no more than twice the tolerance

    assert {v.text[0] for v in _golden(texts, [0, 1] * 3, count=3)} == {"9"}


def test_golden_when_all_are_near_ties_still_has_vectors():
    assert len(_golden(["1 7", "1 8"], [0, 1])) == 2


def test_golden_when_classes_are_more_than_places_repeats_hardly_any():
    texts = [f"5 {i} {' '.join('1' * (i % 7))}".strip() for i in range(300)]  # the second id tells the row

    classes = [int(v.text.split()[1]) % 100 for v in _golden(texts, [i % 100 for i in range(300)])]

    assert len(classes) == 32
    assert len(set(classes)) >= 30  # all but the longest and the shortest come from different classes


def test_golden_when_the_model_gives_no_number_refuses():
    class Broken:
        def logits(self, batch):
            return np.full((1, 2), np.nan, np.float32)

    with pytest.raises(ArtifactError, match="no numbers"):
        _golden(["5", "6"], [0, 1], model=Broken())


def test_golden_when_a_class_is_rare_has_it_anyway():
    texts = [f"5 {i}" for i in range(500)] + ["7 7"]

    assert "7 7" in [v.text for v in _golden(texts, [0] * 500 + [1])]


def test_golden_when_chosen_again_is_the_same_and_asks_the_model_little():
    texts, model = [f"{5 + i % 3} {i}" for i in range(2000)], FirstIdDecides()

    first = _golden(texts, [i % 2 for i in range(2000)], model=model)

    assert first == _golden(texts, [i % 2 for i in range(2000)])
    assert model.calls <= 32 * 9


class IdsAreLogits:
    """A model whose logits are the ids, less 5."""

    def logits(self, batch):
        return batch["input_ids"].astype(np.float32) - 5


def _golden_of_sets(texts, sets, *, count=32, tolerance=0.05):
    """Three numbers a text, so that all lengths are alike; three classes."""
    return make_golden_vectors(
        texts, np.array(sets, np.int32), encoder=SpacedNumbers(), model=IdsAreLogits(), labels=("a", "b", "c"),
        rule=GoldenRule(tolerance=tolerance, seed=1, count=count),
    )


def test_golden_when_a_text_has_several_labels_tells_all_with_a_logit_above_0():
    none, two = _golden_of_sets(["1 2 4", "7 5 9"], [[0, 0, 0], [1, 0, 1]])

    assert (two.logits, two.labels, two.label) == ((2.0, 0.0, 4.0), ("a", "c"), "c")
    assert (none.logits, none.labels, none.label) == ((-4.0, -3.0, -1.0), (), "c")


def test_golden_when_sets_are_more_than_places_has_every_class_and_a_text_without_any():
    """200 texts of class a, one of b and c together, one without any, and places for 6: both ends of length, 3 classes, no class."""
    texts, sets = ["9 1 1"] * 200 + ["1 9 9", "1 1 1"], [[1, 0, 0]] * 200 + [[0, 1, 1], [0, 0, 0]]

    chosen = [vector.labels for vector in _golden_of_sets(texts, sets, count=6)]

    assert set(chosen) == {("a",), ("b", "c"), ()}


def test_golden_when_a_logit_is_nearer_to_0_than_the_tolerance_passes_the_text_over():
    texts = ["9 5 1", "9 4 1"] * 8  # b has the logit 0, or -1; the lead of a is no tie where a text may have several labels

    assert {vector.text for vector in _golden_of_sets(texts, [[1, 0, 0]] * 16, count=6)} == {"9 4 1"}
    # where none is clear, the one that is so by most
    assert {vector.text for vector in _golden_of_sets(texts, [[1, 0, 0]] * 16, count=6, tolerance=1.5)} == {"9 4 1"}
