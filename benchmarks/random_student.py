"""A student of a rung with random weights, int8 and fused as a run makes it: bytes and time are those of a trained one."""

from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from edgedistill.export.exporter import export_classifier
from edgedistill.export.graph import fuse
from edgedistill.export.norm_form import NormForm, in_norm_form
from edgedistill.quantize.onnx_quantizer import quantize_weights
from edgedistill.shape import StudentShape

CLASSES, POSITIONS = 28, 64
FLOAT_FILE = "fused.onnx"
"""The float file that the int8 one is made from, beside it."""


def build_student(folder: Path, shape: StudentShape, *, norms: NormForm = "fused") -> Path:
    """Make a random int8 student in a folder, `FLOAT_FILE` beside it, and return its path; the same shape, the same bytes."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    config = BertConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, num_hidden_layers=shape.layers, num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate, max_position_embeddings=POSITIONS, num_labels=CLASSES,
    )
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:  # vectors that are all alike would be stored once, which those of a trained student are not
                parameter.add_(torch.randn_like(parameter), alpha=0.02)
    model.save_pretrained(folder)
    export_classifier(folder, folder / "raw.onnx")
    fuse(folder / "raw.onnx", folder / FLOAT_FILE, model_type="bert", heads=shape.heads, hidden=shape.hidden)
    in_norm_form(folder / FLOAT_FILE, folder / FLOAT_FILE, norms)
    quantize_weights(folder / FLOAT_FILE, folder / "model.onnx", reduced_range=False, per_channel=True)
    return folder / "model.onnx"


def write_inputs(path: Path, *, tokens: int, vocabulary: int, rows: int = 32) -> Path:
    """Write random model inputs of one length and return the file."""
    ids = np.random.default_rng(0).integers(5, vocabulary, (rows, tokens))
    np.savez(path, input_ids=ids, attention_mask=np.ones_like(ids), token_type_ids=np.zeros_like(ids))
    return path
