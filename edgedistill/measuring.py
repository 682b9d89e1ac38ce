"""The library calls that measure: models on this machine or on a device, and a machine itself."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from edgedistill.errors import StorageError, UsageError
from edgedistill.recipe import BenchmarkProtocol, Parity
from edgedistill.results import Variant
from edgedistill.stage import Workspace, tell_kept
from edgedistill.target import Target
from edgedistill.typed_paths import quoted
from edgedistill.user_paths import open_examples

if TYPE_CHECKING:
    from edgedistill.benchmark.cases import Detail
    from edgedistill.benchmark.stage import Measurements
    from edgedistill.device.results import DeviceMeasurement


def measure(
    models: Mapping[Variant, Path], data: Path, out: Path | None = None, *, protocol: BenchmarkProtocol | None = None
) -> "Measurements":
    """Measure latency and memory of models side by side on this host, each in a process of its own, interleaved.

    Args:
        models: by variant, an .onnx file, or a folder with model.onnx or, for torch, model.safetensors; tokenizer.json beside
            or inside. The names only tell the models apart; they are those of `edgedistill.results.Variant`.
        data: the folder that `prepare` wrote, or a file of texts.
        out: keeps measurements.json; None keeps nothing.
        protocol: threads, warm-up, runs and seconds.

    Raises:
        UsageError: `models` is no mapping, is empty, or has another name.
        ArtifactError: a model or the file of its encoder is not there.
    """
    from edgedistill.benchmark import stage
    from edgedistill.host import this_host

    models = _files_of(models)
    settings = stage.Settings(
        protocol=protocol or BenchmarkProtocol(), host=this_host().lasting, variants=tuple(models), seed=13
    )
    first = next(iter(models.values()))
    with open_examples(data, "test", like=first, are_labels_read=False) as examples, tempfile.TemporaryDirectory() as scratch:
        folder = out or Path(scratch) / "benchmark"
        inputs = stage.Inputs(dict(models.items()), examples)
        done = Workspace(folder.parent).perform_in(folder, stage.STAGE, settings, inputs)
        tell_kept(done)
        return stage.Measurements.read_json(done.folder / stage.MEASUREMENTS_FILE)


def _files_of(models: Mapping[Variant, Path]) -> dict[Variant, Path]:
    """Return the same with the .onnx file in the place of a folder that has one."""
    names: tuple[Variant, ...] = get_args(Variant)
    strange = [str(name) for name in models if name not in names] if isinstance(models, Mapping) else []
    if strange or not isinstance(models, Mapping) or not models:
        problem = f"no variant is called {', '.join(strange)}" if strange else "models are named by their variant, at least one"
        raise UsageError(problem, hint=f'{{"student_int8": Path("work/int8")}}; the names are {", ".join(names)}')
    return {name: path / "model.onnx" if (path / "model.onnx").is_file() else path for name, path in models.items()}


def measure_detail(
    model: Path, data: Path, out: Path | None = None, *, protocol: BenchmarkProtocol | None = None
) -> "Detail":
    """Measure one ONNX model by length, batch and threads, with and without arena, and end to end.

    Args:
        model: a model folder, or an .onnx file beside its tokenizer.json or preprocessor_config.json.
        data: the folder that `prepare` wrote, or a file of texts or pictures; the lengths of texts decide the cases.
        out: keeps detail.json; None keeps nothing.
        protocol: threads of the first case, warm-up, runs, seconds and rounds; one process a case.
    """
    from edgedistill.benchmark import detail_stage
    from edgedistill.benchmark.cases import Detail
    from edgedistill.benchmark.naming import name_models
    from edgedistill.host import this_host

    wanted = (protocol or BenchmarkProtocol()).model_copy(update={"processes": 1})
    ((variant, file),) = name_models([model]).items()
    settings = detail_stage.Settings(variant=variant, protocol=wanted, host=this_host().lasting, seed=13)
    with open_examples(data, "test", like=file, are_labels_read=False) as examples, tempfile.TemporaryDirectory() as scratch:
        folder = out or Path(scratch) / "detail"
        done = Workspace(folder.parent).perform_in(folder, detail_stage.STAGE, settings, detail_stage.Inputs(file, examples))
        tell_kept(done)
        return Detail.read_json(done.folder / detail_stage.DETAIL_FILE)


def measure_on(
    address: str, model: Path, data: Path | None = None, out: Path | None = None, *, protocol: BenchmarkProtocol | None = None
) -> "DeviceMeasurement":
    """Measure a model on a device: its answers, its latency, its memory.

    Args:
        address: `ssh://user@host:port` or `adb:SERIAL`.
        model: a bundle's folder or zip, a model folder, or an .onnx file beside its tokenizer.json or
            preprocessor_config.json.
        data: labelled texts or pictures: the folder that `prepare` wrote, or a file; None, of a bundle: its golden ones.
        out: keeps device.json and logits.npy; None keeps nothing.
        protocol: threads, warm-up, runs, seconds and rounds.

    Raises:
        TargetUnreachableError: the device does not answer, or the connection broke and did not come back.
        MissingDependencyError: it has no Python with numpy and onnxruntime; the hint installs them.
        TargetError: it is a 32-bit ARM system, or its onnxruntime is denied for the bundle's target, or older than its oldest.
        DeviceError: it answers and cannot do the work: it is out of memory or full.
    """
    from edgedistill.device import stage
    from edgedistill.device.results import DeviceMeasurement
    from edgedistill.device.subject import opened_subject

    with opened_subject(model, data) as subject, tempfile.TemporaryDirectory() as scratch:
        reached = stage.reach(address)
        if subject.oldest is not None:
            stage.refuse_older(reached, subject.oldest)
        settings = stage.Settings(
            address=address, device=reached.facts, protocol=protocol or BenchmarkProtocol(),
            min_agreement=Parity().int8_min_agreement, denied=subject.denied,
        )
        folder = out or Path(scratch) / "device"
        done = Workspace(folder.parent).perform_in(folder, stage.STAGE, settings, stage.Inputs(subject.model, subject.examples))
        tell_kept(done)
        return DeviceMeasurement.read_json(done.folder / stage.DEVICE_FILE)


def calibrate(
    out: Path, *, rounds: int | None = None, seconds: float | None = None, on: str | None = None
) -> Target:
    """Measure a machine with forty small graphs and six whole encoders, and write it as a target profile.

    Args:
        out: the profile to write; a file that is there is replaced.
        rounds: how often all graphs are timed; default 5.
        seconds: time for a graph in a round; default 0.1.
        on: `ssh://user@host:port` or `adb:SERIAL`; None: this machine.

    Returns:
        the profile; `latency.residual_error` says how well its rates explain the times, `latency.warnings` when the
        fit must not be trusted.

    Raises:
        TargetError: the machine's architecture cannot be a target, or it is emulated.
        TargetUnreachableError: the device does not answer, or the connection broke and did not come back.
        MissingDependencyError: the device lacks something; the hint installs it.
        StorageError: the file cannot be written, which is said before anything is measured.
    """
    from edgedistill.calibrate import local
    from edgedistill.stage import write_text_durably
    from edgedistill.storage import storage_errors

    if out.is_dir():
        raise StorageError(f"{out}: is a folder, and the profile is a file", hint=f"-o {quoted(out / 'here.yaml')}")
    with storage_errors(out.parent, is_file=True):  # before minutes of measuring: can a file be made there?
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    rounds, seconds = rounds or local.ROUNDS, seconds or local.SECONDS
    if on is None:
        found = local.calibrate_this_machine(rounds=rounds, seconds=seconds)
    else:
        from edgedistill.calibrate.remote import calibrate_device
        from edgedistill.device.stage import reach

        found = calibrate_device(reach(on), rounds=rounds, seconds=seconds)
    with storage_errors(out.parent, is_file=True):
        write_text_durably(out, found.to_yaml())
    return found
