"""The command that builds the emulated environment, and what `verify --emulate` says."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgedistill.cli.options import JsonOption, add_command
from edgedistill.cli.terminal import mebibytes, say, say_json, table, tell
from edgedistill.errors import ParityError

if TYPE_CHECKING:
    from edgedistill.results import InstructionSetCheck, QuantizationVerdict
    from edgedistill.verify.emulated import BundleEmulation

EmulateOption = Annotated[
    list[str] | None,
    typer.Option("--emulate", metavar="CORE",
                 help="cortex-a53, cortex-a57, cortex-a72, cortex-a76, neoverse-n1 or haswell; repeatable."),
]
RuntimeOption = Annotated[
    str | None,
    typer.Option("--onnxruntime", metavar="VERSION", help="Of the runtime in the emulator; default: the one installed here."),
]
InstructionsOption = Annotated[
    int | None,
    typer.Option("--instructions-at-most", metavar="N", min=1,
                 help="Of one inference on each core of --emulate; exit code 4 when it takes more."),
]


def arm_env(
    onnxruntime: RuntimeOption = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build it anew.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Build the environment that runs models as an ARM device does.

    An emulator and an aarch64 Python with onnxruntime, from ordinary packages, below ~/.cache; nothing is installed and
    root is not needed. What is there is checked by its hashes. Exit code 6: it cannot be built here.

    Example: edgedistill arm-env
    """
    from edgedistill.emulation.environment import ensure

    found = ensure(onnxruntime, is_rebuilt=rebuild, is_checked=True)
    facts = found.facts
    if as_json:
        say_json(facts.to_json())
        return 0
    say(f"{found.tools}, Python {facts.python} for aarch64: {mebibytes(facts.size_bytes)} from {len(facts.packages)} "
        f"packages, {'built' if found.was_built else 'was there, every file is whole'}")
    if not facts.counts_instructions:
        tell(f"note: instructions cannot be counted: {facts.no_counts_because}")
    say(str(found.folder))
    return 0


def say_emulated(
    model: Path, cores: list[str], data: Path | None, *, onnxruntime: str | None, instructions_at_most: int | None,
    as_json: bool,
) -> int:
    """Replay a model on emulated cores and say what came of it; returns the exit code."""
    from edgedistill.verify.emulated import limit_instructions
    from edgedistill.verify.on_cores import require_counts, verify_on_cores

    if instructions_at_most is not None:
        require_counts(onnxruntime)
    found = verify_on_cores(model, cores, data, onnxruntime=onnxruntime)
    if instructions_at_most is not None:
        found = found.model_copy(update={
            "cores": tuple(limit_instructions(one, instructions_at_most) for one in found.cores)})
    if as_json:
        say_json(found.to_json())
    else:
        for one in found.cores:
            _say_core(one)
    return 0 if all(one.passed for one in found.cores) else ParityError.exit_code


def _say_core(found: "BundleEmulation") -> None:
    check, parity = found.check, found.check.parity
    say(f"{check.core} ({check.emulator}, {check.runtime}): {parity.n - parity.decisions_flipped} of {parity.n} decisions as "
        f"here, largest difference of a logit {parity.max_abs_error:.3g}: {'passed' if found.passed else 'FAILED'}")
    if check.accuracy is not None and check.host_accuracy is not None:
        say(f"  accuracy on {check.labelled_rows} labelled rows: {check.accuracy.value:.4f} there, "
            f"{check.host_accuracy.value:.4f} here")
    if found.golden is not None:
        golden = found.golden
        say(f"  {golden.vectors} golden vectors: {golden.decisions_flipped} flipped, off by up to {golden.max_abs_error:.3g} "
            f"({golden.tolerance:g} is allowed)")
    for problem in found.problems:
        say(f"  problem: {problem}")
    if check.peak_rss_bytes is not None and check.baseline_rss_bytes is not None:
        say(f"  resident memory of the guest: {mebibytes(check.peak_rss_bytes)}, {mebibytes(check.baseline_rss_bytes)} of it "
            "before the model was loaded")
    counted = check.instructions
    if counted is None:
        say(f"  instructions were not counted: {check.not_counted_because}")
        return
    allowed = "" if found.instructions_at_most is None else f" ({found.instructions_at_most:,} are allowed)"
    say(f"  {counted.total:,} instructions an inference of shape {' x '.join(map(str, counted.row_shape))}{allowed}; int8 "
        f"products by {(counted.int8_path or 'no known instruction').upper()}")
    rows = sorted(counted.by_class.items(), key=lambda item: -item[1])
    say(table(("  class", "instructions", "share"), [
        (f"  {name}", f"{count:,}", f"{count / counted.total:.1%}") for name, count in rows if count
    ]))


def say_delivered(verdict: "QuantizationVerdict") -> None:
    """Say what became of model.ort, and a line for each core on which the file that ships was replayed or was not."""
    from edgedistill.emulation.findings import answers_text

    ort = verdict.ort
    if ort is None:
        say(f"no model.ort: {verdict.no_ort_because}")
    else:
        say(f"model.ort: {mebibytes(ort.size_bytes)}, optimised for {ort.architecture}, {ort.parity.decisions_flipped} of "
            f"{ort.parity.n} decisions other than model.onnx's")
    for line in verdict.instruction_sets:
        say(f"{line.core}{' (the target)' if line.is_target else ''}: {answers_text(line)}{_figures(line)}")
        for problem in line.parity.problems if line.parity is not None and line.is_target else ():
            say(f"  problem: {problem}")


def _figures(line: "InstructionSetCheck") -> str:
    """Return what else is known of a replay, and that it was one."""
    if line.parity is None:
        return ""
    accuracy = "" if line.accuracy is None or line.host_accuracy is None else (
        f", accuracy {line.accuracy.value:.4f} there and {line.host_accuracy.value:.4f} here")
    products = "" if line.int8_path is None else f", int8 products by {line.int8_path.upper()}"
    return f"{accuracy}{products} ({line.parity.source}: {line.emulator}, {line.runtime})"


def register(app: typer.Typer) -> None:
    """Add this command."""
    add_command(app, arm_env, "arm-env")
