"""The families of picture models that become ONNX files, by transformers' `model_type`; plain, as `plan` imports no torch."""

EXPORTED = frozenset({
    "beit", "clip", "convnext", "convnextv2", "cvt", "data2vec-vision", "deit", "dinov2", "efficientnet", "hiera", "levit",
    "mobilenet_v1", "mobilenet_v2", "mobilevit", "poolformer", "pvt", "regnet", "resnet", "segformer", "swin", "swinv2", "vit",
    "vit_msn",
})
"""What a teacher may be of, 23 of transformers' 45 families of image classifiers."""

OF_OTHER_INPUTS = frozenset({"imagegpt", "metaclip_2", "perceiver"})
"""What optimum says that it exports beside them; a test asks it. It gives MetaCLIP 2 texts to read, which its image classifier
does not take; ImageGPT takes clusters of colours, and Perceiver's pictures are cropped before they are resized."""
