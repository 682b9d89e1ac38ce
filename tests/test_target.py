"""Targets: every shipped profile loads and gives a source for every figure; impossible devices are refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from edgedistill.catalog import data_folder, load_target, target_ids
from edgedistill.errors import TargetError
from edgedistill.target import Budget, Figure, Target, read_target

MIB = 2**20


def documents_in(value: Any, path: str = "") -> Iterator[tuple[str, BaseModel]]:
    if isinstance(value, BaseModel):
        yield path, value
        for name in type(value).model_fields:
            yield from documents_in(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from documents_in(item, f"{path}.{index}")


@pytest.fixture
def content() -> dict[str, Any]:
    """The Pi 4's profile as plain data, to be spoiled."""
    return dict(yaml.safe_load((data_folder("targets") / "raspberry-pi.yaml").read_text()))


def refusal(content: dict[str, Any], folder: Path) -> str:
    path = folder / "device.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(TargetError) as caught:
        read_target(path)
    assert caught.value.message.startswith(str(path))
    return caught.value.message


def set_in(content: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for parent in parents:
        content = content[parent]
    content[last] = value


def test_shipped_targets_when_listed_then_the_raspberry_pis_are_there() -> None:
    assert {"raspberry-pi", "raspberry-pi-5", "raspberry-pi-zero-2w", "laptop-avx2"} <= set(target_ids())


@pytest.mark.parametrize("name", target_ids())
def test_shipped_target_when_loaded_then_id_is_the_file_name_and_every_figure_has_a_source(name: str) -> None:
    target = load_target(name)
    assert target.id == name
    found = dict(documents_in(target))
    figures = {path: item for path, item in found.items() if isinstance(item, Figure)}
    assert set(figures) == {
        ".cpu.clock_hz", ".ram_bytes", ".latency.int8_macs_per_s", ".latency.float_macs_per_s",
        ".latency.read_bytes_per_s", ".latency.node_overhead_s", ".latency.spread",
    }
    for path, figure in figures.items():
        assert len(figure.source.split()) >= 3, f"{path}: {figure.source!r} is no source"
        assert ("judgement" in figure.source) <= (figure.how == "assumed"), path
    budgets = [item for item in found.values() if isinstance(item, Budget)]
    assert len(budgets) == 3
    assert all(len(budget.why.split()) >= 4 for budget in budgets)


@pytest.mark.parametrize("name", target_ids())
def test_shipped_target_when_written_and_read_then_the_same(name: str, tmp_path: Path) -> None:
    target = load_target(name)
    (tmp_path / "t.yaml").write_text(target.to_yaml())
    (tmp_path / "t.json").write_text(target.to_json())
    assert read_target(tmp_path / "t.yaml") == target
    assert Target.read_json(tmp_path / "t.json") == target


def test_raspberry_pi_when_asked_for_its_budgets_then_those_that_were_promised() -> None:
    budgets = load_target("raspberry-pi").budgets
    assert budgets.model_bytes.limit == 3 * MIB
    assert budgets.peak_memory_bytes.limit == 48 * MIB
    assert budgets.latency_p50_s.limit == 0.010


@pytest.mark.parametrize(
    ("name", "has_dot_product", "saturates"),
    [
        ("raspberry-pi", False, False),  # Cortex-A72: Armv8.0, no SDOT
        ("raspberry-pi-zero-2w", False, False),  # Cortex-A53: Armv8.0
        ("raspberry-pi-5", True, False),  # Cortex-A76: Armv8.2 with SDOT
        ("laptop-avx2", False, True),  # Zen 3: AVX2 without VNNI
    ],
)
def test_shipped_target_when_asked_for_its_int8_products_then_as_the_processor_manual_has_it(
    name: str, has_dot_product: bool, saturates: bool
) -> None:
    cpu = load_target(name).cpu
    assert (cpu.has_int8_dot_product, cpu.saturates_u8s8) == (has_dot_product, saturates)


def test_saturates_when_x86_has_vnni_then_not() -> None:
    cpu = load_target("laptop-avx2").cpu
    assert not cpu.model_copy(update={"features": ("avx2", "avx_vnni")}).saturates_u8s8


@pytest.mark.parametrize(
    ("dotted", "value", "says"),
    [
        ("cpu.clock_hz.value", -1.8e9, "cpu.clock_hz.value: Input should be greater than 0"),
        ("cpu.clock_hz.value", 0, "cpu.clock_hz.value: Input should be greater than 0"),
        ("cpu.clock_hz.value", float("inf"), "cpu.clock_hz.value: Input should be a finite number"),
        ("cpu.clock_hz.source", "", "cpu.clock_hz.source: "),
        ("cpu.clock_hz", 1.8e9, "cpu.clock_hz: a mapping of keys to values is expected"),
        ("cpu.cores", 0, "cpu.cores: "),
        ("cpu.architecture", "riscv64", "cpu.architecture: "),
        ("cpu.features", [], "cpu.features: "),
        ("cpu.features", ["neon", "altivec"], "cpu.features.1: "),
        ("cpu.features", ["neon", "avx2"], "features avx2 do not exist on aarch64"),
        ("cpu.architecture", "x86_64", "features neon do not exist on x86_64"),
        ("ram_bytes.value", 32 * MIB, "budgets.peak_memory_bytes.limit is more than the device's ram_bytes"),
        ("budgets.peak_memory_bytes.limit", 2 * 2**30, "budgets.peak_memory_bytes.limit is more than"),
        ("budgets.model_bytes.limit", -1, "budgets.model_bytes.limit: Input should be greater than 0"),
        ("budgets.latency_p50_s.why", "", "budgets.latency_p50_s.why: "),
        ("latency.spread.value", 0.5, "latency.spread is a factor of at least 1"),
        ("runtime.oldest", "new", "runtime.oldest: "),
        ("runtime.max_opset", 99, "runtime.max_opset: "),
        ("runtime.max_ir_version", 1, "runtime.max_ir_version: "),
        ("id", "Raspberry Pi", "id: "),
    ],
)
def test_read_target_when_the_device_is_impossible_then_refused_by_name(
    content: dict[str, Any], tmp_path: Path, dotted: str, value: Any, says: str
) -> None:
    set_in(content, dotted, value)
    assert says in refusal(content, tmp_path)


@pytest.mark.parametrize(
    ("dotted", "meant"),
    [("rams", "ram_bytes"), ("cpu.core", "cores"), ("cpu.clock_hz.valu", "value"),
     ("budgets.latency_p50_s.limits", "limit"), ("latency.spread.sources", "source")],
)
def test_read_target_when_a_key_is_unknown_then_says_line_and_meant(
    content: dict[str, Any], tmp_path: Path, dotted: str, meant: str
) -> None:
    set_in(content, dotted, 1)
    message = refusal(content, tmp_path)
    lines = (tmp_path / "device.yaml").read_text().splitlines()
    number = next(i for i, text in enumerate(lines, 1) if text.strip() == f"{dotted.rsplit('.')[-1]}: 1")
    assert message == f"{tmp_path / 'device.yaml'}:{number}: {dotted}: unknown key; did you mean {meant!r}?"


def test_read_target_when_a_figure_lacks_its_source_then_refused(content: dict[str, Any], tmp_path: Path) -> None:
    del content["latency"]["read_bytes_per_s"]["source"]
    assert "latency.read_bytes_per_s.source: Field required" in refusal(content, tmp_path)


def test_target_when_changed_then_refuses() -> None:
    target = load_target("raspberry-pi")
    with pytest.raises(ValidationError, match="frozen"):
        target.cpu.cores = 8  # type: ignore[misc]
