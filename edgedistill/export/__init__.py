"""export: from a torch model folder to a fused ONNX graph within what the target's runtime reads."""
