"""The batches of a whole training, laid out beforehand."""

import numpy as np
from numpy.typing import NDArray

_BATCHES_PER_POOL = 50


def plan_batches(lengths: NDArray[np.int64], *, batch_size: int, steps: int, seed: int) -> list[NDArray[np.int64]]:
    """Lay out every batch of a training.

    Each pass shuffles the examples, sorts pools of `batch_size * 50` by length, cuts them into batches and shuffles the
    batches: padding almost vanishes and the order stays random.

    Args:
        lengths: tokens of each example, shape (n,).
        batch_size: examples a batch; the last of a pass may be smaller. A single example that is left joins the batch before:
            a batch norm cannot be trained on maps of one picture that are one pixel large.
        steps: batches in all.
        seed: of the order.

    Returns:
        `steps` arrays of example indices.
    """
    batches: list[NDArray[np.int64]] = []
    epoch = 0
    while len(batches) < steps:
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(lengths))
        pool_size = batch_size * _BATCHES_PER_POOL
        of_pass: list[NDArray[np.int64]] = []
        for start in range(0, len(order), pool_size):
            pool = order[start : start + pool_size]
            pool = pool[np.argsort(lengths[pool], kind="stable")]
            of_pass += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
        if len(of_pass) > 1 and len(of_pass[-1]) == 1 < batch_size:
            of_pass[-2:] = [np.concatenate(of_pass[-2:])]
        batches += [of_pass[i] for i in rng.permutation(len(of_pass))]
        epoch += 1
    return batches[:steps]
