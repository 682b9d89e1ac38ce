"""The published models' work, against the totals of their papers and model cards; the published points' tables."""

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def architectures() -> ModuleType:
    spec = importlib.util.spec_from_file_location("latency_architectures", FOLDER / "latency_architectures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("model", "macs", "parameters"),
    [  # millions; papers: MobileNet V1 table 8, V2 table 4, V3 table 3, ResNet table 1, EfficientNet table 2; torchvision's model cards
        ("MobileNetV1-1.0-224", 569, 4.2),
        ("MobileNetV1-0.5-224", 149, 1.3),
        ("MobileNetV2-1.0-224", 300, 3.4),
        ("MobileNetV2-1.4-224", 585, 6.9),
        ("MobileNetV3-large-1.0-224", 219, 5.4),
        ("MobileNetV3-small-1.0-224", 56, 2.5),
        ("ResNet-18-224", 1814, 11.7),
        ("ResNet-50-224", 4089, 25.6),
        ("ResNet-101-224", 7801, 44.5),
        ("WideResNet-50", 11398, 68.9),
        ("ResNeXt-50", 4230, 25.0),
        ("EfficientNet-B0-224", 390, 5.3),
        ("mnasnet", 315, 4.4),
        ("vgg16", 15470, 138.4),
        ("alexnet", 724, 61.0),
        ("GoogLeNet-224", 1500, 7.0),
        ("Inception-V3-299", 5700, 23.8),
        ("shufflenet_v2", 146, 2.3),
    ],
)
def test_model_when_counted_then_the_papers_totals(
    architectures: ModuleType, model: str, macs: float, parameters: float
) -> None:
    work = architectures.MODELS[model]
    assert work.macs / 1e6 == pytest.approx(macs, rel=0.06)
    assert work.weights / 1e6 == pytest.approx(parameters, rel=0.13)


def test_bert_base_when_counted_then_the_gflops_that_tinybert_quotes(architectures: ModuleType) -> None:
    """TinyBERT, table 1: 22.5 GFLOP for BERT-base at 128 tokens, two a MAC."""
    assert 2 * architectures.MODELS["BERT-base-uncased MRPC"].macs == pytest.approx(22.5e9, rel=0.02)


def test_points_when_read_then_device_model_and_source_of_each_are_known(architectures: ModuleType) -> None:
    def rows(name: str) -> list[dict[str, str]]:
        with (FOLDER / "latency" / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    devices = {row["device"]: row for row in rows("devices.csv")}
    sources = {row["source"] for row in rows("sources.csv")}
    cores = {row["core"] for row in rows("cores.csv")}
    for row in rows("points.csv"):
        assert row["device"] in devices
        assert row["model"] in architectures.MODELS
        assert row["source"] in sources
        assert float(row["latency_ms"]) > 0
    used = {part.split("x", 1)[1].split("@")[0] for d in devices.values() for part in d["clusters"].split()}
    assert used <= cores
