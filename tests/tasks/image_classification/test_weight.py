"""What a picture student weighs: against transformers' own count, and against files made now."""

from pathlib import Path

import numpy as np
import pytest
import torch

from edgedistill.catalog import data_folder
from edgedistill.export.exporter import export_classifier
from edgedistill.plan import PictureSize
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.static_quantizer import Calibration, quantize_statically
from edgedistill.tasks.image_classification.encoding import PREPROCESSOR_FILE, Preprocessing
from edgedistill.tasks.image_classification.graph import tidy
from edgedistill.tasks.image_classification.shape import ImageShape, MobileNetShape, ResNetShape, read_image_ladder
from edgedistill.tasks.image_classification.student_model import build_student
from edgedistill.tasks.image_classification.weight import image_workload, weigh_image

RUNGS = read_image_ladder(data_folder("models") / "image-students.yaml").rungs
SIZES = (PictureSize(32, 1), PictureSize(64, 3))


def other_weights(model: torch.nn.Module) -> None:
    """Move every number: equal ones (the zeros of new biases) would be stored once."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.add_(0.05 * torch.rand_like(buffer))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("shape", [rung for rung in RUNGS if rung.id != "resnet-18"], ids=lambda rung: rung.id)
def test_parameters_when_built_then_as_many_as_transformers_counts(shape: ImageShape, size: PictureSize) -> None:
    model = build_student(shape, size, ["a", "b", "c"])
    assert weigh_image(shape, size, classes=3).parameters == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", ["resnet-8-16", "resnet-16-32-64", "vit-4x64", "mobilenet-v2-0.35"])
def test_bytes_when_compared_with_files_made_now_then_within_two_percent(name: str, tmp_path: Path) -> None:
    shape, size = next(rung for rung in RUNGS if rung.id == name), PictureSize(32, 1)
    torch.manual_seed(0)
    model = build_student(shape, size, [f"class {i}" for i in range(7)])
    other_weights(model)
    model.save_pretrained(tmp_path)
    (tmp_path / PREPROCESSOR_FILE).write_text(Preprocessing(size, (0.5,), (0.5,)).to_json(), encoding="utf-8")
    export_classifier(tmp_path, tmp_path / "raw.onnx")
    tidy(tmp_path / "raw.onnx", tmp_path / "float.onnx", size=size)
    rows = [{"pixel_values": np.random.default_rng(i).normal(size=(1, 1, 32, 32)).astype(np.float32)} for i in range(3)]
    scheme = parse_scheme("static_wi8_ai8_per_channel")
    quantize_statically(tmp_path / "float.onnx", tmp_path / "int8.onnx", scheme, calibration=Calibration(lambda: iter(rows)))
    weight = weigh_image(shape, size, classes=7)
    assert weight.float_bytes == pytest.approx((tmp_path / "float.onnx").stat().st_size, rel=0.02)
    assert weight.int8_bytes == pytest.approx((tmp_path / "int8.onnx").stat().st_size, rel=0.02)


def test_workload_when_small_then_as_counted_by_hand() -> None:
    """7x7 on 8 x 8 places, then a pooling: 3x3 on 4 x 4, then on 2 x 2, with the shortcut of the second stage."""
    shape = ResNetShape(id="s", family="resnet", stem=4, widths=(4, 8), depths=(1, 1))
    work = image_workload(shape, PictureSize(16, 1), classes=3)
    by_hand = 49 * 4 * 64 + 2 * 9 * 16 * 16 + 9 * 32 * 4 + 9 * 64 * 4 + 32 * 4 + 8 * 3
    assert work.int8_macs == by_hand


def test_mobilenet_when_shallower_is_asked_then_none() -> None:
    assert MobileNetShape(id="m", family="mobilenet_v2", multiplier=0.5).shallower() is None
