"""Every kind of pre-processing that classifiers of transformers have: the values are those of its own processor."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from PIL import Image

from edgedistill.errors import ArtifactError
from edgedistill.package.stage import Settings
from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification.decode import to_png
from edgedistill.tasks.image_classification.encoding import PREPROCESSOR_FILE, PictureEncoder, as_inputs, read_preprocessing
from edgedistill.tasks.image_classification.package_stage import STAGE, Inputs
from edgedistill.tasks.image_classification.preprocessing import Preprocessing, require_plain

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
SQUARE = {"size": {"height": 24, "width": 24}}
EDGE = {"size": {"shortest_edge": 24}}
CROP = {"crop_size": {"height": 17, "width": 17}}
PROCESSORS: list[tuple[str, dict[str, Any]]] = [
    ("ViT", SQUARE),
    ("ViT", SQUARE | IMAGENET | {"resample": 3}),  # Swin
    ("ViT", SQUARE | {"rescale_factor": 1 / 127.5, "do_normalize": False}),
    ("ViT", SQUARE | {"do_rescale": False, "do_normalize": False}),
    ("ViT", SQUARE | {"do_rescale": False, "image_mean": [100.0, 110.0, 120.0], "image_std": [50.0, 60.0, 70.0]}),
    ("DeiT", SQUARE | CROP | IMAGENET),
    ("DeiT", SQUARE | {"do_center_crop": False}),
    ("Beit", SQUARE | CROP),
    ("ConvNext", EDGE | IMAGENET | {"resample": 3}),  # ResNet, RegNet
    ("ConvNext", EDGE | {"crop_pct": 0.7}),
    ("ConvNext", {}),  # 384: nothing is cut off
    ("MobileNetV1", EDGE | CROP),
    ("MobileNetV2", EDGE | CROP | {"resample": 4}),
    ("MobileNetV2", EDGE | {"do_center_crop": False}),
    ("MobileNetV2", SQUARE | {"crop_size": {"height": 31, "width": 31}}),  # black is laid around
    ("MobileViT", EDGE | CROP),
    ("MobileViT", EDGE | {"crop_size": {"height": 29, "width": 29}}),
    ("MobileViT", EDGE | CROP | {"do_flip_channel_order": False}),
    ("EfficientNet", SQUARE | IMAGENET),
    ("EfficientNet", SQUARE | CROP | {"do_center_crop": True, "rescale_offset": True, "rescale_factor": 1 / 127.5}),
    ("EfficientNet", SQUARE | {"include_top": False, "resample": 2}),
    ("EfficientNet", SQUARE | IMAGENET | {"do_normalize": False}),
    ("Bit", EDGE | CROP),  # DINOv2
    ("CLIP", EDGE | CROP),
    ("Pvt", SQUARE),
    ("Segformer", SQUARE | {"resample": 3}),
    ("Siglip", SQUARE),
    ("EfficientFormer", SQUARE | CROP),
    ("EfficientFormer", SQUARE | {"do_center_crop": False}),
    ("ViTHybrid", EDGE | CROP),
    ("Levit", EDGE | CROP),
    ("Levit", SQUARE | CROP),
    ("Levit", EDGE | {"do_center_crop": False}),
    ("PoolFormer", EDGE | CROP),
    ("PoolFormer", SQUARE | CROP | {"crop_pct": 0.7}),
    ("PoolFormer", EDGE | {"do_center_crop": False}),
    ("TextNet", EDGE),
    ("TextNet", {"size": {"shortest_edge": 32}, "size_divisor": 32} | CROP | {"do_center_crop": True}),
]


@pytest.fixture
def pictures() -> np.ndarray:
    """Two smooth coloured squares of 20 x 20: every filter gives other values."""
    down, across = np.mgrid[0:20, 0:20]
    waves = np.stack([127 + 100 * np.sin(across / 3), 127 + 100 * np.cos(down / 4), (across + down) * 5], -1)
    return np.stack([waves, 255 - waves]).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("name", "settings"), PROCESSORS, ids=lambda item: item if isinstance(item, str) else "-".join(item))
def test_as_inputs_when_the_processor_is_of_a_family_then_its_own_values(
    name: str, settings: dict[str, Any], pictures: np.ndarray, tmp_path: Path
) -> None:
    processor = getattr(transformers, f"{name}ImageProcessor")(**settings)
    processor.save_pretrained(tmp_path)
    expected = processor(list(pictures), return_tensors="np")["pixel_values"]
    found = as_inputs(pictures, read_preprocessing(tmp_path))
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=3e-6 * max(1.0, np.abs(expected).max()))


@pytest.mark.parametrize(("content", "model_type"), [
    ({"feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.875, "resample": 3, "size": 24, **IMAGENET}, None),
    ({"do_normalize": True, "do_resize": True, "size": 24, **IMAGENET}, "vit"),
    ({"crop_size": 17, "do_center_crop": True, "resample": 3, "size": 24}, "deit"),
    ({"feature_extractor_type": "MobileViTFeatureExtractor", "crop_size": {"height": 17, "width": 17}, "size": EDGE["size"]}, None),
    ({"image_processor_type": "ViTImageProcessorFast", "do_center_crop": None, "crop_size": None, "image_mean": None, **SQUARE}, None),
])
def test_read_preprocessing_when_written_long_ago_or_by_a_fast_processor_then_as_transformers_reads_it(
    content: dict[str, Any], model_type: str | None, pictures: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / PREPROCESSOR_FILE).write_text(json.dumps(content))
    if model_type is not None:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path, use_fast=False)
    expected = processor(list(pictures), return_tensors="np")["pixel_values"]
    np.testing.assert_allclose(as_inputs(pictures, read_preprocessing(tmp_path)), expected, atol=2e-6)


@pytest.mark.parametrize(("content", "message"), [
    ({"image_processor_type": "PerceiverImageProcessor", "size": 8}, "Perceiver"),
    ({"image_processor_type": "DonutImageProcessor", "size": 8}, "Donut"),
    ({"size": 8}, "is not named"),
    ({"image_processor_type": "ViTImageProcessor", "size": 8, "do_resize": False}, "do_resize"),
    ({"image_processor_type": "ViTImageProcessor", "size": {"height": 3, "width": 4}}, "no square"),
    ({"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 8, "longest_edge": 9}}, "no square"),
    ({"image_processor_type": "ViTImageProcessor", "size": 0}, "0 pixels"),
    ({"image_processor_type": "ViTImageProcessor", "size": 8, "resample": 9}, "filter"),
    ({"image_processor_type": "ViTImageProcessor", "size": 8, "rescale_factor": 0}, "rescale_factor"),
    ({"image_processor_type": "ViTImageProcessor", "size": 8, "image_mean": [0.5]}, "1 or 3 values|zip"),
])
def test_read_preprocessing_when_not_known_then_refused(content: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / PREPROCESSOR_FILE).write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match=message) as refused:
        read_preprocessing(tmp_path)
    assert PREPROCESSOR_FILE in str(refused.value)


@pytest.mark.parametrize("how", [
    Preprocessing(PictureSize(12, 3), (0.5,) * 3, (0.5,) * 3, resample=3),
    Preprocessing(PictureSize(12, 3), (0.5,) * 3, (0.5,) * 3, before_crop=16, is_bgr=True),
])
def test_encode_raw_when_not_plain_then_the_inputs_of_the_same_pictures(how: Preprocessing, pictures: np.ndarray) -> None:
    again = PictureEncoder(how).encode_raw([to_png(picture) for picture in pictures])
    np.testing.assert_array_equal(again.batch([0, 1])["pixel_values"], as_inputs(pictures, how))
    wide = np.asarray(Image.fromarray(pictures[0]).resize((30, 20)))
    assert PictureEncoder(how).encode_raw([to_png(wide)]).batch([0])["pixel_values"].shape == (1, 3, 12, 12)


@pytest.mark.parametrize(("change", "message"), [
    ({"resample": 3}, "filter 3"), ({"before_crop": 16}, "out of 16 x 16"), ({"is_bgr": True}, "blue first")])
def test_require_plain_when_the_graph_does_otherwise_then_refused(change: dict[str, Any], message: str) -> None:
    plain = Preprocessing(PictureSize(12, 3), (0.5,) * 3, (0.5,) * 3)
    require_plain(plain, Path("p.json"))
    how = Preprocessing(plain.size, plain.mean, plain.std, **change)
    with pytest.raises(ArtifactError, match=message):
        require_plain(how, Path("p.json"))
    if how.resample == plain.resample:
        with pytest.raises(ValueError, match="ViTImageProcessor"):
            how.to_json()


def test_package_when_the_model_resizes_otherwise_than_the_graph_then_refused(tmp_path: Path) -> None:
    settings = Settings(recipe_id="p", task="image-classification", target_id="t", base_model="mine", runtime_oldest="1.17",
                        platform="linux", tolerance=0.05, seed=1)
    (tmp_path / "model.onnx").write_bytes(b"")
    how = Preprocessing(PictureSize(12, 3), (0.5,) * 3, (0.5,) * 3, resample=3)
    (tmp_path / PREPROCESSOR_FILE).write_text(how.to_json())
    with pytest.raises(ArtifactError, match="not by the bilinear one"):
        STAGE.requires(settings, Inputs(tmp_path, tmp_path / "test.arrow", tmp_path / "labels.json"))


def test_to_json_when_of_a_student_then_these_bytes() -> None:
    """Bundles hold them: other bytes would be other bundles."""
    assert Preprocessing(PictureSize(32, 1), (0.5,), (0.25,)).to_json() == """{
  "do_convert_rgb": false,
  "do_normalize": true,
  "do_rescale": true,
  "do_resize": true,
  "image_mean": [
    0.5
  ],
  "image_processor_type": "ViTImageProcessor",
  "image_std": [
    0.25
  ],
  "resample": 2,
  "rescale_factor": 0.00392156862745098,
  "size": {
    "height": 32,
    "width": 32
  }
}
"""
