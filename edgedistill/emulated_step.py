"""The step of a run that replays the int8 student on the target's core, or the sentence that says why there is none."""

from dataclasses import dataclass
from pathlib import Path

from edgedistill.emulation.cores import Core, core_for
from edgedistill.emulation.environment import Environment, find
from edgedistill.host import Host, this_host
from edgedistill.line import Line
from edgedistill.stage import Done
from edgedistill.target import Target


@dataclass(frozen=True)
class Emulation:
    """What became of the replay.

    Attributes:
        done: the finished step; None when nothing was replayed.
        unchecked: what to say in the report then; empty when there is nothing to say.
    """

    done: Done | None
    unchecked: str = ""


@dataclass(frozen=True)
class _Means:
    core: Core
    environment: Environment


def emulate(line: Line, target: Target, *, model: Path, data: Path, host_logits: Path) -> Emulation:
    """Replay the int8 student's test rows on the target's core, where the emulated environment is there.

    Args:
        line: of the run.
        target: whose core it is.
        model: the int8 model's folder.
        data: the test split.
        host_logits: the model's answers on this host.
    """
    from edgedistill.verify import stage

    limit = line.recipe.parity.emulated_rows
    means = _means(target, this_host(), limit)
    if isinstance(means, str):
        return Emulation(None, means)
    facts = means.environment.facts
    settings = stage.EmulatedSettings(
        core=means.core.name, emulator=facts.emulator, onnxruntime=facts.onnxruntime, environment_sha256=facts.tree_sha256,
        rows_limit=limit, min_agreement=line.recipe.parity.emulated_min_agreement,
    )
    inputs = stage.EmulatedInputs(model, data, host_logits)
    step = "verify-emulated"
    return Emulation(line.note(step, line.workspace.perform(step, stage.EMULATED, settings, inputs)))


def _means(target: Target, host: Host, limit: int) -> "_Means | str":
    """Return what is needed to replay, or why it is not done; an empty reason: this host is of the target's kind."""
    cpu, begin = target.cpu, f"The int8 student was not checked on the instruction set of {target.name}: "
    architecture = {"amd64": "x86_64", "arm64": "aarch64"}.get(host.architecture.lower(), host.architecture)
    if architecture == cpu.architecture and (architecture == "aarch64" or host.saturates_u8s8 == cpu.saturates_u8s8):
        return ""
    core = core_for(cpu)
    if core is None:
        return f"{begin}x86 with VNNI cannot be emulated."
    if not limit:
        return f"{begin}parity.emulated_rows is 0."
    environment = find()
    if environment is None:
        return f"{begin}there is no emulated environment for it here (edgedistill arm-env)."
    return _Means(core, environment)
