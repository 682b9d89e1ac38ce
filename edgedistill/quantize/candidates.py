"""A candidate: a scheme, how it is calibrated, and what is treated otherwise; and the file that it makes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from edgedistill.quantize.calibration import CalibrationMethod, Stream
from edgedistill.quantize.onnx_quantizer import quantize_dynamically
from edgedistill.quantize.scheme_names import Scheme
from edgedistill.quantize.static_quantizer import Calibration, quantize_statically
from edgedistill.quantize.weight_only import quantize_weights_only


@dataclass(frozen=True)
class Candidate:
    """One way to make an int8 file.

    Attributes:
        scheme: how weights and activations become int8.
        method: how the ranges of a static scheme are chosen.
        excluded: nodes that stay float.
        by_row: nodes whose embedding table gets a scale a row.
    """

    scheme: Scheme
    method: CalibrationMethod = "min-max"
    excluded: tuple[str, ...] = ()
    by_row: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The candidate in words, for a table or a log."""
        parts = [self.scheme.name]
        if self.scheme.needs_calibration:
            parts.append(self.method)
        if self.by_row:
            parts.append("a scale for each embedding row")
        if self.excluded:
            parts.append(f"float: {', '.join(self.excluded)}")
        return "; ".join(parts)

    def without(self, nodes: Iterable[str]) -> Self:
        """Return the same with more nodes in float."""
        return replace(self, excluded=(*self.excluded, *(node for node in nodes if node not in self.excluded)))


def make_candidate(source: Path, out: Path, candidate: Candidate, *, calibration: Stream | None) -> None:
    """Make the int8 file of a candidate.

    Args:
        source: the float ONNX file.
        out: the file to make.
        candidate: how.
        calibration: rows from the training split; only a static scheme needs them.

    Raises:
        ValueError: a static scheme without rows.
    """
    scheme = candidate.scheme
    if scheme.kind == "dynamic":
        quantize_dynamically(source, out, scheme, excluded=candidate.excluded, by_row=candidate.by_row)
    elif scheme.kind == "weight_only":
        quantize_weights_only(source, out, scheme, excluded=candidate.excluded, by_row=candidate.by_row)
    elif calibration is None:
        raise ValueError(f"{scheme.name} needs rows to calibrate on")
    else:
        quantize_statically(source, out, scheme, calibration=Calibration(calibration, candidate.method),
                            excluded=candidate.excluded, by_row=candidate.by_row)
