"""The command that measures models: on this machine, or on a device."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgedistill.cli.options import JsonOption, OnOption, add_command
from edgedistill.cli.terminal import mebibytes, milliseconds, say, say_json, table, tell
from edgedistill.errors import ParityError, UsageError

if TYPE_CHECKING:
    from edgedistill.device.results import DeviceMeasurement
    from edgedistill.recipe import BenchmarkProtocol
    from edgedistill.results import Measurement
    from edgedistill.tasks.task import TaskDoor

_ROUNDS = 2
_PROCESSES = 24
"""Half as many find a tenth in 95 of 100 on machines as restless as `tests/benchmark/synthetic.py` makes them; a real one with
another program beside is worse."""

log = logging.getLogger("edgedistill")

KeepOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="DIR", help="Keep the raw results here; else nothing is kept.")
]


def benchmark(
    models: Annotated[
        list[Path], typer.Argument(
            metavar="MODEL", help="Model folders or .onnx files: up to four ONNX, two torch. With --on: a bundle.")
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", "-d", metavar="DIR|FILE",
                     help="Folder that `prepare` wrote, or a file with columns text and label, or pictures. Of a bundle with "
                     "--on, the golden examples are taken without it."),
    ] = None,
    on: OnOption = None,
    threads: Annotated[int, typer.Option("--threads", min=1, max=256, help="Threads of the runtime.")] = 1,
    processes: Annotated[
        int | None, typer.Option("--processes", min=1, max=200, help="Fresh processes a model; default: 24 of several, 1 of one.")
    ] = None,
    detail: Annotated[
        bool, typer.Option("--detail", help="One model by length, batch, threads and arena, and with its pre-processing.")
    ] = False,
    out: KeepOption = None,
    as_json: JsonOption = False,
) -> int:
    """Measure latency and memory of models on this machine, or of a bundle on a device.

    All are measured side by side: interleaved, each in processes of its own. Of every two it is said which is faster, or
    that this machine cannot separate them.
    On a device the answers are compared with this machine's too. It needs python3 with numpy and onnxruntime there, and
    a key that ssh takes. Exit code 5: the device does not answer; 6: it lacks something, and the hint installs it.

    Example: edgedistill benchmark work/onnx work/int8 --data work/data
    Example: edgedistill benchmark work/int8 --data work/data --detail
    Example: edgedistill benchmark runs/home-intents/raspberry-pi/bundle --on ssh://pi@raspberrypi.local
    """
    _refuse_unused(on, processes, is_detailed=detail)
    if on is not None:
        from edgedistill.user_paths import task_at

        measured = _on_device(on, models, data, out, threads)
        say_json(measured.to_json()) if as_json else say(_device_words(measured, task_at(models[0])))
        return 0 if measured.against_host.passed else ParityError.exit_code
    if data is None:
        raise UsageError("texts or pictures are needed to time models on", hint="add --data FILE or --data PREPARED_FOLDER")
    from edgedistill.recipe import BenchmarkProtocol

    if detail:
        return _in_detail(models, data, out, threads, as_json=as_json)
    wanted = processes or (_PROCESSES if len(models) > 1 else 1)
    protocol = BenchmarkProtocol(threads=threads, processes=wanted, rounds=_ROUNDS if wanted > 1 else 5)
    return _here(models, data, out, protocol, as_json=as_json)


def _refuse_unused(on: str | None, processes: int | None, *, is_detailed: bool) -> None:
    """Refuse an option that the chosen measurement would not use.

    Raises:
        UsageError: --detail with --on; --processes with either.
    """
    if on is not None and is_detailed:
        raise UsageError("--detail is measured on this machine, and --on is another", hint="leave out --detail, or --on")
    if processes is not None and (on is not None or is_detailed):
        raise UsageError(f"--processes has no use with {'--on' if on is not None else '--detail'}, which chooses its own",
                         hint="leave out --processes")


def _here(models: list[Path], data: Path, out: Path | None, protocol: "BenchmarkProtocol", *, as_json: bool) -> int:
    import edgedistill
    from edgedistill.benchmark.naming import name_models
    from edgedistill.benchmark.separation import sentences
    from edgedistill.user_paths import task_at

    named = name_models(models)
    for name, path in named.items():
        log.info("%s is %s", name, path)
    found = edgedistill.measure(named, data, out, protocol=protocol)
    if as_json:
        say_json(found.to_json())
        return 0
    task, paths = task_at(models[0]), [str(named[m.variant]) for m in found.measurements]
    say(_times_table(paths, found.measurements))
    say()
    say(_costs_table(paths, found.measurements, task))
    first = found.measurements[0]
    say(f"{found.sequence_tokens} {task.length_unit}, {protocol.threads} thread(s), {first.runtime}, "
        f"{protocol.processes} process(es) a model"
        + (f" kept to core(s) {', '.join(map(str, first.cpus))}" if first.cpus else ""))
    if protocol.processes > 1:
        for sentence in sentences(found.measurements, {name: str(path) for name, path in named.items()}):
            say(sentence)
    return 0


def _times_table(names: list[str], measurements: "tuple[Measurement, ...]") -> str:
    """Return the steady state of each model; with energy, where the machine tells it."""
    from edgedistill.benchmark.statistics import summarize
    from edgedistill.report.wording import energy_text, time_range_text, time_text

    energies = [m.energy_per_run_j for m in measurements]
    is_told = any(energy is not None for energy in energies)
    rows = []
    for name, measurement, energy in zip(names, measurements, energies, strict=True):
        s = summarize(measurement.rounds_s)
        p50 = time_range_text(s.p50_s, (s.median_s.low, s.median_s.high))
        told = ("-" if energy is None else energy_text(energy),) if is_told else ()
        rows.append((name, p50, *map(time_text, (s.mad_s, s.p90_s, s.p99_s)), *told))
    header = ("model", "p50 (95 % interval)", "MAD", "p90", "p99")
    return table((*header, "energy a run") if is_told else header, rows)


def _costs_table(names: list[str], measurements: "tuple[Measurement, ...]", task: "TaskDoor") -> str:
    """Return the throughput of each model, its start, its memory, and whether all of this can be relied on."""
    from edgedistill.benchmark.statistics import percentile, pooled
    from edgedistill.report.wording import rate_text, time_text

    return table(("model", f"{task.rate_unit} a second", "load", "first run", "memory over runtime", "noisy"), [
        (name, rate_text(task.rate_of(m.sequence_tokens) / percentile(pooled(m.rounds_s), 50)),
         *map(time_text, (m.load_s, m.first_run_s)), mebibytes(m.peak_rss_bytes - m.baseline_rss_bytes),
         "yes" if m.is_noisy else "no")
        for name, m in zip(names, measurements, strict=True)
    ])


def _in_detail(models: list[Path], data: Path, out: Path | None, threads: int, *, as_json: bool) -> int:
    import edgedistill
    from edgedistill.recipe import BenchmarkProtocol
    from edgedistill.report.wording import rate_text
    from edgedistill.user_paths import task_at

    if len(models) != 1:
        raise UsageError("one model at a time is measured in detail", hint="edgedistill benchmark MODEL --data DATA --detail")
    found = edgedistill.measure_detail(models[0], data, out, protocol=BenchmarkProtocol(threads=threads))
    if as_json:
        say_json(found.to_json())
        return 0
    task = task_at(models[0])
    say(table(("case", "p50", "p90", "p99", f"{task.rate_unit} a second", "load", "first run", "memory over runtime"), [
        (row.case.name, *map(milliseconds, (row.p50_s, row.p90_s, row.p99_s)),
         rate_text(task.rate_of(row.case.sequence_tokens) * row.examples_per_s),
         milliseconds(row.measurement.load_s), milliseconds(row.measurement.first_run_s),
         mebibytes(row.measurement.peak_rss_bytes - row.measurement.baseline_rss_bytes))
        for row in found.rows
    ]))
    first = found.rows[0].measurement
    energy = "this machine has no counter that may be read" if first.energy_per_run_j is None else (
        f"{first.energy_per_run_j * 1e3:.3g} mJ, whole package, first case")
    say(f"{first.runtime}; energy a run: {energy}; end to end: {task.preprocessing} inside the timed call")
    for row in found.rows:
        for warning in row.measurement.warnings:
            tell(f"warning: {row.case.name}: {warning}")
    return 0


def _on_device(address: str, models: list[Path], data: Path | None, out: Path | None, threads: int) -> "DeviceMeasurement":
    import edgedistill
    from edgedistill.recipe import BenchmarkProtocol

    if len(models) != 1:
        raise UsageError("one model at a time is measured on a device", hint="edgedistill benchmark BUNDLE --on ADDRESS")
    return edgedistill.measure_on(address, models[0], data, out, protocol=BenchmarkProtocol(threads=threads))


def _device_words(found: "DeviceMeasurement", task: "TaskDoor") -> str:
    """Return what was found on a device as text; an emulated one has no times to show."""
    from edgedistill.benchmark.statistics import summarize
    from edgedistill.report.wording import energy_text, rate_text, time_range_text, time_text

    device, answers = found.device, found.against_host
    lines = [
        f"{found.address}: {device.model or device.cpu}, {device.cores} cores, {device.architecture}, {found.runtime}"
        + (" (emulated)" if device.is_emulated else ""),
        f"{found.rows} rows: {answers.decisions_flipped} answered otherwise than on this host, largest difference of a logit "
        f"{answers.max_abs_error:.3g}" + (f"; accuracy {found.accuracy.value:.4f} ({found.accuracy.low:.4f} to "
                                          f"{found.accuracy.high:.4f})" if found.accuracy else ""),
    ]
    if found.rounds:
        figures, first = summarize(found.rounds_s), found.rounds[0]
        memory = mebibytes((found.peak_rss_bytes or 0) - (found.baseline_rss_bytes or 0))
        lines.append(table(("p50 (95 % interval)", "MAD", "p90", "p99", "load", "first run"), [(
            time_range_text(figures.p50_s, (figures.median_s.low, figures.median_s.high)),
            *map(time_text, (figures.mad_s, figures.p90_s, figures.p99_s, first.load_s, first.first_run_s)),
        )]))
        rate = rate_text(task.rate_of(found.sequence_tokens) / figures.p50_s)
        lines.append(f"{found.sequence_tokens} {task.length_unit}, {rate} {task.rate_unit} a second, "
                     f"{found.protocol.threads} thread(s), {figures.n} runs in {len(found.rounds)} processes")
        energy = "no counter that may be read" if found.energy_per_run_j is None else energy_text(found.energy_per_run_j)
        lines.append(f"memory over runtime {memory}; energy a run: {energy}")
    return "\n".join([*lines, *(f"warning: {sentence}" for sentence in found.warnings)])


def register(app: typer.Typer) -> None:
    """Add the command."""
    add_command(app, benchmark)
