"""The batches of a training: every example once a pass, like lengths together, the same for the same seed."""

import numpy as np
import pytest

from edgedistill.batch_order import plan_batches


def test_plan_batches_with_the_same_seed_gives_the_same_batches() -> None:
    lengths = np.random.default_rng(0).integers(3, 30, 100)
    first, second, other = (plan_batches(lengths, batch_size=8, steps=40, seed=seed) for seed in (1, 1, 2))
    assert [batch.tolist() for batch in first] == [batch.tolist() for batch in second]
    assert [batch.tolist() for batch in first] != [batch.tolist() for batch in other]


@pytest.mark.parametrize(("n", "batch_size"), [(100, 8), (96, 8), (5, 8), (1, 1), (1000, 4)])
def test_plan_batches_in_each_pass_holds_every_example_once(n: int, batch_size: int) -> None:
    batches_a_pass = -(-n // batch_size)
    batches = plan_batches(np.arange(n) % 7, batch_size=batch_size, steps=3 * batches_a_pass, seed=3)
    for start in range(0, len(batches), batches_a_pass):
        seen = np.concatenate(batches[start : start + batches_a_pass])
        assert sorted(seen.tolist()) == list(range(n))


@pytest.mark.parametrize(("n", "sizes"), [(17, [8, 9]), (9, [9]), (18, [2, 8, 8]), (1, [1])])
def test_plan_batches_when_one_example_is_left_then_it_joins_the_batch_before(n: int, sizes: list[int]) -> None:
    batches = plan_batches(np.full(n, 5), batch_size=8, steps=len(sizes), seed=3)
    assert sorted(map(len, batches)) == sizes
    assert sorted(np.concatenate(batches).tolist()) == list(range(n))


def test_plan_batches_orders_every_pass_anew() -> None:
    batches = plan_batches(np.full(64, 5), batch_size=8, steps=16, seed=3)
    assert np.concatenate(batches[:8]).tolist() != np.concatenate(batches[8:]).tolist()


@pytest.mark.parametrize("steps", [1, 7, 13, 26])
def test_plan_batches_gives_exactly_the_steps_asked_for(steps: int) -> None:
    assert len(plan_batches(np.full(100, 5), batch_size=8, steps=steps, seed=0)) == steps


def test_plan_batches_puts_texts_of_like_length_together() -> None:
    lengths = np.random.default_rng(0).permutation(np.repeat(np.arange(4, 64), 20))
    batches = plan_batches(lengths, batch_size=8, steps=150, seed=0)
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    unsorted = [order[i : i + 8] for order in [np.random.default_rng(1).permutation(1200)] for i in range(0, 1200, 8)]
    waste, waste_unsorted = padded / lengths.sum() - 1, sum(8 * lengths[b].max() for b in unsorted) / lengths.sum() - 1
    assert waste < 0.1 < 0.5 < waste_unsorted
