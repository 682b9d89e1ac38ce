"""A transformer of another maker, fused before it is quantized: its config.json says what the fuser wants to know."""

from pathlib import Path
from typing import Any

import onnx

from edgedistill.export.families import FAMILIES
from edgedistill.quantize.model_config import read_config
from edgedistill.quantize.plain_form import read_proto

_FUSED_DOMAIN = "com.microsoft"


def fused_form(source: Path, out: Path, *, model: Path) -> Path:
    """Return the graph with attention, LayerNorm and GELU as one node each, as `export` writes it.

    Args:
        source: a float ONNX file, all weights in it.
        out: written only where something was fused.
        model: the folder whose config.json says the family and its sizes.

    Returns:
        `source` itself where the config is none of a transformer that the fuser knows, the graph is fused already, or nothing in
        it could be fused; else `out`.
    """
    config = read_config(model)
    sizes = _sizes(config)
    if sizes is None or config.get("model_type") not in FAMILIES or _is_fused(source):
        return source
    from edgedistill.export.graph import fuse

    heads, hidden = sizes
    fuse(source, out, model_type=config["model_type"], heads=heads, hidden=hidden)
    if not _is_fused(out):
        out.unlink()
        return source
    fused, most = onnx.load(out), read_proto(source).ir_version
    if fused.ir_version > most:  # the target's runtime reads the source's
        fused.ir_version = most
        onnx.save(fused, out)
    return out


def _sizes(config: dict[str, Any]) -> tuple[int, int] | None:
    heads, hidden = config.get("num_attention_heads") or config.get("n_heads"), config.get("hidden_size") or config.get("dim")
    return (heads, hidden) if isinstance(heads, int) and isinstance(hidden, int) else None


def _is_fused(path: Path) -> bool:
    return any(node.domain == _FUSED_DOMAIN for node in read_proto(path).graph.node)
