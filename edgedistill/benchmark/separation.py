"""Which of the models that one benchmark measured can be told apart on this machine."""

from collections.abc import Mapping, Sequence
from itertools import combinations

from edgedistill.benchmark.comparison import FEWEST_PAIRS, compare_pairs
from edgedistill.benchmark.statistics import undecided_warnings
from edgedistill.results import Measurement


def separated(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Return the measurements with a warning on both of every two that cannot be told apart; these are noisy.

    Where there are too few processes to compare any two (`too_few_processes`), that is the fault of no measurement.
    """
    if too_few_processes(measurements):
        return tuple(measurements)
    found = _undecided(measurements)
    return tuple(
        m.model_copy(update={"is_noisy": m.is_noisy or bool(found[m.variant]), "warnings": (*found[m.variant], *m.warnings)})
        for m in measurements
    )


def too_few_processes(measurements: Sequence[Measurement]) -> str:
    """Say that models had more than one process each and too few to be compared; empty where that is not so."""
    processes = measurements[0].protocol.processes
    if len(measurements) < 2 or not 1 < processes < FEWEST_PAIRS:
        return ""
    return f"{processes} processes a model are too few to say which of two is faster"


def _undecided(measurements: Sequence[Measurement]) -> Mapping[str, tuple[str, ...]]:
    """Return the sentences by variant: over pairs of processes where there are several, else over the rounds."""
    if measurements[0].protocol.processes == 1:
        return undecided_warnings({m.variant: m.rounds_s for m in measurements})
    found: dict[str, tuple[str, ...]] = {m.variant: () for m in measurements}
    for reference, candidate in combinations(measurements, 2):
        comparison = compare_pairs(reference.processes_s, candidate.processes_s)
        if comparison.verdict == "undecided":
            sentence = comparison.sentence(reference.variant, candidate.variant)
            for m in (reference, candidate):
                found[m.variant] = (*found[m.variant], sentence)
    return found


def sentences(measurements: Sequence[Measurement], names: Mapping[str, str]) -> tuple[str, ...]:
    """Return what may be said of every two models, in words.

    Args:
        measurements: of one benchmark with several processes a model.
        names: what each variant is called.
    """
    return tuple(
        compare_pairs(a.processes_s, b.processes_s).sentence(names[a.variant], names[b.variant])
        for a, b in combinations(measurements, 2)
    )
