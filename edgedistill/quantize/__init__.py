"""quantize: from a float ONNX model to int8, by the court: schemes by instruction set, what each keeps, and the verdict."""
