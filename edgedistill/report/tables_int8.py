"""The tables of the int8 models: what is int8 by variant, part and layer, what stayed float and why, which candidates stood."""

from collections.abc import Mapping

from edgedistill.emulation.findings import answers_text
from edgedistill.report.model import Int8Form, TargetReport
from edgedistill.report.tables import UNKNOWN, Table
from edgedistill.report.wording import range_text, share_text, size_text, time_text
from edgedistill.results import Coverage, Interval, Variant

_NODES_NAMED = 6
_PARTS = ("embedding", "encoder", "head", "other")
NO_REASON = "not recorded: an earlier version quantized this model"


def coverage(target: TargetReport) -> Table:
    """Return the int8 file's bytes by part."""
    parts = target.int8_coverage.bytes_by_part
    whole = max(sum(parts.values()), 1)
    return Table(
        ("part", "bytes", "share"), tuple((name, size_text(n), share_text(n / whole)) for name, n in parts.items())
    )


def coverage_text(target: TargetReport) -> str:
    """Say how much of the model is int8, and which table is in it twice."""
    found = target.int8_coverage
    fused = "" if found.runtime_nodes_share is None else (
        f"; of the nodes as onnxruntime fuses them here, {share_text(found.runtime_nodes_share)}"
    )
    return (f"{share_text(found.weight_bytes_share)} of the weight bytes and {share_text(found.nodes_share)} of the nodes on "
            f"weights are int8{fused}." + "".join(f" {line[0].upper()}{line[1:]}." for line in found.stored_twice))


def variants(target: TargetReport) -> Table:
    """Return the int8 variants with their schemes, how much of each is int8, and the bytes of their parts.

    No rows where no other than the shipped one was recorded, as in an older report: what is said of that one stands elsewhere.
    """
    forms = _forms(target)
    rows = tuple(
        (name, form.scheme, _float_words(form.coverage), share_text(form.coverage.weight_bytes_share),
         share_text(form.coverage.nodes_share), *(size_text(form.coverage.bytes_by_part.get(part, 0)) for part in _PARTS))
        for name, form in forms.items()
    )
    return Table(("variant", "scheme", "nodes left in float, and why", "weight bytes in int8", "nodes in int8", *_PARTS),
                 rows if len(rows) > 1 else (), words=3)


def variant_nodes(target: TargetReport) -> Table:
    """Return the nodes on weights that stayed in float in each int8 variant, by name; no rows where `variants` has none."""
    forms = _forms(target)
    rows = tuple(
        (name, reason, _named(names), str(len(names)))
        for name, form in forms.items() for reason, names in _by_reason(form.coverage).items()
    )
    return Table(("variant", "why in float", "which", "nodes"), rows if len(forms) > 1 else (), words=3)


def _forms(target: TargetReport) -> Mapping[Variant, Int8Form]:
    return {name: variant.int8 for name, variant in target.variants.items() if variant.int8 is not None}


def _float_words(coverage: Coverage) -> str:
    """Say how many nodes stayed in float for which reason."""
    return "; ".join(f"{len(names)}: {reason}" for reason, names in _by_reason(coverage).items()) or "none"


def float_nodes(target: TargetReport) -> Table:
    """Return the nodes on weights that stayed in float in the int8 model that ships, by the reason, the most frequent first."""
    rows = tuple((reason, _named(names), str(len(names))) for reason, names in _by_reason(target.int8_coverage).items())
    return Table(("why in float", "which", "nodes"), rows, words=2)


def _by_reason(coverage: Coverage) -> dict[str, list[str]]:
    """Return the names of the nodes that stayed in float by the reason, the most frequent first."""
    reasons = dict.fromkeys(coverage.float_nodes, NO_REASON) | coverage.float_reasons
    found: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        found.setdefault(reason, []).append(name)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _NODES_NAMED} more" if len(names) > _NODES_NAMED else ""
    return ", ".join(names[:_NODES_NAMED]) + more


def layers(target: TargetReport) -> Table:
    """Return how much of each layer of the int8 model is int8."""
    rows = tuple(
        (layer.layer, size_text(layer.int8_bytes), size_text(layer.float_bytes),
         share_text(layer.int8_bytes / max(1, layer.int8_bytes + layer.float_bytes)),
         f"{layer.int8_nodes} of {layer.int8_nodes + layer.float_nodes}")
        for layer in target.quantization.layers
    )
    return Table(("layer", "int8", "float", "of the weight bytes", "nodes in int8"), rows)


def schemes(target: TargetReport) -> Table:
    """Return the candidates for int8 that were before the court, each with its reason; figures are those on validation."""
    rows = tuple(
        (item.title, item.outcome, item.reason, _share_if_known(item.agreement), _share_if_known(item.accuracy),
         UNKNOWN if item.kl_nats is None else f"{item.kl_nats:.2g}",
         UNKNOWN if item.size_bytes is None else size_text(item.size_bytes), _share_if_known(item.weight_bytes_share),
         UNKNOWN if item.p50_s is None else time_text(item.p50_s.value))
        for item in target.quantization.table
    )
    return Table(("candidate", "outcome", "why", "same answer as float", "accuracy", "KL to float, nats", "size",
                  "weight bytes int8", "p50 on the host"), rows, words=3)


def instruction_sets(target: TargetReport) -> Table:
    """Return the int8 file's answers by instruction set beside the host's, a line for each core; no rows in older reports."""
    rows = tuple(
        (f"{line.core} (the target's)" if line.is_target else line.core,
         "not checked" if line.parity is None else line.parity.source, answers_text(line),
         _accuracy(line.accuracy), _accuracy(line.host_accuracy),
         UNKNOWN if line.int8_path is None else line.int8_path.upper())
        for line in target.instruction_sets
    )
    return Table(("core", "source", "against this host", "accuracy there (95 % interval)", "of the same rows here",
                  "int8 products by"), rows, words=3)


def _accuracy(found: Interval | None) -> str:
    return UNKNOWN if found is None else f"{share_text(found.value)} ({range_text((found.low, found.high))})"


def _share_if_known(share: float | None) -> str:
    return UNKNOWN if share is None else share_text(share)
