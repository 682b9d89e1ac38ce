"""The shape of a picture model by its config.json, for what it costs."""

from collections.abc import Mapping
from typing import Any

from edgedistill.tasks.image_classification.shape import MobileNetShape, ResNetShape, ViTShape

_KEYS: Mapping[str, tuple[str, ...]] = {
    "resnet": ("embedding_size", "hidden_sizes", "depths"), "mobilenet_v2": ("depth_multiplier",),
    "vit": ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "patch_size"),
}


def configured_shape(config: Mapping[str, Any]) -> ResNetShape | MobileNetShape | ViTShape | None:
    """Return the shape that a config.json of transformers says; None where it is of another family or says too little."""
    kind = str(config.get("model_type"))
    if kind not in _KEYS or not all(key in config for key in _KEYS[kind]):
        return None
    first, *others = (config[key] for key in _KEYS[kind])
    if kind == "mobilenet_v2":
        return MobileNetShape.model_construct(id=kind, family="mobilenet_v2", multiplier=first)
    if kind == "vit":
        layers, heads, inner, patch = others
        return ViTShape.model_construct(id=kind, family="vit", hidden=first, layers=layers, heads=heads, intermediate=inner,
                                        patch=patch)
    if config.get("layer_type") != "basic":
        return None
    widths, depths = others
    return ResNetShape.model_construct(id="resnet", family="resnet", stem=first, widths=tuple(widths), depths=tuple(depths))
