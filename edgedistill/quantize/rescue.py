"""When every scheme misses the goal: how the best of them may depart from what they are, the least departure first.

0       as it is
1       in 7 bits, where the target saturates
2       on top of 1, a scale for each embedding row, where the tables suffer most
2 + k   on top of 2, the nodes that suffer most back in float: `FLOAT_NODES[k - 1]` of them
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from edgedistill.quantize.calibration import CalibrationMethod
from edgedistill.quantize.candidates import Candidate
from edgedistill.quantize.court import Court
from edgedistill.quantize.rows import each, some_rows
from edgedistill.quantize.scheme_names import in_seven_bits
from edgedistill.quantize.sensitivity import Noise, noise_by_node
from edgedistill.quantize.static_quantizer import Calibration

log = logging.getLogger("edgedistill")

NOISE_ROWS = 16
"""Rows by whose activations the nodes are ranked."""

SUBSET_ROWS = 128
"""Judged rows on which nodes are left out one at a time."""

LEFT_OUT = 8
"""Nodes that are left out one at a time: those of the lowest signal-to-noise ratio, without those that are too large to be
float."""

POOR_TABLE_DB = 35.0
"""A table whose median row keeps less than this gets a scale a row; 8 bits of an even table keep about 40."""

SEVEN_BITS, ROW_SCALES = 1, 2

FLOAT_NODES = (*range(1, LEFT_OUT + 1), 12, 16, 24, 32, 48, 64, 96, 128)
"""How many nodes go back to float, step by step: one more at a time among those that are ranked by leaving each out, then half as
many again, in the order of their noise, until the coverage falls under its floor."""

DEPARTURES = tuple(range(ROW_SCALES + len(FLOAT_NODES) + 1))
"""All there are."""


def noisiest(court: Court, start: Candidate) -> tuple[Noise, ...]:
    """Return the nodes of the float model by what a candidate's scheme leaves of them, the worst first."""
    few = some_rows(court.rows, NOISE_ROWS)
    calibration = None if court.calibration is None else Calibration(court.calibration, start.method)
    return noise_by_node(court.source, lambda: each(few), start.scheme, calibration=calibration)


@dataclass(frozen=True)
class Sufferer:
    """A scheme that missed the goal, and what is known of why.

    Attributes:
        court: where single nodes are left out, on a part of its rows.
        start: the scheme as it is.
        noise: its nodes, the worst first.
    """

    court: Court
    start: Candidate
    noise: tuple[Noise, ...]

    def depart(self, method: CalibrationMethod, departure: int) -> Candidate | None:
        """Return the candidate that departs so far; None where no further node can be left in float.

        Args:
            method: how a static scheme is calibrated.
            departure: 0 to `DEPARTURES[-1]`.
        """
        found = replace(self.start, method=method)
        if departure >= SEVEN_BITS and self.court.saturates:
            found = replace(found, scheme=in_seven_bits(found.scheme))
        if departure >= ROW_SCALES:
            found = replace(found, by_row=self._poor_tables)
        if departure <= ROW_SCALES:
            return found
        step = departure - ROW_SCALES - 1
        nodes, fewer = self._ranked[: FLOAT_NODES[step]], FLOAT_NODES[step - 1] if step else 0
        is_possible = len(nodes) > fewer and _int8_share(nodes, self.noise) >= self.court.goal.min_coverage
        return found.without(nodes) if is_possible else None

    @cached_property
    def _poor_tables(self) -> tuple[str, ...]:
        return tuple(item.node for item in self.noise if item.is_table and item.worst_db < POOR_TABLE_DB)

    @cached_property
    def _ranked(self) -> list[str]:
        base = self.depart(self.start.method, ROW_SCALES)
        return [] if base is None else _by_leaving_one_out(self.court, base, self.noise)


def _int8_share(left_out: Sequence[str], noise: Sequence[Noise]) -> float:
    """Return the share of weight bytes that stays int8 with some nodes in float, four bytes a number."""
    floating = sum(item.weights for item in noise if item.node in left_out)
    rest = sum(item.weights for item in noise if item.node not in left_out)
    return rest / max(1, rest + 4 * floating)


def _by_leaving_one_out(court: Court, base: Candidate, noise: Sequence[Noise]) -> list[str]:
    """Return nodes in the order in which they go to float.

    The noisiest by what leaving each in float alone brings, on a subset of the judged rows; the others by their noise.
    """
    subset = replace(court, rows=some_rows(court.rows, SUBSET_ROWS), _made={})
    left: dict[str, float] = {}
    possible = [item for item in noise if _int8_share([item.node], noise) >= court.goal.min_coverage]
    for item in possible[:LEFT_OUT]:
        judged = subset.judge(base.without([item.node]))
        left[item.node] = judged.evidence.kl_nats
        judged.file.unlink()
    for node, kl in left.items():
        log.info("with %s in float the divergence is %.3g nats", node, kl)
    return [*sorted(left, key=lambda node: left[node]), *(item.node for item in possible[LEFT_OUT:])]
