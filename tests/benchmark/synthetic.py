"""Timings of a made-up machine: it wanders, drifts and jumps, its runs resemble each other and have heavy tails."""

from collections.abc import Sequence

import numpy as np
from scipy import signal


def states(random: np.random.Generator, n: int, *, drift: float = 0.0, wander: float = 0.03) -> np.ndarray:
    """How slow the machine is in each of n blocks: an autoregression, a drift, and jumps that last."""
    found, now, jump = [], 0.0, 0.0
    for i in range(n):
        now = 0.9 * now + random.normal(0, wander * np.sqrt(1 - 0.81))
        if random.random() < 0.03:
            jump = abs(random.standard_t(2)) * 0.1 * (random.random() < 0.5)
        found.append(now + jump + drift * i / n)
    return np.exp(found)


def block(random: np.random.Generator, seconds: float, runs: int = 20) -> list[float]:
    """Runs that follow each other: correlated at 0.6, one in twelve interrupted for a Pareto time."""
    noise = signal.lfilter([1.0], [1.0, -0.6], random.normal(0, 0.02, runs))
    times = seconds * np.exp(noise) * (1 + 0.02 * random.exponential(size=runs))
    hit = random.random(runs) < 0.08
    times[hit] *= 1 + random.pareto(1.5, int(hit.sum()))
    return list(times)


def pairs(seed: int, slow_down: float, *, n: int = 12, drift: float = 0.0, wander: float = 0.03) -> tuple[Sequence, Sequence]:
    """Two models over n pairs of processes; each process has its own luck with memory, two percent."""
    random = np.random.default_rng(seed)
    machine = states(random, 4 * n, drift=drift, wander=wander)
    reference, candidate = [], []
    for pair in range(n):
        luck = np.exp(random.normal(0, 0.02, 2))
        found: dict[str, list] = {"A": [], "B": []}
        for place, who in enumerate("ABBA" if random.random() < 0.5 else "BAAB"):
            own = luck[0] if who == "A" else luck[1] * slow_down
            found[who].append(block(random, machine[4 * pair + place] * own))
        reference.append(found["A"])
        candidate.append(found["B"])
    return reference, candidate
