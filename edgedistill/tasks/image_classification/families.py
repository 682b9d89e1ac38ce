"""The families of picture models that become ONNX files, by transformers' `model_type`; plain, as `plan` imports no torch."""

EXPORTED = frozenset({
    "beit", "clip", "convnext", "convnextv2", "cvt", "data2vec-vision", "deit", "dinov2", "efficientnet", "hiera", "imagegpt",
    "levit", "metaclip_2", "mobilenet_v1", "mobilenet_v2", "mobilevit", "perceiver", "poolformer", "pvt", "regnet", "resnet",
    "segformer", "swin", "swinv2", "vit", "vit_msn",
})
"""What optimum exports as an image classifier; a test asks it. Transformers has 45 families of image classifiers."""
