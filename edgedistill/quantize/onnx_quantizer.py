"""Adapter to onnxruntime's quantizer: dynamic int8 of matrices and embeddings."""

import logging
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from edgedistill.quantize.short_names import shorten_value_names

_OPERATORS = ("MatMul", "Gemm", "Attention", "Gather", "EmbedLayerNormalization")


def quantize_weights(source: Path, out: Path, *, reduced_range: bool, per_channel: bool) -> None:
    """Quantize the constant matrices of a graph to int8, embeddings too.

    Args:
        source: a float ONNX file, fused or not.
        out: the int8 file to make.
        reduced_range: keep weights to 7 bits.
        per_channel: a scale for each column of a matrix; embedding tables keep one for all.
    """
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # the quantizer logs its advice to the root logger
    try:
        quantize_dynamic(
            str(source), str(out), weight_type=QuantType.QInt8, per_channel=per_channel, reduce_range=reduced_range,
            op_types_to_quantize=list(_OPERATORS),
            extra_options={"MatMulConstBOnly": True, "WeightSymmetric": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    finally:
        root.setLevel(level)
    model = onnx.load(out)
    shorten_value_names(model)
    model.producer_name, model.producer_version = "edgedistill", ""
    onnx.save(model, out)
