"""Every verb of the line alone, on plain paths."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgedistill.cli.emulated import EmulateOption, InstructionsOption, RuntimeOption, say_delivered, say_emulated
from edgedistill.cli.options import (
    DEFAULT_RECIPE,
    DEFAULT_TARGET,
    DataOption,
    Int8SetOption,
    JsonOption,
    OutOption,
    PreparedForOption,
    PreparedOption,
    RecipeOption,
    SetOption,
    TargetOption,
    add_command,
)
from edgedistill.cli.terminal import mebibytes, say, say_json, table, tell
from edgedistill.errors import ParityError, UsageError

if TYPE_CHECKING:
    from edgedistill.manifest import Manifest
    from edgedistill.results import ParityResult
    from edgedistill.verify.bundle import BundleCheck

log = logging.getLogger("edgedistill")

ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder.")]
KeepOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="Keep the raw results here; else nothing is kept.")
]
RowsOption = Annotated[
    Path,
    typer.Option("--data", "-d", metavar="DIR|FILE",
                 help="Folder that `prepare` wrote; a file with columns text and label; or an .npz, an array an input."),
]
Scheme = Annotated[
    str, typer.Option("--scheme", metavar="NAME", help="int8 scheme; auto: by the target's instruction set.")
]
Split = Annotated[
    str, typer.Option("--split", metavar="NAME", help="Split of a prepared folder: train, validation or test.")
]


def _say_done(folder: Path, manifest: "Manifest", *, as_json: bool) -> int:
    if as_json:
        say_json(manifest.to_json())
        return 0
    for decision in manifest.decisions:
        say(f"{decision.what} ({decision.why})")
    say(str(folder))
    return 0


def prepare(
    out: OutOption, recipe: RecipeOption = DEFAULT_RECIPE, target: PreparedForOption = None, set_: SetOption = None,
    as_json: JsonOption = False,
) -> int:
    """Read, check and split a recipe's data.

    Example: edgedistill prepare --recipe recipe.yaml -o work/data
    """
    import edgedistill

    targets = [edgedistill.load_target(name) for name in dict.fromkeys(target or ())]
    done = edgedistill.prepare(edgedistill.load_recipe(recipe, overrides=set_ or ()), out, targets=targets)
    return _say_done(done.folder, done.manifest, as_json=as_json)


def teach(
    data: PreparedOption, out: OutOption, recipe: RecipeOption = DEFAULT_RECIPE, set_: SetOption = None,
    as_json: JsonOption = False,
) -> int:
    """Fine-tune the teacher if need be, and write its soft labels.

    A teacher that is fine-tuned already is taken as it is.

    Example: edgedistill teach --recipe recipe.yaml --data work/data -o work/taught
    """
    import edgedistill

    teacher, soft = edgedistill.teach(edgedistill.load_recipe(recipe, overrides=set_ or ()), data, out)
    if as_json:
        say_json(f'{{"teacher": {teacher.manifest.to_json()}, "soft_labels": {soft.manifest.to_json()}}}')
        return 0
    _say_done(teacher.folder, teacher.manifest, as_json=False)
    return _say_done(soft.folder, soft.manifest, as_json=False)


def distill(
    data: PreparedOption,
    taught: Annotated[Path, typer.Option("--taught", metavar="DIR", help="Folder that `teach` wrote.")],
    out: OutOption,
    recipe: RecipeOption = DEFAULT_RECIPE,
    target: TargetOption = DEFAULT_TARGET,
    set_: SetOption = None,
    as_json: JsonOption = False,
) -> int:
    """Distil the student that fits the target.

    Example: edgedistill distill --recipe recipe.yaml --data work/data --taught work/taught -o work/student
    """
    import edgedistill

    located = edgedistill.load_recipe(recipe, overrides=set_ or ())
    done = edgedistill.distill(located, edgedistill.load_target(target), data, taught, out)
    return _say_done(done.folder, done.manifest, as_json=as_json)


def export(
    model: ModelArgument, out: OutOption, target: TargetOption = DEFAULT_TARGET, as_json: JsonOption = False
) -> int:
    """Export a torch model folder to a fused ONNX model folder.

    Example: edgedistill export work/student -o work/onnx
    """
    import edgedistill

    done = edgedistill.export(model, out, target=edgedistill.load_target(target))
    return _say_done(done.folder, done.manifest, as_json=as_json)


def quantize(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder, or any .onnx file.")],
    data: RowsOption, out: OutOption, target: TargetOption = DEFAULT_TARGET,
    scheme: Scheme = "auto",
    set_: Int8SetOption = None,
    as_json: JsonOption = False,
) -> int:
    """Quantize an ONNX model to int8.

    Candidates are judged on validation rows; the best that keeps the goal is taken, or the float model is kept. Beside it
    goes the same in ORT format. Where the emulated environment is there (`edgedistill arm-env`) it is replayed on the
    target's core and on others of its architecture: --set parity.emulated_rows=N, 0 for none. Exit code 4: the target's
    core decides otherwise.

    Example: edgedistill quantize work/onnx --data work/data --target raspberry-pi -o work/int8
    Example: edgedistill quantize mine.onnx --data rows.npz --target laptop-avx2 -o mine-int8
    Example: edgedistill quantize mine.onnx --data rows.npz -o mine-int8 --set quantization.min_coverage=0.5
    """
    import edgedistill
    from edgedistill.quantize.schemes import AUTO, check_scheme
    from edgedistill.recipe import read_int8_settings

    named = [] if check_scheme(scheme) == AUTO else [f"quantization.scheme={scheme}"]
    wanted = read_int8_settings([*(set_ or ()), *named])
    verdict = edgedistill.quantize(
        model, data, out, target=edgedistill.load_target(target), wanted=wanted.quantization, gates=wanted.parity,
    )
    code = 0 if all(line.parity is None or line.parity.passed for line in verdict.instruction_sets if line.is_target) \
        else ParityError.exit_code
    if as_json:
        say_json(verdict.to_json())
        return code
    say(table(("candidate", "outcome", "agreement", "size", "why"), [
        (row.title, row.outcome, "" if row.agreement is None else f"{row.agreement:.2%}",
         "" if row.size_bytes is None else mebibytes(row.size_bytes), row.reason) for row in verdict.table
    ]))
    share = verdict.coverage.weight_bytes_share
    say(f"{verdict.scheme}: {verdict.decision}; {share:.1%} of the weight bytes are int8")
    say_delivered(verdict)
    say(str(out))
    return code


def evaluate(
    model: ModelArgument, data: DataOption, split: Split = "test",
    out: KeepOption = None,
    as_json: JsonOption = False,
) -> int:
    """Evaluate a model folder or a bundle on labelled texts or pictures.

    Prints accuracy, macro-F1 and calibration error, each with its 95 % interval. Where a text may have several labels, micro-F1
    too; accuracy is then the share of texts whose labels are all right.

    Example: edgedistill evaluate work/int8 --data work/data
    Example: edgedistill evaluate runs/home-intents/raspberry-pi/bundle --data reviews.csv
    """
    import edgedistill

    found = edgedistill.evaluate(model, data, out, split=split)
    if as_json:
        say_json(found.to_json())
        return 0
    say(table(("figure", "value", "95 % interval"), [
        (name, f"{interval.value:.4f}", f"{interval.low:.4f} to {interval.high:.4f}")
        for name, interval in (("accuracy", found.accuracy), ("macro-F1", found.macro_f1), ("micro-F1", found.micro_f1),
                               ("calibration error", found.calibration_error)) if interval is not None
    ]))
    say(f"{found.n} rows, {found.parameters} parameters, {mebibytes(found.size_bytes)}")
    return 0


def verify(
    model: Annotated[Path, typer.Argument(metavar="BUNDLE|MODEL", help="A bundle; with --against, a model folder.")],
    against: Annotated[Path | None, typer.Option("--against", metavar="MODEL", help="Reference model folder.")] = None,
    emulate: EmulateOption = None,
    onnxruntime: RuntimeOption = None,
    instructions_at_most: InstructionsOption = None,
    data: Annotated[
        Path | None, typer.Option("--data", "-d", metavar="DIR|FILE", help="Texts for --against; texts or an .npz for --emulate.")
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Check a bundle, or that two models give the same answers, or that one does so on another instruction set.

    Of a bundle, every hash and the golden vectors are checked. With --emulate its model answers on the cores named too,
    and is compared with this machine (`edgedistill arm-env` builds the emulator). Exit code 4: it failed, or needs more
    instructions than --instructions-at-most.

    Example: edgedistill verify runs/home-intents/raspberry-pi/bundle
    Example: edgedistill verify runs/home-intents/raspberry-pi/bundle --emulate cortex-a72
    Example: edgedistill verify runs/home-intents/raspberry-pi/bundle --emulate cortex-a72 --instructions-at-most 6000000
    Example: edgedistill verify work/int8 --against work/onnx --data work/data
    """
    import edgedistill

    if emulate and against is not None:
        raise UsageError("--against and --emulate are two checks", hint="run edgedistill verify once with each")
    if emulate:
        return say_emulated(model, emulate, data, onnxruntime=onnxruntime, instructions_at_most=instructions_at_most,
                            as_json=as_json)
    if instructions_at_most is not None:
        raise UsageError("--instructions-at-most is of a model in the emulator", hint="add --emulate CORE")
    if onnxruntime:
        raise UsageError("--onnxruntime is the version in the emulator", hint="add --emulate CORE")
    if against is None and data is not None:
        raise UsageError("--data is of --against or --emulate; a bundle alone is checked with its own golden vectors",
                         hint="leave out --data, or add --against MODEL or --emulate CORE")
    if against is None:
        return _say_checked(edgedistill.verify(model), as_json=as_json)
    if data is None:
        raise UsageError("--against needs texts to compare on", hint="add --data FILE or --data PREPARED_FOLDER")
    from edgedistill.library import verify_models

    return _say_compared(verify_models(against, model, data), model, as_json=as_json)


def _say_compared(parity: "ParityResult", model: Path, *, as_json: bool) -> int:
    """Print how two models compare, the second of which is named, with the gates that failed, and return the exit code."""
    from edgedistill.user_paths import scheme_of
    from edgedistill.verify.parity import advice_alone

    say_json(parity.to_json()) if as_json else say(
        f"{parity.top1_agreement:.2%} of {parity.n} rows agree, {parity.decisions_flipped} decisions flipped, "
        f"largest difference {parity.max_abs_error:.4g}"
    )
    for problem in () if as_json else parity.problems:  # the document has them
        say(f"problem: {problem}")
    if parity.passed:
        return 0
    tell(f"hint:  {advice_alone(parity, scheme_of(model))}")
    return ParityError.exit_code


def _say_checked(check: "BundleCheck", *, as_json: bool) -> int:
    """Print what the check of a bundle found, and return the exit code."""
    say_json(check.to_json()) if as_json else say(
        f"{check.files_checked} files checked, {check.vectors_replayed} answers replayed on "
        f"{' and '.join(check.models) or 'no model'}: {'passed' if check.passed else 'FAILED'}"
    )
    for problem in () if as_json else check.problems:  # the document has them
        say(f"problem: {problem}")
    for warning in check.warnings:
        log.warning("%s", warning)
    return 0 if check.passed else ParityError.exit_code


def package(
    model: ModelArgument, data: PreparedOption, out: OutOption, recipe: RecipeOption, target: TargetOption = DEFAULT_TARGET,
    deny_licence: Annotated[
        list[str] | None,
        typer.Option("--deny-licence", metavar="SPDX", help="Refuse a teacher or data under it; may stand repeatedly."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Pack an int8 model folder into the bundle that an app loads.

    The recipe must be the model's own: teacher, data and licences that the bundle names are read from it.

    Example: edgedistill package work/int8 --data work/data --recipe recipe.yaml -o work/packed
    """
    import edgedistill

    located, device = edgedistill.load_recipe(recipe), edgedistill.load_target(target)
    done = edgedistill.package(
        model, data, out, recipe=located, target=device, deny_licences=deny_licence or ()
    )
    return _say_done(done.folder / "bundle", done.manifest, as_json=as_json)


def report(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")], as_json: JsonOption = False
) -> int:
    """Write report.md and report.html of a run anew.

    They are made from its report.json; nothing is measured again.

    Example: edgedistill report runs/home-intents
    """
    import edgedistill

    found = edgedistill.report(run_folder)
    if as_json:
        say_json(found.to_json())
        return 0
    for target in found.targets.values():
        say(target.summary)
    say(str((run_folder if run_folder.is_dir() else run_folder.parent) / "report.html"))
    return 0


def predict(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle folder or its zip.")],
    texts: Annotated[list[str], typer.Argument(metavar="TEXT|FILE", help="Texts or picture files to classify.")],
    as_json: JsonOption = False,
) -> int:
    """Classify texts, or picture files, with a bundle.

    It runs with onnxruntime and tokenizers (or Pillow) alone, as an app does.

    Example: edgedistill predict runs/home-intents/raspberry-pi/bundle "turn the lights down"
    Example: edgedistill predict runs/photos/raspberry-pi/bundle a.jpg b.png
    """
    import json

    import edgedistill
    from edgedistill.artifact import readable_name

    answers = edgedistill.predict(bundle, texts)
    if as_json:
        say_json(json.dumps([
            {"text": text, "label": a.label, "probability": a.probability,
             "top": [{"label": c.label, "probability": c.probability} for c in a.top],
             **({} if a.labels is None else {"labels": list(a.labels)})}
            for text, a in zip(texts, answers, strict=True)
        ]))
        return 0
    for text, answer in zip(texts, answers, strict=True):
        shown = [f"{' '.join(c.label.splitlines())} {c.probability:.2f}" for c in answer.top]  # a line an input
        applying = 1 if answer.labels is None else len(answer.labels)
        decided = ", ".join(shown[:applying]) or "no label applies"
        others = ", ".join(shown[applying:applying + 2])
        shown_text = " ".join(readable_name(text).split())
        say(f"{decided}  ({others})  {shown_text}" if others else f"{decided}  {shown_text}")
    return 0


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (prepare, teach, distill, export, quantize, evaluate, verify, package, report, predict):
        add_command(app, command)
