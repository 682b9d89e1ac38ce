"""The bars of the page, which need no script: budgets, memory, size by part, int8 by layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgedistill.report import wording
from edgedistill.report.model import VariantReport
from edgedistill.report.wording import share_text, size_text
from edgedistill.results import BudgetCheck, LayerCoverage, Source, Variant

_BAR_ROOM = 1.15
"""A bar's track ends this far beyond the larger of value and limit."""


@dataclass(frozen=True)
class Bar:
    """A bar of the page; shares are of the track's width, 0 to 1.

    Attributes:
        name: what it stands for.
        text: its value in words.
        share: how far it is filled.
        source: how the value is known; decides the filling.
        limit_share: where the limit stands; None for none.
        is_over: is the limit missed?
        note: a sentence under it.
    """

    name: str
    text: str
    share: float
    source: Source
    limit_share: float | None = None
    is_over: bool = False
    note: str = ""


@dataclass(frozen=True)
class LayerBar:
    """A bar of two parts, int8 and float; shares are of the track's width, 0 to 1."""

    name: str
    text: str
    int8_share: float
    float_share: float


def budget_bar(budget: BudgetCheck) -> Bar:
    """Return a budget as a bar against its limit."""
    whole = max(budget.value, budget.limit) * _BAR_ROOM
    return Bar(
        name=wording.BUDGET_NAMES[budget.name],
        text=" of ".join(wording.apart_text(budget.value, budget.limit, budget.unit)),
        share=budget.value / whole,
        source=budget.source,
        limit_share=budget.limit / whole,
        is_over=not budget.met,
        note=budget.why,
    )


def memory_bars(variants: Mapping[Variant, VariantReport]) -> tuple[Bar, ...]:
    """Return the peak memory of every variant that has one, over that of the bare runtime."""
    known = {name: v.peak_rss_bytes for name, v in variants.items() if v.peak_rss_bytes is not None}
    over = {name: max(rss.value - rss.baseline, 0) for name, rss in known.items()}
    most = max(over.values(), default=0) or 1
    return tuple(
        Bar(name, f"{size_text(value)} over {size_text(known[name].baseline)}, {known[name].source}", value / most,
            known[name].source)
        for name, value in over.items()
    )


def part_bars(bytes_by_part: Mapping[str, int]) -> tuple[Bar, ...]:
    """Return the bytes of the parts of a model."""
    whole = sum(bytes_by_part.values()) or 1
    return tuple(
        Bar(name, f"{size_text(count)}, {share_text(count / whole)}", count / whole, "measured")
        for name, count in bytes_by_part.items()
    )


def layer_bars(layers: Sequence[LayerCoverage]) -> tuple[LayerBar, ...]:
    """Return the layers of a model by their weight bytes, each split into int8 and float."""
    most = max((layer.int8_bytes + layer.float_bytes for layer in layers), default=0) or 1
    return tuple(
        LayerBar(
            name=layer.layer,
            text=f"{size_text(layer.int8_bytes + layer.float_bytes)}, "
                 f"{share_text(layer.int8_bytes / max(1, layer.int8_bytes + layer.float_bytes))} int8; "
                 f"{layer.int8_nodes} of {layer.int8_nodes + layer.float_nodes} nodes",
            int8_share=layer.int8_bytes / most, float_share=layer.float_bytes / most,
        )
        for layer in layers
    )
