"""Adapter to transformers for picture students: a stock classifier of a shape, with random weights."""

from collections.abc import Sequence

from transformers import (
    MobileNetV2Config,
    MobileNetV2ForImageClassification,
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)

from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification.shape import MobileNetShape, ResNetShape, ViTShape
from edgedistill.torch_setup import quickest_attention, with_quickest_layout


def build_student(
    shape: ResNetShape | MobileNetShape | ViTShape, size: PictureSize, labels: Sequence[str]
) -> PreTrainedModel:
    """Return an untrained classifier; set torch's seed before."""
    return with_quickest_layout(_stock_student(shape, size, labels))


def _stock_student(
    shape: ResNetShape | MobileNetShape | ViTShape, size: PictureSize, labels: Sequence[str]
) -> PreTrainedModel:
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    if isinstance(shape, ResNetShape):
        return ResNetForImageClassification(ResNetConfig(
            num_channels=size.channels, embedding_size=shape.stem, hidden_sizes=list(shape.widths), depths=list(shape.depths),
            layer_type="basic", **names,
        ))
    if isinstance(shape, MobileNetShape):
        # tf_padding pads by the size of the input, which a graph of fixed size does not need
        return MobileNetV2ForImageClassification(MobileNetV2Config(
            num_channels=size.channels, image_size=size.side, depth_multiplier=shape.multiplier, tf_padding=False,
            classifier_dropout_prob=0.0, **names,
        ))
    config = ViTConfig(
        num_channels=size.channels, image_size=size.side, patch_size=shape.patch, hidden_size=shape.hidden,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, intermediate_size=shape.intermediate,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **names,
    )
    config._attn_implementation = quickest_attention()
    return ViTForImageClassification(config)
