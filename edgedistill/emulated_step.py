"""The steps of a run that replay the int8 student on the target's core and on others, and what is said where there is none."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgedistill.emulation.choice import Choice, Order, choose_replays
from edgedistill.emulation.qemu import EmulatorTimeoutError
from edgedistill.host import this_host
from edgedistill.line import Line
from edgedistill.results import InstructionSetCheck
from edgedistill.stage import Done
from edgedistill.target import Target

log = logging.getLogger("edgedistill")

STEP = "verify-emulated"


@dataclass(frozen=True)
class Emulation:
    """What became of the replays.

    Attributes:
        done: the finished step on the target's core; None when it was not replayed there.
        others: those on other cores, by core.
        not_checked: a line for each core that was left out.
        unchecked: what to say in the report of the target's core; empty when there is nothing to say.
    """

    done: Done | None
    others: Mapping[str, Done] = field(default_factory=dict)
    not_checked: tuple[InstructionSetCheck, ...] = ()
    unchecked: str = ""


@dataclass(frozen=True)
class Replayed:
    """What is replayed.

    Attributes:
        model: the int8 model's folder.
        data: the test split.
        host_logits: the model's answers on this host.
    """

    model: Path
    data: Path
    host_logits: Path


def emulate(line: Line, target: Target, replayed: Replayed) -> Emulation:
    """Replay the int8 student's test rows on the target's core, then on others, where the emulated environment is there.

    Args:
        line: of the run.
        target: whose cores they are.
        replayed: the student and the rows.
    """
    choice = choose_replays(target, this_host(), line.recipe.parity)
    own: Done | None = None
    others: dict[str, Done] = {}
    for order in choice.orders:
        try:
            done = _replay(line, order, replayed)
        except EmulatorTimeoutError as failure:  # hours of training stand behind it: the report says that it was not checked
            log.warning("%s: %s", order.core.name, failure.message)
            lost = InstructionSetCheck(
                core=order.core.name, is_target=order.is_target, not_checked=failure.message, hint=failure.hint)
            choice = replace(choice, unchecked=(*choice.unchecked, lost))
            continue
        if order.is_target:
            own = done
        else:
            others[order.core.name] = done
    return Emulation(own, others, choice.unchecked, unchecked_sentence(choice, target))


def unchecked_sentence(choice: Choice, target: Target) -> str:
    """Return why the target's own core was left out, as a sentence; nothing where it was not, or this host is of its kind."""
    for line in choice.unchecked:
        if line.is_target:
            return f"The int8 student was not checked on the instruction set of {target.name}: {line.not_checked} ({line.hint})."
    return ""


def _replay(line: Line, order: Order, replayed: Replayed) -> Done:
    from edgedistill.verify import stage

    facts = order.environment.facts
    settings = stage.EmulatedSettings(
        core=order.core.name, emulator=facts.emulator, onnxruntime=facts.onnxruntime, environment_sha256=facts.tree_sha256,
        rows_limit=order.rows_limit, min_agreement=line.recipe.parity.emulated_min_agreement,
    )
    inputs = stage.EmulatedInputs(replayed.model, replayed.data, replayed.host_logits)
    step = STEP if order.is_target else f"{STEP}-{order.core.name}"
    return line.note(step, line.workspace.perform(step, stage.EMULATED, settings, inputs))
