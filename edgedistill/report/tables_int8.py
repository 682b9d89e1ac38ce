"""The tables of the int8 model: what is int8 by part and layer, what stayed float and why, which candidates there were."""

from edgedistill.emulation.findings import answers_text
from edgedistill.report.model import TargetReport
from edgedistill.report.tables import UNKNOWN, Table
from edgedistill.report.wording import range_text, share_text, size_text, time_text
from edgedistill.results import Interval

_NODES_NAMED = 6
NO_REASON = "not recorded: an earlier version quantized this model"


def coverage(target: TargetReport) -> Table:
    """Return the int8 file's bytes by part."""
    parts = target.int8_coverage.bytes_by_part
    whole = max(sum(parts.values()), 1)
    return Table(
        ("part", "bytes", "share"), tuple((name, size_text(n), share_text(n / whole)) for name, n in parts.items())
    )


def coverage_text(target: TargetReport) -> str:
    """Say how much of the model is int8."""
    found = target.int8_coverage
    fused = "" if found.runtime_nodes_share is None else (
        f"; of the nodes as onnxruntime fuses them here, {share_text(found.runtime_nodes_share)}"
    )
    return (f"{share_text(found.weight_bytes_share)} of the weight bytes and {share_text(found.nodes_share)} of the nodes on "
            f"weights are int8{fused}.")


def float_nodes(target: TargetReport) -> Table:
    """Return the nodes on weights that stayed in float, by the reason, the most frequent first."""
    found = target.int8_coverage
    reasons = dict.fromkeys(found.float_nodes, NO_REASON) | found.float_reasons
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(name)
    rows = tuple(
        (reason, _named(names), str(len(names)))
        for reason, names in sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    )
    return Table(("why in float", "which", "nodes"), rows, words=2)


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
