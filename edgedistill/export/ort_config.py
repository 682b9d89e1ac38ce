"""The `ort_config.json` that optimum writes beside quantized models, with what was really done."""

import json

from edgedistill.host import tool_version


def ort_config_json(scheme: str) -> str:
    """Return the text of ort_config.json for a model quantized by a scheme.

    Args:
        scheme: its name, as docs/quantize.md reads it; "float" for a model that stayed float.
    """
    content = {
        "one_external_file": True,
        "opset": None,
        "optimization": {},
        "optimum_version": tool_version("optimum"),
        "quantization": {} if scheme == "float" else _quantization(scheme),
        "use_external_data_format": False,
    }
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def _quantization(scheme: str) -> dict[str, bool | str | list[str]]:
    is_static, is_int8 = scheme.startswith("static_"), "_wi8_" in scheme
    operators = ["MatMul", "Gemm", "Conv", "Gather"] if is_static else ["MatMul", "Gemm", "Attention", "Gather",
                                                                        "EmbedLayerNormalization"]
    return {
        "activations_dtype": "QInt8" if "_ai8" in scheme else "QUInt8", "activations_symmetric": False,
        "format": "QOperator" if scheme.startswith("dynamic_") else "QDQ", "is_static": is_static,
        "mode": "QLinearOps" if is_static else "IntegerOps", "operators_to_quantize": operators,
        "per_channel": "_per_channel" in scheme, "weights_dtype": "QInt8" if is_int8 else "QUInt8", "weights_symmetric": is_int8,
    }
