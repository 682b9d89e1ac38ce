"""The steps of a run that replay the int8 student, and what is said when the target's core is left out."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgedistill import emulated_step
from edgedistill.catalog import load_recipe, load_target
from edgedistill.emulated_step import Replayed, emulate, unchecked_sentence
from edgedistill.emulation import choice
from edgedistill.emulation.choice import choose_replays
from edgedistill.emulation.environment import Environment
from edgedistill.emulation.qemu import EmulatorTimeoutError
from edgedistill.line import Line
from edgedistill.recipe import Parity
from tests.emulation.test_choice import AVX2, FACTS, VNNI


@dataclass
class Ledger:
    """Stands for a workspace: keeps what was to be done."""

    orders: list[tuple[str, str, int]] = field(default_factory=list)

    never_ends: str = ""

    def perform(self, step: str, stage: object, settings: object, inputs: object) -> "Finished":
        self.orders.append((step, settings.core, settings.rows_limit))
        if settings.core == self.never_ends:
            raise EmulatorTimeoutError("qemu did not end within 9 s", hint="give it fewer rows")
        return Finished(Path(step))


@dataclass(frozen=True)
class Finished:
    folder: Path


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(load_recipe("home-intents").recipe, Ledger(), None, tmp_path / "study", ())


def test_emulate_then_a_step_for_the_targets_core_and_one_for_each_other(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find", lambda: Environment(Path("/somewhere"), FACTS))
    monkeypatch.setattr(emulated_step, "this_host", lambda: VNNI)
    found = emulate(line, load_target("raspberry-pi"), Replayed(Path("int8"), Path("test.arrow"), Path("logits.npy")))
    assert line.workspace.orders == [
        ("verify-emulated", "cortex-a72", 1000), ("verify-emulated-cortex-a53", "cortex-a53", 100),
        ("verify-emulated-cortex-a76", "cortex-a76", 100)]
    assert found.done == Finished(Path("verify-emulated"))
    assert list(found.others) == ["cortex-a53", "cortex-a76"]
    assert found.not_checked == ()
    assert found.unchecked == ""


@pytest.mark.parametrize("core", ["cortex-a72", "cortex-a53"])
def test_emulate_when_a_replay_does_not_end_then_the_others_are_made_and_it_is_told(
    line: Line, monkeypatch: pytest.MonkeyPatch, core: str
) -> None:
    monkeypatch.setattr(choice, "find", lambda: Environment(Path("/somewhere"), FACTS))
    monkeypatch.setattr(emulated_step, "this_host", lambda: VNNI)
    line.workspace.never_ends = core
    found = emulate(line, load_target("raspberry-pi"), Replayed(Path("int8"), Path("test.arrow"), Path("logits.npy")))
    assert len(line.workspace.orders) == 3
    assert [(item.core, item.not_checked, item.hint) for item in found.not_checked] == [
        (core, "qemu did not end within 9 s", "give it fewer rows")]
    assert (found.done is None) == (core == "cortex-a72")
    assert ("was not checked on the instruction set" in found.unchecked) == (core == "cortex-a72")


def test_emulate_without_an_environment_then_no_step_and_a_line_for_each_core(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulated_step, "this_host", lambda: VNNI)
    found = emulate(line, load_target("raspberry-pi"), Replayed(Path("int8"), Path("test.arrow"), Path("logits.npy")))
    assert line.workspace.orders == []
    assert found.done is None
    assert [item.core for item in found.not_checked] == ["cortex-a72", "cortex-a53", "cortex-a76"]
    assert found.unchecked == (
        "The int8 student was not checked on the instruction set of Raspberry Pi 4 Model B (64-bit): there is no emulated "
        "environment for it here (edgedistill arm-env; then the same command again).")


def test_sentence_when_no_emulator_has_the_instructions_then_that_is_said() -> None:
    target = load_target("laptop-vnni")
    said = unchecked_sentence(choose_replays(target, AVX2, Parity()), target)
    assert "x86 with VNNI cannot be emulated (edgedistill verify BUNDLE, on the device itself)." in said


def test_sentence_when_the_host_is_of_the_targets_kind_then_nothing_is_to_be_said() -> None:
    target = load_target("laptop-vnni")
    found = choose_replays(target, VNNI, Parity())
    assert [line.core for line in found.unchecked] == ["haswell"]  # another core, which the sentence is not about
    assert unchecked_sentence(found, target) == ""


def test_sentence_when_switched_off_then_the_key_is_named() -> None:
    target = load_target("raspberry-pi")
    assert "parity.emulated_rows is 0" in unchecked_sentence(choose_replays(target, VNNI, Parity(emulated_rows=0)), target)
