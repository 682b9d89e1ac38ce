"""What the runner does by itself: the same output as here, and a sentence where a model cannot be fed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgedistill.device import runner
from edgedistill.device.runner import feed_of, scores_among
from edgedistill.emulation.guest import scores_among as scores_among_here

ROW, ONE, WIDE, TOKENS = np.zeros(3, np.float32), np.zeros((1, 1), np.float32), np.zeros((1, 3), np.float16), np.zeros((1, 4, 3))
IDS, NAMES, MAPS = np.zeros((1, 3), np.int64), np.array(["a"]), [{"a": 0.5}]


@pytest.mark.parametrize(("outputs", "place"), [
    ([WIDE], 0), ([IDS, WIDE], 1), ([ONE, WIDE], 1), ([NAMES, MAPS, ONE], 2), ([ROW, TOKENS], 1), ([IDS, ROW], 1), ([WIDE, TOKENS], 0),
])
def test_scores_among_when_a_model_has_several_outputs_then_the_one_that_the_host_takes(outputs: list[Any], place: int) -> None:
    assert scores_among(outputs) == scores_among_here(outputs) == place


def test_scores_among_when_there_are_no_float_numbers_then_stops_with_a_sentence() -> None:
    assert scores_among_here([IDS, NAMES]) is None
    with pytest.raises(SystemExit, match="no scores of classes as float numbers"):
        scores_among([IDS, NAMES])


def test_feed_of_when_the_model_asks_for_what_the_row_has_not_then_stops_with_its_name() -> None:
    session = SimpleNamespace(get_inputs=lambda: [SimpleNamespace(name=name) for name in ("input_ids", "position_ids")])
    with pytest.raises(SystemExit, match="asks for position_ids, and its rows have input_ids, attention_mask"):
        feed_of(session, {"input_ids": IDS, "attention_mask": IDS})
    assert list(feed_of(session, {"attention_mask": IDS, "position_ids": IDS, "input_ids": IDS})) == ["input_ids", "position_ids"]


def test_energy_on_a_device_when_parts_and_wholes_are_counted_then_each_joule_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "CLASSES", str(tmp_path))
    assert runner.energy_j() is None
    for name, label, value in (("energy1_input", "Ecore000", 400), ("energy2_input", "Ecore001", 500), ("energy9_input", "Esocket0", 1_000)):
        (tmp_path / "hwmon" / "hwmon2").mkdir(parents=True, exist_ok=True)
        (tmp_path / "hwmon" / "hwmon2" / name).write_text(f"{value}\n")
        (tmp_path / "hwmon" / "hwmon2" / name.replace("input", "label")).write_text(f"{label}\n")
    assert runner.energy_j() == 0.001
    for zone, name, value in (("0", "package-0", 2_000), ("1", "psys", 3_000), ("0:0", "core", 900)):
        (tmp_path / "powercap" / f"intel-rapl:{zone}").mkdir(parents=True)
        (tmp_path / "powercap" / f"intel-rapl:{zone}" / "name").write_text(f"{name}\n")
        (tmp_path / "powercap" / f"intel-rapl:{zone}" / "energy_uj").write_text(f"{value}\n")
    assert runner.energy_j() == 0.002


@pytest.mark.parametrize(("lines", "cpu"), [
    ("model name\t: Some CPU\n", "Some CPU"), ("CPU implementer\t: 0x41\nCPU part\t: 0xd08\n", "0xd08"), ("CPU part\t: 0xd08\n", "0xd08"),
    ("CPU implementer\t: 0x48\nCPU part\t: 0xd40\n", "0x48 0xd40"),  # HiSilicon's Cortex-A76 has the number of Arm's Neoverse V1
])
def test_facts_when_the_system_gives_a_part_number_then_with_its_maker_where_that_is_not_arm(
    lines: str, cpu: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "read", lambda path: lines if path == "/proc/cpuinfo" else "")
    assert runner.facts()["cpu"] == cpu


def test_ram_when_there_is_no_proc_then_the_system_is_asked_and_0_where_it_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    told = runner.ram_bytes()
    monkeypatch.setattr(runner, "read", lambda path: "")
    assert runner.facts()["ram_bytes"] == pytest.approx(told, rel=0.05)
    assert told > 2**20

    def refuse(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(runner.os, "sysconf", refuse)
    assert runner.ram_bytes() == 0


@pytest.mark.parametrize(("system", "unit"), [("darwin", 1), ("linux", 1024)])
def test_peak_when_there_is_no_proc_then_getrusage_counts_in_the_systems_unit(
    system: str, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "read", lambda path: "")
    monkeypatch.setattr(runner.sys, "platform", system)
    monkeypatch.setattr("resource.getrusage", lambda who: SimpleNamespace(ru_maxrss=5000))
    assert runner.peak_rss_bytes() == 5000 * unit
