"""Which texts the transfer set is made from."""

import pytest

from edgedistill.teach.sources import some_of, words_within
from edgedistill.teach.units import Unit, split_at_spaces


def test_some_of_draws_no_more_texts_than_asked_for_in_their_order_and_takes_all_of_few() -> None:
    texts = [f"text {i:03d}" for i in range(100)]
    drawn = some_of(texts, 10, seed=3)
    assert len(set(drawn)) == 10
    assert drawn == sorted(drawn)
    assert drawn == some_of(texts, 10, seed=3) != some_of(texts, 10, seed=4)
    assert some_of(texts, 100, seed=3) == texts


def words(index: int) -> tuple[Unit, ...]:
    return split_at_spaces(f"number {index} of many")  # four words


@pytest.mark.parametrize("limit", [80, 200, 1_000_000])
def test_words_within_when_the_texts_hold_no_more_than_twice_the_limit_then_all_in_their_order(limit: int) -> None:
    assert words_within(40, words, limit=limit, seed=3) == [words(index) for index in range(40)]


def test_words_within_when_the_texts_hold_more_then_some_of_them_drawn_at_random_in_their_order() -> None:
    drawn = words_within(40, words, limit=20, seed=3)
    assert len(drawn) == 10  # 40 words
    numbers = [int(row[1].text) for row in drawn]
    assert numbers == sorted(numbers)
    assert numbers != list(range(10))
    assert drawn == words_within(40, words, limit=20, seed=3) != words_within(40, words, limit=20, seed=4)
    assert len(words_within(40, words, limit=0, seed=3)) == 1
