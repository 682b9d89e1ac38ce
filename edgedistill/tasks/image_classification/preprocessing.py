"""How a model wants its pictures: what the `preprocessor_config.json` of its folder says, for transformers' image processors.

Whatever a processor rescales and normalises comes to one subtraction and one division a channel. So a picture is resized, its
middle is cut out where the processor does so, and then come those two.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedistill.document import read_text
from edgedistill.errors import ArtifactError
from edgedistill.plan import PictureSize

PREPROCESSOR_FILE = "preprocessor_config.json"
BILINEAR = 2
"""Pillow's number of the bilinear filter, which widens when it shrinks a picture (antialiasing)."""

_NEAREST, _BICUBIC, _FILTERS = 0, 3, range(6)
_SAVE_AGAIN = "write it with an image processor of transformers: processor.save_pretrained(DIR)"
_WARPS_FROM = 384
"""ConvNextImageProcessor cuts nothing off from this side on."""


@dataclass(frozen=True)
class Preprocessing:
    """How pixels of 0 to 255 become model inputs.

    Attributes:
        size: what the model takes.
        mean: subtracted from each channel after the division by 255.
        std: what is divided by then.
        resample: Pillow's number of the filter that resizes.
        before_crop: side to which a picture is resized before its middle is cut out, pixels; where it is less than the side of
            `size`, black is laid around the picture. None: the picture is resized to `size`.
        is_bgr: does the model take blue first?
    """

    size: PictureSize
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: int = BILINEAR
    before_crop: int | None = None
    is_bgr: bool = False

    @property
    def resized(self) -> int:
        """The side to which pictures are resized, pixels."""
        return self.before_crop or self.size.side

    @property
    def is_plain(self) -> bool:
        """Is it resizing to both sides, subtracting and dividing, as ViTImageProcessor does?"""
        return self.before_crop is None and not self.is_bgr

    def to_json(self) -> str:
        """Return the text of preprocessor_config.json, which transformers' AutoImageProcessor reads.

        Raises:
            ValueError: it cuts out the middle or turns the channels around, which ViTImageProcessor does not.
        """
        if not self.is_plain:
            raise ValueError("ViTImageProcessor neither cuts out the middle nor turns the channels around")
        content = {
            "do_convert_rgb": self.size.channels == 3, "do_normalize": True, "do_rescale": True, "do_resize": True,
            "image_mean": list(self.mean), "image_processor_type": "ViTImageProcessor", "image_std": list(self.std),
            "resample": self.resample, "rescale_factor": 1 / 255,
            "size": {"height": self.size.side, "width": self.size.side},
        }
        return json.dumps(content, indent=2, sort_keys=True) + "\n"


_RESCALED: dict[str, Any] = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255}
_PLAIN = _RESCALED | {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
_CLIP = _PLAIN | {
    "size": 224, "resample": _BICUBIC, "do_center_crop": True, "crop_size": 224,
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
}
_MOBILE_NET = _PLAIN | {"size": 256, "resample": BILINEAR, "do_center_crop": True, "crop_size": 224}
_DEIT = _MOBILE_NET | {"resample": _BICUBIC}
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_CROPPED = _PLAIN | _IMAGENET | {"size": 224, "resample": _BICUBIC, "do_center_crop": True, "crop_size": 224}

_PROCESSORS: dict[str, dict[str, Any]] = {
    "ViT": _PLAIN | {"size": 224, "resample": BILINEAR},
    "DeiT": _DEIT, "Beit": _DEIT, "Bit": _CLIP, "CLIP": _CLIP, "MobileNetV1": _MOBILE_NET, "MobileNetV2": _MOBILE_NET,
    "ConvNext": _PLAIN | {"size": 384, "resample": BILINEAR, "crop_pct": 224 / 256},
    "MobileViT": _RESCALED | {"size": 224, "resample": BILINEAR, "do_center_crop": True, "crop_size": 256,
                              "do_flip_channel_order": True},
    "EfficientNet": _PLAIN | {"size": 346, "resample": _NEAREST, "do_center_crop": False, "crop_size": 289,
                              "rescale_offset": False, "include_top": True},
    "Pvt": _PLAIN | _IMAGENET | {"size": 224, "resample": BILINEAR},
    "Segformer": _PLAIN | _IMAGENET | {"size": 512, "resample": BILINEAR},
    "Siglip": _PLAIN | {"size": 224, "resample": _BICUBIC},
    "ViTHybrid": _CLIP, "EfficientFormer": _CROPPED,
    "Levit": _CROPPED | {"edge_growth": 256 / 224},
    "PoolFormer": _CROPPED | {"crop_pct": 0.9, "null_is_off": ("crop_pct",)},
    "TextNet": _PLAIN | _IMAGENET | {"size": 640, "size_divisor": 32, "resample": BILINEAR, "do_center_crop": False,
                                     "crop_size": 224},
}
"""What a processor understands, with the values that it takes where a file does not say; the names are transformers'."""

_OF_MODELS = {
    "ViT": "vit vit_msn swin swinv2 dinat nat ijepa swiftformer", "DeiT": "deit", "Beit": "beit data2vec-vision",
    "Bit": "bit dinov2 focalnet hiera", "ViTHybrid": "vit_hybrid", "CLIP": "clip metaclip_2", "Siglip": "siglip",
    "ConvNext": "convnext convnextv2 resnet regnet cvt van", "MobileNetV1": "mobilenet_v1", "MobileNetV2": "mobilenet_v2",
    "MobileViT": "mobilevit mobilevitv2", "EfficientNet": "efficientnet", "EfficientFormer": "efficientformer", "Levit": "levit",
    "PoolFormer": "poolformer", "Pvt": "pvt pvt_v2", "Segformer": "segformer", "TextNet": "textnet",
}
"""The processor of a model whose file does not name one, by `model_type`, as transformers' AutoImageProcessor has it."""


def read_preprocessing(folder: Path) -> Preprocessing:
    """Read what a model folder says of its pre-processing: what the processor that it names computes for square pictures.

    Raises:
        ArtifactError: it cannot be read, is of a processor that is not known here, or asks for what is not understood.
    """
    path = folder / PREPROCESSOR_FILE
    if not path.is_file():
        raise ArtifactError(f"{path}: no such file",
                            hint="name a folder with a picture model and its preprocessor_config.json")
    try:
        content = json.loads(read_text(path, error=ArtifactError))
        name = _name_of(content, folder)
        if name not in _PROCESSORS:
            raise ArtifactError(
                f"{path}: the image processor {name or 'is not named and its kind'} is not known here, or is none that resizes, "
                "cuts out the middle and normalises",
                hint=f"take a model with one of {', '.join(sorted(_PROCESSORS))} (ImageProcessor), or save one of these that "
                     "does the same beside it: ViTImageProcessor(size={'height': N, 'width': N}, ...).save_pretrained(DIR)")
        how = _preprocessing(_settings(_PROCESSORS[name], content))
    except (ValueError, AttributeError, TypeError, KeyError, ZeroDivisionError) as bad:
        raise ArtifactError(f"{path}: is not understood ({bad})", hint=_SAVE_AGAIN) from None
    if len(how.mean) != len(how.std) or len(how.mean) not in (1, 3) or min(how.std) <= 0:
        raise ArtifactError(f"{path}: image_mean and image_std must have 1 or 3 values, the latter above 0", hint=_SAVE_AGAIN)
    return how


def require_plain(how: Preprocessing, path: Path) -> None:
    """Refuse a pre-processing that the graph and the apps of a bundle do not do.

    Args:
        how: the pre-processing.
        path: its file; for the message.

    Raises:
        ArtifactError: it resizes by another filter than the bilinear one, cuts out the middle or takes blue first.
    """
    found = []
    if how.resample != BILINEAR:
        found.append(f"resizes by filter {how.resample} of Pillow, not by the bilinear one ({BILINEAR})")
    if how.before_crop is not None:
        found.append(f"cuts {how.size.side} x {how.size.side} pixels out of {how.resized} x {how.resized}")
    if how.is_bgr:
        found.append("takes blue first")
    if found:
        raise ArtifactError(f"{path}: the model {' and '.join(found)}, which the graph and the apps of a bundle do not",
                            hint="pack a student that was distilled here: edgedistill run --recipe RECIPE --target TARGET")


def _name_of(content: Mapping[str, Any], folder: Path) -> str:
    """Return the processor's name without its kind, for example "ViT"; empty where nothing tells it."""
    name = content.get("image_processor_type") or content.get("feature_extractor_type")
    if name:
        return re.sub("(ImageProcessor(Fast)?|FeatureExtractor)$", "", str(name))
    config = folder / "config.json"
    kind = json.loads(read_text(config, error=ArtifactError)).get("model_type") if config.is_file() else None
    return next((processor for processor, kinds in _OF_MODELS.items() if kind in kinds.split()), "")


def _settings(known: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file says of what the processor understands; a flag that is null is off, other nulls are the default."""
    given = {key: content[key] for key in known if key in content}
    off = known.get("null_is_off", ())
    return {**known, **{key: value for key, value in given.items()
                        if value is not None or isinstance(known[key], bool) or key in off}}


def _preprocessing(settings: Mapping[str, Any]) -> Preprocessing:
    if not settings["do_resize"]:
        raise ValueError("do_resize is off, and the model takes pictures of one size")
    mean, std = _mean_and_std(settings)
    side, before = _sides(settings)
    resample = settings["resample"]
    if resample not in _FILTERS:
        raise ValueError(f"resample {resample} is no filter of Pillow")
    return Preprocessing(PictureSize(side, len(mean)), mean, std, int(resample), None if before == side else before,
                         bool(settings.get("do_flip_channel_order")))


def _sides(settings: Mapping[str, Any]) -> tuple[int, int]:
    """Return the side that the model takes, and the one to which pictures are resized before that is cut out; pixels."""
    before = _resized(settings)
    if settings.get("do_center_crop"):
        return _side(settings["crop_size"]), before
    if "crop_pct" in settings and "do_center_crop" not in settings and before < _WARPS_FROM:
        return before, int(before / float(settings["crop_pct"]))
    return before, before


def _resized(settings: Mapping[str, Any]) -> int:
    """Return the side to which a processor resizes a square; some make more of the size that they are given."""
    size, side = settings["size"], _side(settings["size"])
    if "edge_growth" in settings and not (isinstance(size, dict) and "height" in size):  # Levit's shortest edge
        return int(settings["edge_growth"] * side)
    if "do_center_crop" in settings and settings.get("crop_pct"):  # PoolFormer
        return int(side / float(settings["crop_pct"]))
    if "size_divisor" in settings:  # TextNet
        divisor = int(settings["size_divisor"])
        return -(-side // divisor) * divisor
    return side


def _side(size: Any) -> int:
    """Return the side of a square; the shortest edge of a square is its side."""
    named = {"height": size, "width": size} if isinstance(size, int) else size
    if isinstance(named, list):
        named = dict(zip(("height", "width"), named, strict=True))
    sides = set(named.values())
    if set(named) not in ({"height", "width"}, {"shortest_edge"}) or len(sides) != 1:
        raise ValueError(f"size {size} is no square")
    side = int(sides.pop())
    if side < 1:
        raise ValueError(f"a side of {side} pixels")
    return side


def _mean_and_std(settings: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return what all steps come to: what is subtracted after a division by 255, and what is divided by then.

    Each step makes `(x / 255 - mean) / std` a value of the same form.
    """
    own = [_channels(settings.get(name, neutral)) for name, neutral in (("image_mean", [0.0] * 3), ("image_std", [1.0] * 3))]
    factor = float(settings["rescale_factor"]) if settings["do_rescale"] else 1.0
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"rescale_factor {factor} is not above 0")
    unit = 1.0 if factor == 1 / 255 else 1 / (255 * factor)
    mean, std = [unit if settings.get("rescale_offset") and settings["do_rescale"] else 0.0] * len(own[0]), [unit] * len(own[1])
    if settings.get("do_normalize"):
        mean = [before + value * scale for before, value, scale in zip(mean, own[0], std, strict=True)]
        std = [scale * value for scale, value in zip(std, own[1], strict=True)]
    if settings.get("include_top"):  # EfficientNet divides once more
        std = [scale * value for scale, value in zip(std, own[1], strict=True)]
    return tuple(mean), tuple(std)


def _channels(value: Any) -> tuple[float, ...]:
    return tuple(float(item) for item in value) if isinstance(value, list) else (float(value),) * 3
