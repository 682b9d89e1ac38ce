"""The search over schemes, calibrations and nodes in float; neural-compressor's loop drives it, the court scores."""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from edgedistill.int8_settings import PostTraining
from edgedistill.quantize.calibration import CalibrationMethod
from edgedistill.quantize.candidates import Candidate
from edgedistill.quantize.court import Court, Judged, least_divergent
from edgedistill.quantize.judgement import uncovered
from edgedistill.quantize.rescue import DEPARTURES, ROW_SCALES, SEVEN_BITS, Sufferer, noisiest
from edgedistill.quantize.scheme_names import Scheme
from edgedistill.quantize.sensitivity import Noise
from edgedistill.quantize.tuning import Options, Terms, Way, tune

log = logging.getLogger("edgedistill")

METHODS: tuple[CalibrationMethod, ...] = ("percentile", "entropy", "min-max")

RESCUED = 2
"""Schemes that are tried with calibrations and nodes in float, those that diverge least."""


@dataclass(frozen=True)
class Tried:
    """What a search came to.

    Attributes:
        judged: all that was tried, in order.
        noise: the nodes that suffer most, where that was looked into: of the scheme that was rescued, else of the least
            divergent one.
    """

    judged: tuple[Judged, ...]
    noise: tuple[Noise, ...] = ()


def search(court: Court, groups: Sequence[Sequence[Scheme]], wanted: PostTraining) -> Tried:
    """Judge the first group of schemes, then the next, until a group holds one that keeps the goal; then rescue the best.

    All of a group are judged, so that speed and divergence can decide between them. The rescue ends at the first candidate that
    keeps the goal.

    Args:
        court: judges, and holds what it judged.
        groups: schemes in the order in which they are tried, each in one group.
        wanted: the calibration, and how many rescues are tried for how long.
    """
    schemes = tuple(dict.fromkeys(scheme for group in groups for scheme in group))
    state, terms = _Search(court, groups, wanted), _terms(court, plain=len(schemes), trials=wanted.trials)

    def score(way: Way) -> float:
        return _score(court, court.judge(state.candidate(way)), terms)

    history = tune([_options(scheme, wanted) for scheme in schemes], state.order, score, terms)
    return Tried(tuple(court.judge(state.candidate(way)) for way in history), state.noise(history))


def _options(scheme: Scheme, wanted: PostTraining) -> Options:
    return Options(scheme, tuple(dict.fromkeys((wanted.calibration.method, *(METHODS if scheme.needs_calibration else ())))),
                   DEPARTURES)


def _terms(court: Court, *, plain: int, trials: int) -> Terms:
    """Return the float model's figure and the share of it that may be lost: accuracy with labels, else agreement."""
    right = court.float_accuracy
    if right:
        return Terms(right, court.goal.max_accuracy_loss / right, plain, trials)
    return Terms(1.0, 1.0 - court.goal.min_agreement, plain, trials)


def _score(court: Court, judged: Judged, terms: Terms) -> float:
    """Return the figure that the baseline is one of; the court's word counts where the figure alone says otherwise."""
    accuracy = judged.evidence.accuracy if court.float_accuracy else None
    figure = judged.evidence.agreement if accuracy is None else accuracy
    return max(figure, terms.least) if judged.keeps_the_goal else min(figure, math.nextafter(terms.least, -math.inf))


@dataclass
class _Search:
    """The order of a search, made up as it goes."""

    court: Court
    groups: Sequence[Sequence[Scheme]]
    wanted: PostTraining
    _sufferers: dict[Scheme, Sufferer] = field(default_factory=dict)

    def order(self) -> Iterator[Way]:
        """Yield what is tried next, when the one before was judged."""
        for group in self.groups:
            yield from (Way(scheme, self.wanted.calibration.method) for scheme in group)
            if any(item.keeps_the_goal for item in self.court.judged):
                return
        yield from self._in_time(self._rescues())

    def candidate(self, way: Way) -> Candidate:
        """Return the candidate that a way of this order stands for.

        Raises:
            ValueError: it departs further than any way of this order does.
        """
        found = self._candidate(way)
        if found is None:
            raise ValueError(f"{way.scheme.name} does not depart so far: {way.departure}")
        return found

    def noise(self, history: Sequence[Way]) -> tuple[Noise, ...]:
        """Return the nodes that suffer most of the scheme that was tried last; none where a scheme kept the goal."""
        last = history[-1]
        if not any(item.keeps_the_goal for item in self.court.judged):
            return self._sufferer(self._best()[0]).noise
        return self._sufferer(last.scheme).noise if last.departure else ()

    def _candidate(self, way: Way) -> Candidate | None:
        if not way.departure:
            return Candidate(way.scheme, way.method)
        return self._sufferer(way.scheme).depart(way.method, way.departure)

    def _sufferer(self, scheme: Scheme) -> Sufferer:
        if scheme not in self._sufferers:
            start = Candidate(scheme, self.wanted.calibration.method)
            self._sufferers[scheme] = Sufferer(self.court, start, noisiest(self.court, start))
        return self._sufferers[scheme]

    def _best(self) -> list[Scheme]:
        """Return the schemes that diverge least, as they are, of those that make enough of the graph int8."""
        method = self.wanted.calibration.method
        plain = [item for item in self.court.judged if item.candidate == Candidate(item.candidate.scheme, method)]
        left = [item for item in plain if not uncovered(item.evidence, self.court.goal)] or plain
        found: list[Scheme] = []
        while left and len(found) < RESCUED:
            best = least_divergent(left)
            found.append(best.candidate.scheme)
            left.remove(best)
        return found

    def _rescues(self) -> Iterator[Way]:
        """Yield departures, the least first, of one scheme and the other in turn."""
        schemes, method = self._best(), self.wanted.calibration.method
        for departure in (SEVEN_BITS, ROW_SCALES):
            yield from (Way(scheme, method, departure) for scheme in schemes)
        calibrated = [scheme for scheme in schemes if scheme.needs_calibration]
        for other in METHODS:
            yield from (Way(scheme, other, ROW_SCALES) for scheme in calibrated if other != method)
        for departure in DEPARTURES[ROW_SCALES + 1 :]:
            yield from (Way(scheme, method, departure) for scheme in schemes)

    def _in_time(self, ways: Iterator[Way]) -> Iterator[Way]:
        """Yield ways that make a candidate which was not judged yet, until the time is over; the first whatever the time."""
        deadline = time.monotonic() + self.wanted.time_limit_s
        for way in ways:
            candidate = self._candidate(way)
            if candidate is None or candidate in {item.candidate for item in self.court.judged}:
                continue
            yield way
            if time.monotonic() > deadline:
                log.warning("the search for an int8 model ends: its time is over")
                return
