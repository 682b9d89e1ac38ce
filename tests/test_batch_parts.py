"""Parts of a batch: as few as the length of the texts asks for, every row once, short texts never split."""

from typing import Any

import numpy as np
import pytest

from edgedistill.batch_parts import parts_of, rows_that_fit


def batch_of(rows: int, tokens: int) -> dict[str, Any]:
    ids = np.arange(rows)[:, None] * np.ones((1, tokens), np.int64)
    return {"input_ids": ids, "labels": np.arange(rows), "loss_weight": np.array(0.5, np.float32)}


@pytest.mark.parametrize(("tokens", "rows"), [(65, 252), (128, 128), (256, 32), (512, 8), (4096, 1)])
def test_rows_that_fit_when_texts_are_longer_than_128_tokens_then_fewer_by_the_square(tokens: int, rows: int) -> None:
    assert rows_that_fit(tokens) == rows


@pytest.mark.parametrize(("rows", "tokens", "sizes"), [
    (128, 64, [128]), (4096, 64, [4096]), (128, 128, [128]), (128, 129, [64, 64]), (33, 256, [17, 16]), (20, 512, [7, 7, 6]), (0, 512, [0]),
])
def test_parts_when_a_batch_is_large_then_of_like_size_and_every_row_once(rows: int, tokens: int, sizes: list[int]) -> None:
    batch = batch_of(rows, tokens)
    parts = parts_of(batch)
    assert [len(part["labels"]) for part in parts] == sizes
    assert np.concatenate([part["labels"] for part in parts]).tolist() == list(range(rows))
    assert all(part["input_ids"][:, 0].tolist() == part["labels"].tolist() for part in parts)
    assert all(float(part["loss_weight"]) == 0.5 for part in parts)
    assert (parts[0] is batch) == (len(sizes) == 1)


def test_parts_when_the_batch_is_of_pictures_then_it_is_left_whole() -> None:
    batch = {"pixel_values": np.zeros((256, 3, 64, 64), np.float32)}
    assert parts_of(batch)[0] is batch
