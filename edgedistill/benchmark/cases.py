"""One model in detail: by length, batch and threads, with and without arena, and end to end."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgedistill.benchmark.statistics import percentile, pooled
from edgedistill.document import Document
from edgedistill.results import Measurement

BATCHES = (1, 8)
_PERCENTILES = (5, 50, 95, 100)
_ROWS = 32


class Case(Document):
    """How a model is run."""

    sequence_tokens: int = Field(ge=1, description="length of an example; of pictures the pixels")
    batch: int = Field(1, ge=1, description="rows a call")
    threads: int = Field(1, ge=1)
    arena: bool = Field(True, description="may onnxruntime keep freed memory?")
    is_end_to_end: bool = Field(False, description="is tokenizing, or decoding and normalising, inside the timed call?")
    unit: str = Field("tokens", description="what the length is counted in: tokens or pixels")

    @property
    def name(self) -> str:
        """What tells it from the other cases."""
        words = [f"{self.sequence_tokens} {self.unit}", f"batch {self.batch}", f"{self.threads} thread(s)"]
        words += [] if self.arena else ["no arena"]
        return ", ".join([*words, "end to end"] if self.is_end_to_end else words)


class CaseRow(Document):
    """A case and what was measured; raw samples are the record."""

    case: Case
    measurement: Measurement

    @property
    def p50_s(self) -> float:
        """Seconds of a call, over all rounds."""
        return percentile(pooled(self.measurement.rounds_s), 50)

    @property
    def p90_s(self) -> float:
        """Seconds of a call, over all rounds."""
        return percentile(pooled(self.measurement.rounds_s), 90)

    @property
    def p99_s(self) -> float:
        """Seconds of a call, over all rounds."""
        return percentile(pooled(self.measurement.rounds_s), 99)

    @property
    def examples_per_s(self) -> float:
        """Examples of a call over its p50: texts or images a second."""
        return self.case.batch / self.p50_s


class Detail(Document):
    """All cases of one model; the first is the one that the others differ from in one thing each."""

    rows: tuple[CaseRow, ...] = Field(min_length=1)


def cases_of(lengths: NDArray[np.int64], *, threads: int, cores: int, unit: str = "tokens") -> tuple[Case, ...]:
    """Return the cases: the data's median length, one row, and from there one thing changed at a time.

    Pictures are all of one length, so that there are no cases of other lengths then.

    Args:
        lengths: of every row, shape (n,), n >= 1.
        threads: of the first case.
        cores: of this machine.
        unit: what lengths are counted in.
    """
    quantiles = np.quantile(lengths, np.array(_PERCENTILES) / 100, method="closest_observation")
    base = Case(sequence_tokens=int(quantiles[_PERCENTILES.index(50)]), threads=threads, unit=unit)
    changes: list[dict[str, object]] = [{"is_end_to_end": True}, {"arena": False}]
    changes += [{"sequence_tokens": int(length)} for length in quantiles]
    changes += [{"batch": batch} for batch in BATCHES]
    changes += [{"threads": count} for count in _powers_of_two(cores)]
    found = [base, *(base.model_copy(update=change) for change in changes)]
    return tuple(dict.fromkeys(found))


def _powers_of_two(most: int) -> list[int]:
    return [2**power for power in range(most.bit_length()) if 2**power <= most]


def rows_near(lengths: NDArray[np.int64], tokens: int, *, batch: int) -> NDArray[np.int64]:
    """Return the rows of exactly one length, at most 32, and enough for a whole batch: few are repeated.

    Args:
        lengths: of every row, shape (n,); at least one row has `tokens`.
        tokens: the length.
        batch: rows a call.
    """
    rows = np.flatnonzero(lengths == tokens)
    most = max(batch, _ROWS // batch * batch)
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]
    return np.resize(rows, max(batch, len(rows) // batch * batch))


def case_rows(cases: Sequence[Case], measurements: Sequence[Measurement]) -> Detail:
    """Put cases and measurements together, in order."""
    return Detail(rows=tuple(CaseRow(case=c, measurement=m) for c, m in zip(cases, measurements, strict=True)))
