"""Targets: every shipped profile loads and gives a source for every figure; impossible devices are refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from edgedistill.catalog import data_folder, load_target, target_ids
from edgedistill.errors import TargetError
from edgedistill.target import Budget, DeniedVersion, Figure, Origin, Target, read_target

MIB = 2**20


def documents_in(value: Any, path: str = "") -> Iterator[tuple[str, BaseModel]]:
    if isinstance(value, BaseModel):
        yield path, value
        for name in type(value).model_fields:
            yield from documents_in(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from documents_in(item, f"{path}.{key}")
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


PROMISED = (
    "raspberry-pi raspberry-pi-zero-2w raspberry-pi-3 raspberry-pi-5 jetson-nano jetson-orin-nano rock-5b coral-dev-board "
    "beaglebone-ai-64 intel-n100 pixel-6 pixel-8 iphone-12 iphone-15 android-midrange android-low graviton2 graviton3 "
    "laptop-avx2 laptop-vnni"
).split()


def test_shipped_targets_when_listed_then_those_that_were_promised() -> None:
    assert set(PROMISED) <= set(target_ids())


@pytest.mark.parametrize("name", target_ids())
def test_shipped_target_when_loaded_then_id_is_the_file_name_and_every_figure_has_a_source(name: str) -> None:
    target = load_target(name)
    assert target.id == name
    found = dict(documents_in(target))
    figures = {path: item for path, item in found.items() if isinstance(item, Figure | Origin)}
    assert set(figures) >= {
        ".cpu.clock_hz", ".ram_bytes", ".memory.copy_bytes_per_s", ".cpu.caches.l1d_bytes", ".cpu.caches.l2_bytes",
        ".cpu.peaks.fp32_flops", ".cpu.peaks.int8_ops.scalar", ".cpu.sources.cores", ".cpu.sources.features",
        ".runtime.sources.oldest", ".runtime.sources.max_ir_version", ".runtime.sources.max_opset",
        ".runtime.sources.execution_providers",
    }
    for path, figure in figures.items():
        assert len(figure.source.split()) >= 3, f"{path}: {figure.source!r} is no source"
        assert ("judgement" in figure.source) <= (figure.how == "assumed"), path
    budgets = [item for item in found.values() if isinstance(item, Budget)]
    assert len(budgets) == 4
    assert all(len(budget.why.split()) >= 4 for budget in budgets)


def without_a_source(content: Any, path: str = "") -> Iterator[str]:
    """Every number, list of names and version of a profile that has no source, reason or reference beside it."""
    if not isinstance(content, dict):
        return
    sources = content.get("sources", {})
    for key, item in content.items():
        has_one = bool({"source", "why", "reference"} & set(content)) or key in sources
        if isinstance(item, dict):
            yield from without_a_source(item, f"{path}.{key}") if key != "sources" else ()
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            for number, part in enumerate(item):  # one source stands for the counts of all further kinds of cores
                inherited = {"sources": {"cores": sources[key]}} if key in sources else {}
                yield from without_a_source({**part, **inherited}, f"{path}.{key}.{number}")
        elif not has_one and not isinstance(item, bool) and item != [] and (
            key in {"oldest", "version"} or isinstance(item, int | float | list)
        ):
            yield f"{path}.{key}"


@pytest.mark.parametrize("name", [*target_ids(), "local"])
def test_target_when_every_number_is_looked_at_then_only_the_schema_version_has_no_source(name: str) -> None:
    assert list(without_a_source(yaml.safe_load(load_target(name).to_yaml()))) == [".schema_version"]


@pytest.mark.parametrize(
    "dotted", ["cpu.sources", "cpu.sources.cores", "cpu.sources.others", "cpu.sources.features", "runtime.sources",
               "runtime.sources.oldest", "runtime.sources.max_ir_version", "runtime.sources.max_opset",
               "runtime.sources.execution_providers"],
)
def test_read_target_when_a_source_is_missing_then_refused_with_the_line_and_what_is_wanted(tmp_path: Path, dotted: str) -> None:
    content = dict(yaml.safe_load((data_folder("targets") / "rock-5b.yaml").read_text()))
    *parents, last = dotted.split(".")
    holder: Any = content
    for parent in parents:
        holder = holder[parent]
    del holder[last]
    message = refusal(content, tmp_path)
    wanted = "is missing: cpu.others needs its source and how here" if last == "others" else "Field required"
    assert f": {dotted}: {wanted}" in message
    line = int(message.removeprefix(f"{tmp_path / 'device.yaml'}:").split(":")[0])
    assert (tmp_path / "device.yaml").read_text().splitlines()[line - 1].strip() == f"{parents[-1]}:"
    if last == "sources":
        assert "Field required: source and how of " in message


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
        ("laptop-vnni", True, False),  # Zen 4: AVX-512 VNNI
        ("intel-n100", True, False),  # Gracemont: AVX-VNNI
        ("coral-dev-board", False, False),  # Cortex-A53
        ("beaglebone-ai-64", False, False),  # Cortex-A72
        ("jetson-nano", False, False),  # Cortex-A57
        ("jetson-orin-nano", True, False),  # Cortex-A78AE
        ("iphone-12", True, False),  # A14: SDOT
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
        ("cpu.clock_hz.source", "", "cpu.clock_hz.source: is no source: name the document and what it says, in 3 words at least"),
        ("cpu.clock_hz.source", "the maker", "cpu.clock_hz.source: is no source: name the document and what it says"),
        ("cpu.sources.cores.source", "I know", "cpu.sources.cores.source: is no source"),
        ("cpu.sources.cores.how", "guessed", "cpu.sources.cores.how: "),
        ("cpu.clock_hz", 1.8e9, "cpu.clock_hz: a mapping of keys to values is expected"),
        ("cpu.cores", 0, "cpu.cores: "),
        ("cpu.architecture", "riscv64", "cpu.architecture: "),
        ("cpu.features", [], "cpu.features: "),
        ("cpu.features", ["neon", "altivec"], "cpu.features.1: "),
        ("cpu.features", ["neon", "avx2"], "features avx2 do not exist on aarch64"),
        ("cpu.architecture", "x86_64", "features neon do not exist on x86_64"),
        ("ram_bytes.value", 32 * MIB, "budgets.peak_memory_bytes.limit: is more than the device's ram_bytes"),
        ("budgets.peak_memory_bytes.limit", 2 * 2**30, "budgets.peak_memory_bytes.limit: is more than"),
        ("budgets.model_bytes.limit", -1, "budgets.model_bytes.limit: Input should be greater than 0"),
        ("budgets.latency_p50_s.why", "", "budgets.latency_p50_s.why: "),
        ("cpu.architecture", "armv7l", "cpu.architecture: armv7l is 32-bit ARM, for which PyPI has no onnxruntime"),
        ("cpu.peaks.int8_ops.smull.value", 1e9, "cpu.peaks.int8_ops.smull: 1e+09 is slower than the scalar path's 3.6e+09"),
        ("cpu.peaks.int8_ops.smull.value", 1e15, "cpu.peaks.int8_ops.smull.value: is 5.56e+05 operations a cycle of clock_hz"),
        ("cpu.clock_hz.value", 1.8, "cpu.clock_hz.value: 1.8 Hz is no clock"),
        ("cpu.clock_hz.value", 1.8e13, "cpu.clock_hz.value: 1.8e+13 Hz is no clock"),
        ("cpu.peaks.int8_ops.scalar.value", 1e-9, "cpu.peaks.int8_ops.scalar.value: is 5.56e-19 operations a cycle"),
        ("cpu.peaks.fp32_flops.value", 1.0, "cpu.peaks.fp32_flops.value: is 5.56e-10 operations a cycle"),
        ("cpu.caches.l2_bytes.value", 1e15, "cpu.caches.l2_bytes.value: 1e+15 is more than ram_bytes"),
        ("cpu.caches.l1d_bytes.value", 2 * MIB, "cpu.caches.l1d_bytes.value: 2.09715e+06 is more than l2_bytes"),
        ("memory.copy_bytes_per_s.value", 1e14, "memory.copy_bytes_per_s.value: 1e+14 cannot be: what one core moves"),
        ("ram_bytes.value", 1e16, "ram_bytes.value: 1e+16 is more memory than any machine has"),
        ("static_estimate.int8_cycles_per_mac.value", 1e-3, "static_estimate.int8_cycles_per_mac.value: 0.001 cannot be"),
        ("budgets.accuracy_loss.limit", 1.5, "budgets.accuracy_loss.limit: is a share of the teacher's accuracy"),
        ("budgets.accuracy_loss.limit", -0.1, "budgets.accuracy_loss.limit: Input should be greater than 0"),
        ("cpu.peaks.int8_ops.sdot", {"value": 1e11, "source": "a test says", "how": "assumed"}, "cpu.peaks.int8_ops.sdot: needs asimddp"),
        ("cpu.peaks.int8_ops.magic", {"value": 1e11, "source": "a test says", "how": "assumed"}, "cpu.peaks.int8_ops.magic"),
        ("cpu.peaks.fp32_flops.value", 1e13, "cpu.peaks.fp32_flops.value: is 5.56e+03 operations a cycle"),
        ("memory.copy_bytes_per_s.value", -1.0, "memory.copy_bytes_per_s.value: Input should be greater than 0"),
        ("memory", None, "cpu.peaks and memory are needed, or latency"),
        ("runtime.oldest", "1.21.0", "runtime.oldest: 1.21.0 is denied: SIGILL at import on the Pi 4's Cortex-A72; write another release"),
        ("latency", {"int8_macs_per_s": 1}, "latency.int8_macs_per_s: a mapping of keys to values is expected"),
        ("runtime.oldest", "new", "runtime.oldest: "),
        ("runtime.oldest", "1.16.3", "runtime.max_opset: onnxruntime 1.16.3, the oldest, reads 19 at most, not 20: lower it"),
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


RATES = {
    "int8_macs_per_s": 1e10, "float_macs_per_s": 1e9, "read_bytes_per_s": 1e9, "node_overhead_s": 1e-6, "spread": 2.0,
    "glue_elements_per_s": 1e9, "call_overhead_s": 1e-5, "thread_exponent": 0.8,
}


@pytest.mark.parametrize(
    ("name", "dotted", "value", "says"),
    [
        ("rock-5b", "cpu.others.0.clock_hz.value", 1e20, "1e+20 Hz is no clock of a processor that runs onnxruntime: write one of"),
        ("rock-5b", "cpu.others.0.clock_hz.value", 5.0, "5 Hz is no clock"),
        ("raspberry-pi-5", "memory.read_bytes_per_s.value", 1e18, "1e+18 cannot be: what one core moves in a second lies between"),
        ("raspberry-pi-5", "memory.read_bytes_per_s.value", 1.0, "1 cannot be: "),
        ("raspberry-pi-5", "memory.copy_bytes_per_s.value", 1.0, "1 cannot be: "),
        ("raspberry-pi", "static_estimate.float_cycles_per_mac.value", 1e9, "1e+09 cannot be: what a multiply-accumulate takes"),
        ("raspberry-pi", "runtime.max_opset", 25, "onnxruntime 1.17, the oldest, reads 20 at most, not 25: lower it, or raise oldest"),
        ("raspberry-pi", "runtime.max_opset", 21, "onnxruntime 1.17, the oldest, reads 20 at most, not 21"),
        ("raspberry-pi", "runtime.max_ir_version", 13, "onnxruntime 1.17, the oldest, reads 9 at most, not 13: lower it, or raise"),
        ("raspberry-pi", "runtime.max_ir_version", 10, "onnxruntime 1.17, the oldest, reads 9 at most, not 10"),
        ("raspberry-pi", "runtime.oldest", "1.5", "onnxruntime 1.5 reads opset 12 at most, these models have 13 or newer: write 1.6"),
        ("raspberry-pi", "runtime.execution_providers.0", "MagicProvider", "is no execution provider of onnxruntime; there are ACL"),
        ("raspberry-pi", "runtime.execution_providers.0", "CpuExecutionProvider",
         "is no execution provider of onnxruntime; did you mean 'CPUExecutionProvider'?"),
        ("raspberry-pi", "runtime.execution_providers.0", "NNAPI", "did you mean 'NnapiExecutionProvider'?"),
        ("raspberry-pi", "runtime.execution_providers.0", 3, "Input should be 'CPUExecutionProvider', "),
        ("raspberry-pi", "runtime.execution_providers", ["CoreMLExecutionProvider"], "run on it: add it"),
        *((("raspberry-pi", f"latency.{name}.value", value, f"{value:g} cannot be: "))
          for name in RATES for value in ((1e30, 1e-30) if name != "spread" else (1e30, 0.5))
          if (name, value) != ("thread_exponent", 1e-30)),
    ],
)
def test_read_target_when_a_value_is_impossible_then_its_very_line_is_named(  # noqa: PLR0917 - a table of cases
    tmp_path: Path, name: str, dotted: str, value: Any, says: str
) -> None:
    content = dict(yaml.safe_load((data_folder("targets") / f"{name}.yaml").read_text()))
    content["latency"] = {key: {"value": rate, "source": "a test says so", "how": "assumed"} for key, rate in RATES.items()}
    holder: Any = content
    *parents, last = dotted.split(".")
    for parent in parents:
        holder = holder[int(parent)] if parent.isdigit() else holder[parent]
    holder[int(last) if last.isdigit() else last] = "PLACE"
    message = refusal_of_text(yaml.safe_dump(content, sort_keys=False, width=1000), value, tmp_path)
    assert f": {dotted}: " in message
    assert says in message


def refusal_of_text(text: str, value: Any, folder: Path) -> str:
    """Write `value` where the text says PLACE, and return the refusal, which names that line and one problem."""
    path = folder / "device.yaml"
    shown = yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()
    path.write_text(text.replace("PLACE", shown))
    with pytest.raises(TargetError) as caught:
        read_target(path)
    line = 1 + next(number for number, line in enumerate(text.splitlines()) if "PLACE" in line)
    assert caught.value.message.startswith(f"{path}:{line}: ")
    assert "\n" not in caught.value.message
    return caught.value.message


def test_read_target_when_rates_are_at_what_a_calibration_writes_for_the_unknown_then_accepted(
    content: dict[str, Any], tmp_path: Path
) -> None:
    unknown = RATES | {"int8_macs_per_s": 1e13, "read_bytes_per_s": 1e13, "node_overhead_s": 1e-13}
    content["latency"] = {key: {"value": rate, "source": "a test says so", "how": "assumed"} for key, rate in unknown.items()}
    (tmp_path / "device.yaml").write_text(yaml.safe_dump(content))
    assert read_target(tmp_path / "device.yaml").latency is not None


def test_read_target_when_the_scalar_path_is_left_out_then_asked_for_with_what_to_write(
    content: dict[str, Any], tmp_path: Path
) -> None:
    del content["cpu"]["peaks"]["int8_ops"]["scalar"]
    set_in(content, "cpu.peaks.int8_ops.smull.value", 1e9)  # slower than the scalar path that was left out
    message = refusal(content, tmp_path)
    lines = (tmp_path / "device.yaml").read_text().splitlines()
    assert message.startswith(f"{tmp_path / 'device.yaml'}:{lines.index('    int8_ops:') + 1}: cpu.peaks.int8_ops: scalar is missing")
    assert "write it, 2 x clock_hz" in message


@pytest.mark.parametrize(
    ("dotted", "meant"),
    [("rams", "ram_bytes"), ("cpu.core", "cores"), ("cpu.clock_hz.valu", "value"),
     ("budgets.latency_p50_s.limits", "limit"), ("memory.copy_bytes_per_s.sources", "source")],
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
    del content["memory"]["copy_bytes_per_s"]["source"]
    assert "memory.copy_bytes_per_s.source: Field required" in refusal(content, tmp_path)


def test_read_target_when_int8_is_slower_than_scalar_then_the_line_is_named(content: dict[str, Any], tmp_path: Path) -> None:
    set_in(content, "cpu.peaks.int8_ops.smull.value", 1e9)
    message = refusal(content, tmp_path)
    lines = (tmp_path / "device.yaml").read_text().splitlines()
    assert message.startswith(f"{tmp_path / 'device.yaml'}:{lines.index('      smull:') + 1}: cpu.peaks.int8_ops.smull: ")


@pytest.mark.parametrize(
    ("installed", "is_denied"), [("1.21.0", True), ("1.21.0+cpu", True), ("1.21.1", False), ("1.32.0", False), (None, False)]
)
def test_runtime_when_asked_for_a_version_then_denies_the_one_that_crashes(installed: str | None, is_denied: bool) -> None:
    assert (load_target("raspberry-pi").runtime.denial_of(installed) is not None) == is_denied


def test_denied_version_when_without_a_patch_number_then_covers_all_of_them() -> None:
    denied = DeniedVersion(version="1.21", reason="it crashes", reference="nowhere")
    assert [denied.covers(v) for v in ("1.21", "1.21.0", "1.21.3", "1.2", "1.210.0")] == [True, True, True, False, False]


def test_best_int8_path_when_smmla_is_there_then_still_the_dot_product_that_was_measured() -> None:
    found = {name: load_target(name).cpu.peaks.best_int8_path for name in ("raspberry-pi", "pixel-8", "laptop-avx2", "intel-n100")}
    assert found == {"raspberry-pi": "smull", "pixel-8": "sdot", "laptop-avx2": "maddubs", "intel-n100": "vnni"}


def test_target_when_changed_then_refuses() -> None:
    target = load_target("raspberry-pi")
    with pytest.raises(ValidationError, match="frozen"):
        target.cpu.cores = 8  # type: ignore[misc]
