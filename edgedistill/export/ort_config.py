"""The `ort_config.json` that optimum writes beside quantized models, with what was really done."""

import json

from edgedistill.host import tool_version


def ort_config_json() -> str:
    """Return the text of ort_config.json for a dynamic int8 model."""
    content = {
        "one_external_file": True,
        "opset": None,
        "optimization": {},
        "optimum_version": tool_version("optimum"),
        "quantization": {
            "activations_dtype": "QUInt8", "activations_symmetric": False, "format": "QOperator", "is_static": False,
            "mode": "IntegerOps", "operators_to_quantize": ["MatMul", "Gemm", "Attention", "Gather",
                                                            "EmbedLayerNormalization"],
            "per_channel": False, "weights_dtype": "QInt8", "weights_symmetric": True,
        },
        "use_external_data_format": False,
    }
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
