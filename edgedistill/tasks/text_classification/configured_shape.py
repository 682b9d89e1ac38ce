"""The shape of a BERT-family classifier by its config.json, for what it costs."""

from collections.abc import Mapping
from typing import Any

from edgedistill.low_rank import RANK_KEY
from edgedistill.shape import StudentShape

_FAMILIES = frozenset({"bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert"})
"""Those whose layers have the products that a student's have."""


def configured_shape(config: Mapping[str, Any]) -> StudentShape | None:
    """Return the shape that a config.json of transformers says; None where it is of another family or says too little."""
    layers, hidden = _size(config, "num_hidden_layers", "n_layers"), _size(config, "hidden_size", "dim")
    heads, inner = _size(config, "num_attention_heads", "n_heads"), _size(config, "intermediate_size", "hidden_dim")
    vocabulary = _size(config, "vocab_size")
    if config.get("model_type") not in _FAMILIES or not all((layers, hidden, heads, inner, vocabulary)):
        return None
    rank = config.get(RANK_KEY)
    if config["model_type"] == "electra" and config.get("embedding_size", hidden) != hidden:
        rank = config["embedding_size"]
    return StudentShape.model_construct(  # a rung's limits are for the ladder
        id=str(config["model_type"]), layers=layers, hidden=hidden, heads=heads, intermediate=inner, vocabulary=vocabulary,
        embedding_rank=rank,
    )


def _size(config: Mapping[str, Any], *keys: str) -> int:
    """Return the number under the first key that holds one; 0 where none does."""
    return next((config[key] for key in keys if isinstance(config.get(key), int)), 0)
