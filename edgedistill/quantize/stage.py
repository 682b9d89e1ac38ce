"""The door of `quantize`: candidates are made, judged on validation, and the best that keeps the goal is chosen, or float.

Two stages: `STAGE` is the court alone, as a run needs it; `MODEL` is the command, for a model of any maker: beside the court's
verdict model.ort and the replays on emulated cores, which in a run `package` and `verify` do.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from edgedistill.decisions import problem_of_folder, require_known_labels
from edgedistill.document import Document
from edgedistill.errors import ArtifactError, UsageError
from edgedistill.evaluate.onnx_model import ModelInput, OnnxModel
from edgedistill.export.norm_form import NormForm, in_norm_form, norm_form
from edgedistill.host import Host, this_host
from edgedistill.int8_settings import PostTraining
from edgedistill.latency.rates import float_rates_of, rates_of
from edgedistill.manifest import Decision
from edgedistill.quantize.calibration import Stream
from edgedistill.quantize.calibration_rows import draw_rows, require_rows
from edgedistill.quantize.court import Court, Judged, answers_of, best_by_chance, least_divergent
from edgedistill.quantize.delivery import Delivery, deliver, open_environment
from edgedistill.quantize.finite_weights import require_finite_weights
from edgedistill.quantize.forecast import TargetRates, float_p50_of, forecasts_of
from edgedistill.quantize.fused_form import fused_form
from edgedistill.quantize.instruction_rules import shares_path
from edgedistill.quantize.judgement import Goal
from edgedistill.quantize.plain_form import plain_form, read_proto
from edgedistill.quantize.rows import Rows, SomeRows, each, fit_rows, read_rows
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.schemes import SchemeChoice
from edgedistill.quantize.search import Tried, search
from edgedistill.quantize.static_quantizer import is_convolutional
from edgedistill.quantize.timing import Times, rows_of_median_size, time_candidates
from edgedistill.quantize.verdict import Finding, write_verdict
from edgedistill.quantize.versions import Limits
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.results import QuantizationVerdict
from edgedistill.stage import Outcome, Stage
from edgedistill.target import Target
from edgedistill.tasks.registry import task_of_model

log = logging.getLogger("edgedistill")

ONNX_FILE = "model.onnx"
VERDICT_FILE = "verdict.json"
ORT_FILE = "model.ort"
_CONFIG_FILE = "config.json"
_SCRATCH = "candidates"
_FLOAT_FILE = "float.onnx"
_FUSED_FILE = "fused.onnx"
_NORMS_FILE = "norms.onnx"
_JUDGED_ROWS = 1000
_CHECKED_ROWS = 8
_CONVERTED_ALIKE = 1e-3
"""How far a number that a model puts out may move, as a share of the largest, when only its file is written anew."""


class Settings(Document):
    """Which schemes are tried, in which order, why, and what int8 must keep."""

    schemes: tuple[str, ...]
    static: tuple[str, ...] = ()
    order_because: str
    min_agreement: float
    host_saturates: bool
    wanted: PostTraining = PostTraining()
    target_saturates: bool = False
    model_bytes_limit: float | None = None
    timed_on: Host | None = None
    predicted_by: TargetRates | None = None
    max_ir_version: int | None = None
    max_opset: int | None = None
    norms: NormForm = "fused"
    seed: int = 13


class ModelSettings(Document):
    """The court, and what is made and checked of the file that ships."""

    court: Settings
    delivery: Delivery


@dataclass(frozen=True)
class Inputs:
    """What is quantized, on what it is judged, and on what static schemes are calibrated.

    Attributes:
        model: a float ONNX model folder.
        validation: examples, or an .npz of arrays, on which candidates are judged.
        train: the same of the training split; None: static schemes cannot be tried.
        soft_labels: the teacher's answers to the training examples; None: calibration by them cannot be chosen.
        reference: a float ONNX model folder whose accuracy int8 must keep, of which `model` was tuned; None: `model` itself.
    """

    model: Path
    validation: Path
    train: Path | None = None
    soft_labels: Path | None = None
    reference: Path | None = None


def _requires(settings: Settings, inputs: Inputs) -> None:
    names = (ONNX_FILE,) if inputs.validation.suffix == ".npz" else (ONNX_FILE, task_of_model(inputs.model).encoder_file)
    for name in names:
        if not (inputs.model / name).is_file():
            hint = ("edgedistill export MODEL -o DIR" if name == ONNX_FILE else f"put {name} beside the model; or give the "
                    "model's own inputs as an .npz: --data rows.npz")
            raise ArtifactError(f"{inputs.model / name}: no such file", hint=hint)
    if inputs.reference is not None and not (inputs.reference / ONNX_FILE).is_file():
        raise ArtifactError(f"{inputs.reference / ONNX_FILE}: no such file", hint="edgedistill export MODEL -o DIR")
    named = [name for name in settings.schemes if parse_scheme(name).needs_calibration]
    if named and inputs.train is None:
        raise UsageError(f"{named[0]} needs training rows to calibrate on", hint="--data PREPARED_FOLDER, or a file with "
                         "more than one row")
    if named and inputs.train is not None:
        require_rows(inputs.train, settings.wanted.calibration, soft_labels=inputs.soft_labels)


def _requires_model(settings: ModelSettings, inputs: Inputs) -> None:
    open_environment(settings.delivery)
    _requires(settings.court, inputs)


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    _, verdict = _hold_court(settings, inputs, out)
    return _outcome(verdict, out)


def _run_model(settings: ModelSettings, inputs: Inputs, out: Path) -> Outcome:
    court, verdict = _hold_court(settings.court, inputs, out)
    return _outcome(deliver(verdict, court, settings.delivery, model=out / ONNX_FILE, ort=out / ORT_FILE), out)


def _outcome(verdict: QuantizationVerdict, out: Path) -> Outcome:
    (out / VERDICT_FILE).write_text(verdict.to_json(), encoding="utf-8")
    return Outcome(decisions=(Decision(step="quantize", what=verdict.scheme, why=verdict.decision),), scratch=(_SCRATCH,))


def _hold_court(settings: Settings, inputs: Inputs, out: Path) -> tuple[Court, QuantizationVerdict]:
    """Write what ships, and return the verdict with the court that found it."""
    scratch = out / _SCRATCH
    scratch.mkdir()
    court = _open_court(settings, inputs, scratch)
    tried = _judge_all(settings, court)
    times = _time(settings, inputs, court, tried.judged)
    chosen = _choose(settings, court, tried.judged, times)
    shutil.copyfile(chosen.file if chosen else court.source, out / ONNX_FILE)
    for name in (_CONFIG_FILE, *task_of_model(inputs.model).companions):
        if (inputs.model / name).is_file():
            shutil.copyfile(inputs.model / name, out / name)
    finding = Finding(chosen, tried.judged, times, tried.noise, _untried(settings, court, inputs))
    verdict = write_verdict(finding, court, because=settings.order_because, limit=settings.model_bytes_limit,
                            host_saturates=settings.host_saturates)
    return court, verdict


def _open_court(settings: Settings, inputs: Inputs, scratch: Path) -> Court:
    given = inputs.model / ONNX_FILE
    plain = plain_form(given, scratch / _FLOAT_FILE, _limits(settings))
    require_finite_weights(plain, named=given)
    _require_loadable(plain, named=given)
    fused = fused_form(plain, scratch / _FUSED_FILE, model=inputs.model)
    source = in_norm_form(fused, scratch / _NORMS_FILE, settings.norms)
    taken = OnnxModel(source).inputs
    rows = fit_rows(read_rows(inputs.validation, inputs.model, limit=_JUDGED_ROWS), taken, inputs.validation)
    if plain != given:
        _require_same_answers(given, plain, rows)
    if source != plain and _difference(plain, source, rows):
        log.warning("%s: answers otherwise once its nodes are fused for the target; it is quantized as it is", given)
        source = plain
    wanted = settings.wanted
    goal = Goal(settings.min_agreement, wanted.max_accuracy_loss, wanted.min_coverage)
    reference = source if inputs.reference is None else inputs.reference / ONNX_FILE
    court = Court(source, scratch, rows, _calibration(settings, inputs, taken), goal, settings.target_saturates, reference,
                  problem_of_folder(inputs.model))
    if not np.isfinite(court.own).any():
        raise ArtifactError(f"{given}: answers no row with a number (NaN or infinity)", hint="check its weights, and the rows")
    _require_known_labels(court, inputs.validation)
    return court


def _require_loadable(plain: Path, *, named: Path) -> None:
    """Refuse a model that onnxruntime does not load as it is or in plain form, under the name that it was given by."""
    try:
        OnnxModel(plain)
    except ArtifactError as bad:
        raise ArtifactError(bad.message.replace(str(plain), str(named)),
                            hint="export the model anew, with another opset or exporter: the file must load in onnxruntime"
                            ) from bad


def _limits(settings: Settings) -> Limits | None:
    if settings.max_ir_version is None or settings.max_opset is None:
        return None
    return Limits(settings.max_ir_version, settings.max_opset)


def _require_same_answers(given: Path, rewritten: Path, rows: Rows) -> None:
    """Refuse a model whose answers changed when its file was brought into plain form.

    Raises:
        ArtifactError: they did.
    """
    most = _difference(given, rewritten, rows)
    if most:
        raise ArtifactError(f"{given}: answers otherwise once its versions are converted, by up to {most:.3g}",
                            hint="export the model with the opset of the target: edgedistill targets show TARGET")


def _difference(before: Path, after: Path, rows: Rows) -> float:
    """Return by how much two files answer the first rows otherwise; 0 for no more than writing a file anew may do."""
    few = SomeRows(rows, np.arange(min(_CHECKED_ROWS, len(rows))))
    first, second = answers_of(before, few), answers_of(after, few)
    tolerance = _CONVERTED_ALIKE * float(np.nanmax(np.abs(first), initial=1.0))
    return 0.0 if np.allclose(first, second, rtol=0, atol=tolerance, equal_nan=True) else float(np.abs(first - second).max())


def _require_known_labels(court: Court, file: Path) -> None:
    """Refuse labels that are no class of the model; raises DataError, which names one."""
    labels = court.rows.labels
    if labels is not None and len(labels) == len(court.own):
        require_known_labels(labels, court.problem, classes=court.own.shape[1], place=str(file))


def _calibration(settings: Settings, inputs: Inputs, taken: Sequence[ModelInput]) -> Stream | None:
    """Return the rows that static schemes are calibrated on, drawn from the training split when the first scheme asks."""
    train, wanted = inputs.train, settings.wanted.calibration
    if train is None:
        return None

    @cache
    def drawn() -> Rows:
        rows = draw_rows(train, inputs.model, wanted, seed=settings.seed, soft_labels=inputs.soft_labels)
        return fit_rows(rows, taken, train)

    return lambda: each(drawn())


def _judge_all(settings: Settings, court: Court) -> Tried:
    """Judge the schemes of the kind that suits the graph, then the other kind, then what may rescue int8."""
    groups = [tuple(map(parse_scheme, group)) for group in _groups(settings, court)]
    return search(court, groups, settings.wanted)


def _groups(settings: Settings, court: Court) -> tuple[tuple[str, ...], ...]:
    """Return the schemes in groups: a later one is tried where none of an earlier one keeps the goal, or where time decides."""
    static = settings.static if court.calibration is not None else ()
    is_conv = is_convolutional(read_proto(court.source).graph)
    if is_conv and static:
        return (static,)
    return ((*settings.schemes, *static),) if settings.timed_on is not None else (settings.schemes, static)


def _usable(court: Court, judged: Sequence[Judged]) -> list[Judged]:
    """Return what may be shipped: all that keep the goal; where there are none, the one that misses it by chance alone."""
    by_chance = best_by_chance(judged, court.goal)
    return [item for item in judged if item.keeps_the_goal] or ([by_chance] if by_chance else [])


def _time(settings: Settings, inputs: Inputs, court: Court, judged: Sequence[Judged]) -> Times:
    """Time what may be shipped, where this machine makes the target's int8 products; else predict it for the target.

    The float model is predicted in either case: it is what ships where no candidate can be.
    """
    usable = _usable(court, judged)
    if settings.timed_on is None:
        return _predict(settings, inputs, court, usable)
    files = {item.candidate.title: item.file for item in usable}
    speeds = time_candidates(court.source, files, court.rows, protocol=BenchmarkProtocol(), seed=settings.seed) if files else {}
    return replace(_predict(settings, inputs, court, ()), measured=speeds)


def _predict(settings: Settings, inputs: Inputs, court: Court, usable: Sequence[Judged]) -> Times:
    """Predict the float model and what may be shipped by the shape that config.json says.

    A weight-only scheme computes in float: nothing is predicted of it besides the float model.
    """
    rates = settings.predicted_by
    if rates is None:
        return Times({}, {})
    row = {name: array[:1] for name, array in rows_of_median_size(court.rows).items()}
    work = task_of_model(inputs.model).work_of(inputs.model, row, classes=court.own.shape[1])
    shares = {item.candidate.title: item.evidence.coverage.nodes_share for item in usable
              if item.candidate.scheme.kind != "weight_only"}
    float_p50_s = None if work is None else float_p50_of(work, rates.floating)
    return Times({}, forecasts_of(work, rates, shares), rates.target, float_p50_s)


def _choose(
    settings: Settings, court: Court, judged: Sequence[Judged], times: Times
) -> Judged | None:
    """Return what is shipped; None: the float model.

    Those that keep the goal and are within the size budget go before others. Of either, those that are fast are left, or where
    nothing was timed those that are not predicted slower than float; of these the first that diverges about least.
    """
    usable, limit = _usable(court, judged), settings.model_bytes_limit
    fitting = [item for item in usable if limit is None or item.evidence.size_bytes <= limit]
    for some in (fitting, usable):
        allowed = times.allowed(item.candidate.title for item in some)
        if quick := [item for item in some if item.candidate.title in allowed]:
            return least_divergent(quick)
    return None


def _untried(settings: Settings, court: Court, inputs: Inputs) -> dict[str, str]:
    """Return why a scheme of the list was not tried."""
    tried = {item.candidate.scheme.name for item in court.judged}
    is_conv = is_convolutional(read_proto(court.source).graph)
    static_why = ("there are no training rows to calibrate on" if inputs.train is None
                  else "schemes without calibration keep the goal")
    dynamic = dict.fromkeys(settings.schemes, "it makes no convolution int8" if is_conv else "not reached")
    return {name: why for name, why in (dynamic | dict.fromkeys(settings.static, static_why)).items() if name not in tried}


def settings_for(
    choice: SchemeChoice, *, min_agreement: float, host_saturates: bool, wanted: PostTraining | None = None,
    target: Target | None = None, seed: int = 13,
) -> Settings:
    """Return the stage's settings for a choice of schemes.

    Args:
        choice: the schemes, in order.
        min_agreement: share of rows that must be decided as the float model decides them.
        host_saturates: does this machine saturate u8 x s8?
        wanted: the recipe's `quantization`; None: its defaults.
        target: for its size budget, what its runtime reads, and whether candidates can be timed here; None: none of it counts.
        seed: draws the calibration rows.
    """
    recipe, host = wanted or PostTraining(), this_host()
    is_timed = target is not None and recipe.timing and shares_path(
        target.cpu, architecture=host.target_architecture, features=host.features
    )
    return Settings(
        schemes=choice.schemes, static=choice.static, order_because=choice.why, min_agreement=min_agreement,
        host_saturates=host_saturates, wanted=recipe, seed=seed, timed_on=host.lasting if is_timed else None,
        predicted_by=None if target is None else TargetRates(target.id, rates_of(target), float_rates_of(target)),
        model_bytes_limit=target.budgets.model_bytes.limit if target else None,
        max_ir_version=target.runtime.max_ir_version if target else None, max_opset=target.runtime.max_opset if target else None,
        norms="fused" if target is None else norm_form(target),
        target_saturates=target is not None and target.cpu.saturates_u8s8,
    )


def _ensures(out: Path) -> None:
    if not np.all([(out / name).is_file() for name in (ONNX_FILE, VERDICT_FILE)]):
        raise ArtifactError(f"{out}: holds no model and verdict", hint="run the same command again")


_VERSION = 13
_TOOLS = ("onnx", "onnxruntime", "numpy", "neural-compressor")

STAGE = Stage(name="quantize", version=_VERSION, run=_run, requires=_requires, ensures=_ensures, tools=_TOOLS)
MODEL = Stage(name="quantize", version=_VERSION, run=_run_model, requires=_requires_model, ensures=_ensures, tools=_TOOLS)
"""Of one name and version, since a folder of the command may be made anew by either; their settings keep their keys apart."""
