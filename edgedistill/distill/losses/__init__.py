"""The losses of a distillation, one algorithm a file, each with its paper and equation."""

from edgedistill.distill.losses.attention_maps import attention_map_loss
from edgedistill.distill.losses.combined import distillation_loss
from edgedistill.distill.losses.decoupled import (
    decoupled_loss,
    other_classes_divergence,
    target_class_divergence,
)
from edgedistill.distill.losses.hard_labels import hard_label_loss
from edgedistill.distill.losses.hidden_states import hidden_state_loss
from edgedistill.distill.losses.multi_label import (
    hard_multi_label_loss,
    multi_label_distillation_loss,
    soft_multi_label_loss,
)
from edgedistill.distill.losses.relations import common_relation_heads, relation_loss
from edgedistill.distill.losses.self_attention import self_attention_loss
from edgedistill.distill.losses.sentence_vectors import sentence_vector_loss
from edgedistill.distill.losses.soft_labels import soft_label_loss

__all__ = [
    "attention_map_loss", "common_relation_heads", "decoupled_loss", "distillation_loss", "hard_label_loss",
    "hard_multi_label_loss", "hidden_state_loss", "multi_label_distillation_loss", "other_classes_divergence",
    "relation_loss", "self_attention_loss", "sentence_vector_loss", "soft_label_loss",
    "soft_multi_label_loss", "target_class_divergence",
]
