"""The door of `report`: gathers the results of a run and writes report.json, report.md and report.html."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, Field, JsonValue

from edgedistill.device.results import DeviceMeasurement
from edgedistill.document import Document, read_text
from edgedistill.emulation.findings import EmulatedCheck
from edgedistill.errors import ArtifactError, UsageError
from edgedistill.examples import read_examples
from edgedistill.frontier import FrontierRow
from edgedistill.host import Host
from edgedistill.manifest import Decision
from edgedistill.recipe import Task
from edgedistill.report.build import ReportParts, TargetParts
from edgedistill.report.compare import Comparison
from edgedistill.report.compare_page import render_comparison
from edgedistill.report.compare_text import comparison_markdown
from edgedistill.report.html import render_html
from edgedistill.report.markdown import render_markdown
from edgedistill.report.model import RunReport, StepReport, TargetLatency
from edgedistill.report.right_rows import pictures_sha256
from edgedistill.results import (
    AwareGain,
    BudgetCheck,
    Evaluation,
    GoalCheck,
    InstructionSetCheck,
    Labels,
    Measurement,
    ParityReport,
    Prediction,
    QuantizationVerdict,
    TrainingLog,
    Variant,
)
from edgedistill.run_folder import REPORT_FILE
from edgedistill.stage import write_text_durably
from edgedistill.storage import storage_errors
from edgedistill.tasks.registry import task_of_examples
from edgedistill.typed_paths import quoted
from edgedistill.verify.parity import BUNDLE

REPORT_JSON = REPORT_FILE
_RUN_FOLDER = "the DIR of a finished `edgedistill run -o DIR`"
REPORT_MARKDOWN = "report.md"
REPORT_HTML = "report.html"
COMPARISON_JSON = "comparison.json"
COMPARISON_MARKDOWN = "comparison.md"
COMPARISON_HTML = "comparison.html"

_AGAIN = "run the same command again: edgedistill run"


class TargetSettings(Document):
    """What the report of one target needs that is not a file of a step."""

    name: str
    predictions: tuple[Prediction, ...]
    budgets: tuple[BudgetCheck, ...]
    goals: tuple[GoalCheck, ...]
    frontier: tuple[FrontierRow, ...] = ()
    advice: str = ""
    target_latencies: dict[Variant, TargetLatency] = {}
    not_checked: tuple[str, ...] = ()
    device: DeviceMeasurement | None = None
    aware: AwareGain | None = None
    bundle_refused: str = Field("", description="why no bundle was packed; empty where one was, or an earlier gate failed")
    not_emulated: tuple[InstructionSetCheck, ...] = Field((), description="cores on which the int8 student was not replayed")
    is_this_machine: bool = Field(False, description="is the target the machine that measured?")


class Settings(Document):
    """What the report of a run needs that is not a file of a step; `targets` by id."""

    recipe: str
    task: Task
    created: AwareDatetime
    host: Host
    tools: dict[str, str]
    targets: dict[str, TargetSettings]
    decisions: tuple[Decision, ...] = ()
    steps: tuple[StepReport, ...] = ()
    command: str = ""


@dataclass(frozen=True)
class TargetInputs:
    """The result files for one target.

    Attributes:
        evaluations: evaluation.json, by variant.
        logits: logits.npy of the test rows, by variant.
        measurements: measurements.json; None when nothing was measured, as after a failed parity gate.
        parity: parity.json.
        verdict: the quantization's verdict.
        test: the test split, an Arrow file of examples.
        labels: labels.json.
        curves: training_log.json, by the name of the training.
        emulated: emulated.json; None when nothing was replayed on the target's core.
        verdicts: verdict.json of the other int8 variants.
        emulated_others: the same of other cores, by core.
    """

    evaluations: Mapping[Variant, Path]
    logits: Mapping[Variant, Path]
    measurements: Path | None
    parity: Path
    verdict: Path
    test: Path
    labels: Path
    curves: Mapping[str, Path] = field(default_factory=dict)
    emulated: Path | None = None
    verdicts: Mapping[Variant, Path] = field(default_factory=dict)
    emulated_others: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Inputs:
    """The result files of a run: those of each target by its id, and prepare's data report."""

    targets: Mapping[str, TargetInputs]
    data_report: Path | None = None


class _MeasuredVariants(Document):
    """The file that `benchmark` writes."""

    sequence_tokens: int
    measurements: tuple[Measurement, ...]


def read_parts(settings: Settings, inputs: Inputs) -> ReportParts:
    """Read everything that a report is built from.

    Raises:
        UsageError: a file is missing or is not what it should be.
        ArtifactError: logits cannot be read, or settings and inputs name different targets.
    """
    if set(settings.targets) != set(inputs.targets):
        raise ArtifactError(
            f"settings for {', '.join(settings.targets)}, files for {', '.join(inputs.targets)}", hint=_AGAIN
        )
    return ReportParts(
        recipe=settings.recipe,
        task=settings.task,
        created=settings.created,
        host=settings.host,
        tools=settings.tools,
        targets={name: read_target_parts(own, inputs.targets[name]) for name, own in settings.targets.items()},
        decisions=settings.decisions,
        steps=settings.steps,
        data=None if inputs.data_report is None else _read_mapping(inputs.data_report),
        command=settings.command,
    )


def read_target_parts(settings: TargetSettings, inputs: TargetInputs) -> TargetParts:
    """Read the results for one target.

    Raises:
        UsageError: a file is missing or is not what it should be.
        ArtifactError: logits cannot be read.
    """
    test = read_examples(inputs.test)
    measured = () if inputs.measurements is None else _MeasuredVariants.read_json(inputs.measurements).measurements
    measurements = {measurement.variant: measurement for measurement in measured}
    if settings.aware is not None and settings.aware.is_shipped and "student_int8" in measurements:  # one file, two names
        measurements["student_int8_aware"] = measurements["student_int8"].model_copy(update={"variant": "student_int8_aware"})
    return TargetParts(
        name=settings.name,
        evaluations={name: Evaluation.read_json(path) for name, path in inputs.evaluations.items()},
        logits={name: _read_logits(path) for name, path in inputs.logits.items()},
        texts=tuple(test.shown),
        gold=test.labels,
        labels=Labels.read_json(inputs.labels).labels,
        measurements=measurements,
        parity=_with_bundle(ParityReport.read_json(inputs.parity), settings.bundle_refused),
        quantization=QuantizationVerdict.read_json(inputs.verdict),
        verdicts={name: QuantizationVerdict.read_json(path) for name, path in inputs.verdicts.items()},
        predictions=settings.predictions,
        budgets=settings.budgets,
        goals=settings.goals,
        frontier=settings.frontier,
        advice=settings.advice,
        target_latencies=settings.target_latencies,
        curves={name: TrainingLog.read_json(path) for name, path in inputs.curves.items()},
        not_checked=settings.not_checked,
        device=settings.device,
        emulated=None if inputs.emulated is None else EmulatedCheck.read_json(inputs.emulated),
        emulated_others=tuple(EmulatedCheck.read_json(path) for path in inputs.emulated_others.values()),
        not_emulated=settings.not_emulated,
        is_this_machine=settings.is_this_machine,
        aware=settings.aware,
        thumbnail_of=lambda row: task_of_examples(test).thumbnail(test, row),
        pictures_sha256=pictures_sha256(test),
    )


def _with_bundle(parity: ParityReport, refused: str) -> ParityReport:
    """Fail the gate of int8 where a file of the bundle does not answer as the int8 student."""
    if not refused:
        return parity
    failed = {"reference": "the int8 student", "candidate": BUNDLE, "passed": False, "problems": (refused,)}
    return parity.model_copy(update={"int8": parity.int8.model_copy(update=failed)})


def write_report(report: RunReport, out: Path) -> None:
    """Write report.json, report.md and report.html below `out`, each absent, old or whole at any moment.

    Raises:
        StorageError: the folder cannot be written or the disk is full.
    """
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        write_text_durably(out / REPORT_JSON, report.to_json())
    write_pages(report, out)


def write_pages(report: RunReport, out: Path) -> None:
    """Write report.md and report.html in the folder `out`, each absent, old or whole at any moment.

    Raises:
        StorageError: the folder cannot be written or the disk is full.
    """
    with storage_errors(out):
        write_text_durably(out / REPORT_MARKDOWN, render_markdown(report))
        write_text_durably(out / REPORT_HTML, render_html(report))


def read_report(run: Path) -> RunReport:
    """Read the report of a run: its folder, or its report.json.

    Raises:
        UsageError: there is none, it is a file of another kind, or it is damaged.
    """
    path = run / REPORT_JSON if run.is_dir() else run
    if not path.is_file():
        raise UsageError(f"{path}: no such file", hint=f"name the run folder: {_RUN_FOLDER}")
    if path.name != REPORT_JSON and not _is_report(path):
        is_beside = path.with_name(REPORT_JSON).is_file()
        raise UsageError(f"{path}: is no {REPORT_JSON}",
                         hint=f"name the run folder: {quoted(path.parent) if is_beside else _RUN_FOLDER}")
    return RunReport.read_json(path)


def _is_report(path: Path) -> bool:
    """Is a file of another name a report, whole or not? One that may not be read counts as one: reading it says why."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    except OSError:
        return True
    return isinstance(content, dict) and {"schema_version", "recipe", "targets"} <= content.keys()


def write_comparison(comparison: Comparison, reports: Mapping[str, RunReport], out: Path) -> Path:
    """Write comparison.json, comparison.md and comparison.html below `out`; return the path of the page.

    Raises:
        StorageError: the folder cannot be written or the disk is full.
    """
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        write_text_durably(out / COMPARISON_JSON, comparison.to_json())
        write_text_durably(out / COMPARISON_MARKDOWN, comparison_markdown(comparison))
        write_text_durably(out / COMPARISON_HTML, render_comparison(comparison, reports))
    return out / COMPARISON_HTML


def _read_logits(path: Path) -> NDArray[np.float32]:
    try:
        logits: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise ArtifactError(f"{path}: no such file", hint=_AGAIN) from None
    except (ValueError, EOFError) as bad:
        raise ArtifactError(f"{path}: is not an array of logits ({bad})", hint=_AGAIN) from None
    return logits


def _read_mapping(path: Path) -> Mapping[str, JsonValue]:
    """Read prepare's data report as it is: the report shows it and judges nothing by it."""
    try:
        value = json.loads(read_text(path, error=ArtifactError))
    except json.JSONDecodeError as bad:
        raise ArtifactError(f"{path}:{bad.lineno}: {bad.msg}", hint=_AGAIN) from None
    if not isinstance(value, dict):
        raise ArtifactError(f"{path}: a JSON object is expected", hint=_AGAIN)
    return value
