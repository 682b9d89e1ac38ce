"""From the finished steps of a run to its report: says where the documents lie, and what only the whole run knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from edgedistill.aware_step import Tuning
from edgedistill.benchmark.stage import MEASUREMENTS_FILE, Measurements
from edgedistill.benchmark.statistics import percentile, pooled
from edgedistill.catalog import load_target, target_ids
from edgedistill.device.results import DeviceMeasurement
from edgedistill.device.stage import DEVICE_FILE
from edgedistill.distill.search.advice import Shortage, advise
from edgedistill.emulated_step import Emulation
from edgedistill.evaluate.stage import EVALUATION_FILE, LOGITS_FILE
from edgedistill.goals import ROUNDING, accuracy_goal, check_goals
from edgedistill.host import this_host, tool_version
from edgedistill.latency.rates import float_rates_of
from edgedistill.local_target import LOCAL
from edgedistill.manifest import Decision, read_valid_manifest
from edgedistill.plan import Plan, predict
from edgedistill.prepare.stage import DATA_REPORT_FILE, LABELS_FILE, TEST_FILE
from edgedistill.quantize.scheme_names import computes_in_float
from edgedistill.quantize.stage import VERDICT_FILE
from edgedistill.recipe import Recipe
from edgedistill.report.build import build_report
from edgedistill.report.latency import own_latency
from edgedistill.report.model import RunReport, StepReport, TargetLatency
from edgedistill.report.stage import Inputs, Settings, TargetInputs, TargetSettings, read_parts
from edgedistill.results import BudgetCheck, Evaluation, GoalCheck, Measurement, ParityResult, QuantizationVerdict, Variant
from edgedistill.run_folder import LOCKED_RECIPE_FILE
from edgedistill.search_job import Found
from edgedistill.stage import Done
from edgedistill.target import Target
from edgedistill.tasks.registry import task_named
from edgedistill.verify.parity import BUNDLE, advice_of, explanation_of, is_refused
from edgedistill.verify.stage import EMULATED_FILE, PARITY_FILE

_TOOLS = ("edgedistill", "torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "tokenizers",
          "neural-compressor", "numpy", "datasets", "scikit-learn")


@dataclass(frozen=True)
class TargetResults:
    """The finished steps of one target.

    Attributes:
        plan: what was planned.
        evaluations: by variant, on the test split.
        curves: training_log.json by the name of the training.
        student: the torch student.
        student_onnx: the float ONNX student.
        student_int8: the quantized student.
        parity: the gates.
        benchmark: None after a failed gate.
        package: None after a failed gate.
        found: what the search for the student came to.
        emulation: the replays on the target's core and on others, or why there are none.
        device: what was measured on a device; None when there was none.
        tuning: what became of the fine-tuning for int8; None: nobody asked.
        verdicts: verdict.json of the other int8 variants.
        refused: why no bundle was packed, where one of its files does not answer as the student; empty otherwise.
    """

    plan: Plan
    evaluations: Mapping[Variant, Done]
    curves: Mapping[str, Path]
    student: Done
    student_onnx: Done
    student_int8: Done
    parity: Done
    benchmark: Done | None
    package: Done | None
    found: Found
    emulation: Emulation
    device: Done | None = None
    tuning: Tuning | None = None
    verdicts: Mapping[Variant, Path] = field(default_factory=dict)
    refused: str = ""


def collect_report(
    recipe: Recipe, steps: Mapping[str, Done], prepared: Path, results: Mapping[str, TargetResults],
    *, settled: Sequence[Decision] = (),
) -> RunReport:
    """Build the report of a run from the files of its steps.

    Args:
        recipe: what the user wanted.
        steps: the finished steps by name.
        prepared: the folder that `prepare` wrote.
        results: the steps of each target by its id.
        settled: what was decided before the first step.
    """
    decisions = list(settled)
    for result in results.values():
        decisions += _of_target(result, result.found.decisions, is_one_of_several=len(results) > 1)
    for name, done in steps.items():
        decisions += [_of_step(decision, name) for decision in done.manifest.decisions]
    for result in results.values():
        found = result.tuning.decisions if result.tuning is not None else ()
        decisions += _of_target(result, found, is_one_of_several=len(results) > 1)
    unseen = task_named(recipe.task).not_checked(prepared, steps["teach"].folder) + _judged_too(results)
    settings = Settings(
        recipe=recipe.id, task=recipe.task, created=finished_at(steps), host=this_host(),
        tools={name: version for name in _TOOLS if (version := tool_version(name))},
        targets={name: _target_settings(recipe, result, unseen + _read_otherwise(result, prepared))
                 for name, result in results.items()},
        decisions=tuple(dict.fromkeys(decisions)),
        steps=tuple(StepReport(step=name, duration_s=d.manifest.duration_s) for name, d in steps.items()),
        command=command_of({_typed(result.plan.target): _device_of(result) for result in results.values()}),
    )
    inputs = Inputs({name: _target_inputs(prepared, result) for name, result in results.items()},
                    prepared / DATA_REPORT_FILE)
    return build_report(read_parts(settings, inputs))


def _read_otherwise(result: TargetResults, prepared: Path) -> tuple[str, ...]:
    """Predict anew for a student with a vocabulary of its own, of whose tokens the plan could not know how many a text has."""
    plan = result.plan
    if plan.facts.has_students_lengths:
        return ()
    facts = task_named(plan.recipe.task).facts(plan.recipe, prepared, result.student_int8.folder)
    anew = predict(plan.shape, plan.recipe, plan.target, facts)
    return (f"Plan and search predicted a p50 of {plan.chosen.latency_p50_s * 1e3:.2f} ms for the median training text in "
            f"{plan.facts.median_tokens} tokens of the teacher's. The student reads it in {facts.median_tokens} of its own, for "
            f"which the same prediction is {anew.latency_p50_s * 1e3:.2f} ms.",)


def _judged_too(results: Mapping[str, TargetResults]) -> tuple[str, ...]:
    """Say that other students of a run folder answered the same test rows: who chose by that chose by the test."""
    folders = [result.evaluations["student_int8"].folder for result in results.values()]
    shown = {answer for folder in folders if (answer := _answered(folder)) is not None}
    found = {answer for folder in {folder.parent for folder in folders} for path in folder.iterdir()
             if (answer := _answered(path)) is not None}
    others = len({(data, model) for data, model in found - shown if data in {data for data, _ in shown}})
    if not others:
        return ()
    which = "Another int8 student" if others == 1 else f"{others} other int8 students"
    return (f"{which} of this run folder answered the same test rows: where one run was preferred to another by its test "
            "figures, those flatter it a little.",)


def _answered(folder: Path) -> tuple[str, str] | None:
    """Return the hashes of the rows that an evaluation is of and of the model file; None where it is not finished."""
    manifest = read_valid_manifest(folder)
    return None if manifest is None else (manifest.inputs["data"], Evaluation.read_json(folder / EVALUATION_FILE).model_sha256)


def _of_target(result: TargetResults, decisions: Sequence[Decision], *, is_one_of_several: bool) -> list[Decision]:
    """Name the target where there are several: each has a search of its own, and equal words are not one decision."""
    if not is_one_of_several:
        return list(decisions)
    return [decision.model_copy(update={"what": f"{result.plan.target.id}: {decision.what}"}) for decision in decisions]


def _of_step(decision: Decision, name: str) -> Decision:
    """Name the step where it says more than the stage: of several models that were quantized, which one it was."""
    return decision.model_copy(update={"step": name}) if name.startswith(f"{decision.step}-") else decision


def _typed(target: Target) -> str:
    """Return how a target is typed: by its id, or as a file where it is not shipped, or another than what is shipped as that."""
    is_known = target.id == LOCAL or (target.id in target_ids() and load_target(target.id) == target)
    return target.id if is_known else f"path/to/{target.id}.yaml"


def command_of(devices: Mapping[str, DeviceMeasurement | None]) -> str:
    """Return what makes a run again, typed in its folder.

    Args:
        devices: what was measured on a device, by the target as it is typed; None where nothing was.
    """
    words = ["edgedistill run --recipe", LOCKED_RECIPE_FILE]
    for name, device in devices.items():
        words += ["--target", name]
        words += [] if device is None else ["--on", device.address]
    return " ".join([*words, "-o again"])


def _device_of(result: TargetResults) -> DeviceMeasurement | None:
    return None if result.device is None else DeviceMeasurement.read_json(result.device.folder / DEVICE_FILE)


def _target_settings(recipe: Recipe, result: TargetResults, unseen: tuple[str, ...]) -> TargetSettings:
    teacher, student = (
        Evaluation.read_json(result.evaluations[name].folder / EVALUATION_FILE) for name in ("teacher", "student_int8")
    )
    measured = None
    if result.benchmark is not None:
        found = Measurements.read_json(result.benchmark.folder / MEASUREMENTS_FILE).measurements
        measured = next(item for item in found if item.variant == "student_int8")
    goals = check_goals(recipe.goals, teacher, student)
    device = _device_of(result)
    verdict = QuantizationVerdict.read_json(result.student_int8.folder / VERDICT_FILE)
    costs = Costs(teacher, measured, device, verdict.float_predicted_p50_s if computes_in_float(verdict.scheme) else None,
                  own_latency(measured) if measured is not None and is_timed_here(result.plan.target, measured) else None)
    return TargetSettings(
        name=result.plan.target.name, predictions=result.plan.ledger,
        budgets=check_budgets(result.plan, student, costs), goals=goals,
        frontier=result.found.rows, advice=_advice(recipe, result, teacher, goals), device=device,
        target_latencies=predicted_in_float(costs.float_p50_s, result.plan.target) if costs.own is None
        else {"student_int8": costs.own},
        not_checked=unseen + _unchecked(result, device),
        is_this_machine=measured is not None and is_here(result.plan.target, measured),
        aware=result.tuning.gain if result.tuning is not None else None,
        bundle_refused=result.refused,
        not_emulated=tuple(line for line in result.emulation.not_checked if not line.is_target or _unchecked(result, device)),
    )


def is_here(target: Target, measured: Measurement) -> bool:
    """Is a target the machine that measured?"""
    return target.id == LOCAL and measured.host.cpu in target.name


def is_timed_here(target: Target, measured: Measurement) -> bool:
    """Is a target the machine that measured, and was it timed as the plan predicts, with one thread?"""
    return is_here(target, measured) and measured.protocol.threads == 1


def predicted_in_float(p50_s: float | None, target: Target) -> dict[Variant, TargetLatency]:
    """Return what stands in the place of the plan's prediction, which is of int8, where what ships computes in float.

    Args:
        p50_s: predicted of the float model; None where an int8 one ships, or nobody knows.
        target: its rates say how far the p50 may be off.
    """
    if p50_s is None:
        return {}
    rates = float_rates_of(target)
    interval_s = (p50_s * rates.low, p50_s * rates.high)
    return {"student_int8": TargetLatency(p50_s=p50_s, interval_s=interval_s, source="predicted")}


def _unchecked(result: TargetResults, device: DeviceMeasurement | None) -> tuple[str, ...]:
    """Say that the target's instruction set was not looked at, unless a device answered that makes int8 products as it does."""
    is_checked = device is not None and device.device.makes_int8_products_as(result.plan.target.cpu)
    return () if is_checked or not result.emulation.unchecked else (result.emulation.unchecked,)


def _advice(recipe: Recipe, result: TargetResults, teacher: Evaluation, goals: tuple[GoalCheck, ...]) -> str:
    """Say what to change when a goal is missed on the test split."""
    chosen, allowed = result.found.chosen, result.plan.budgets.get("accuracy_loss")
    student = Evaluation.read_json(result.evaluations["student_int8"].folder / EVALUATION_FILE)
    budget = None if allowed is None else check_goals([accuracy_goal(allowed.limit)], teacher, student)[0]
    is_kept, finding, text = chosen.is_met, chosen.diagnosis.finding, chosen.diagnosis.text
    if (tuning := result.tuning) is not None and tuning.gain is not None and tuning.gain.is_shipped:
        is_kept, finding, text = tuning.keeps_the_goals, "none", tuning.gain.text  # the search judged the one it replaced
    settings = result.found.trial.settings
    shortage = Shortage(
        goals=goals, asked=recipe.goals, rows_seen=settings.rows_seen, learning_rate=settings.learning_rate,
        teacher={"accuracy": teacher.accuracy.value, "macro_f1": teacher.macro_f1.value},
        kept_on_validation=bool(recipe.goals) and is_kept, finding=finding, finding_text=text,
        trials=len(result.found.rows), trials_allowed=recipe.search.trials, margin=chosen.margin, budget=budget,
        time_limit_s=recipe.search.time_limit_s if result.found.is_out_of_time else None, named_rung=recipe.student.rung or "",
        is_smallest_wanted=recipe.search.look_for == "smallest-that-meets-the-goal", teacher_doubt=result.found.teacher_doubt,
    )
    return advise(shortage, result.plan.ledger, {name: budget.limit for name, budget in result.plan.budgets.items()})


def _target_inputs(prepared: Path, result: TargetResults) -> TargetInputs:
    return TargetInputs(
        evaluations={name: done.folder / EVALUATION_FILE for name, done in result.evaluations.items()},
        logits={name: done.folder / LOGITS_FILE for name, done in result.evaluations.items()},
        measurements=result.benchmark.folder / MEASUREMENTS_FILE if result.benchmark is not None else None,
        parity=result.parity.folder / PARITY_FILE,
        verdict=result.student_int8.folder / VERDICT_FILE,
        test=prepared / TEST_FILE, labels=prepared / LABELS_FILE, curves=result.curves,
        emulated=None if result.emulation.done is None else result.emulation.done.folder / EMULATED_FILE,
        verdicts=result.verdicts,
        emulated_others={core: done.folder / EMULATED_FILE for core, done in result.emulation.others.items()},
    )


@dataclass(frozen=True)
class Costs:
    """What the int8 student's costs are judged by.

    Attributes:
        teacher: on the test split.
        host: None after a failed gate.
        device: None when there was none.
        float_p50_s: predicted for the target where what ships computes in float; None where int8 products are made, or nobody
            knows.
        own: measured on the host, where the target is that machine.
    """

    teacher: Evaluation
    host: Measurement | None
    device: DeviceMeasurement | None = None
    float_p50_s: float | None = None
    own: TargetLatency | None = None


def check_budgets(plan: Plan, student: Evaluation, costs: Costs) -> tuple[BudgetCheck, ...]:
    """Compare the int8 student with the target's budgets.

    Size is the file's, the accuracy that is lost is counted on the test split. Memory is the device's, else this host's;
    latency is the device's, the host's where it is the target, else what is predicted, of float where that is what ships: each
    says so. A loss of accuracy that equals its limit is within it, as with the goals.
    """
    found = [
        ("model_bytes", float(student.size_bytes), "bytes", "measured"),
        ("peak_memory_bytes", *_memory(plan, costs)),
        ("latency_p50_s", *_latency(plan, costs)),
    ]
    if "accuracy_loss" in plan.budgets:
        kept = student.accuracy.value / max(costs.teacher.accuracy.value, 1e-9)
        found.append(("accuracy_loss", max(0.0, 1 - kept), "share", "measured"))
    return tuple(
        BudgetCheck.model_validate({
            "name": name, "limit": plan.budgets[name].limit, "value": value, "unit": unit, "source": source,
            "met": value <= plan.budgets[name].limit + (ROUNDING if unit == "share" else 0.0), "why": plan.budgets[name].why,
        })
        for name, value, unit, source in found
    )


def _memory(plan: Plan, costs: Costs) -> tuple[float, str, str]:
    device = costs.device
    if device is not None and device.peak_rss_bytes is not None and device.baseline_rss_bytes is not None:
        return max(1.0, device.peak_rss_bytes - device.baseline_rss_bytes), "bytes", "measured"
    if costs.host is not None:
        return max(1.0, costs.host.peak_rss_bytes - costs.host.baseline_rss_bytes), "bytes", "measured"
    return float(plan.chosen.peak_memory_bytes), "bytes", "predicted"


def _latency(plan: Plan, costs: Costs) -> tuple[float, str, str]:
    if costs.device is not None and costs.device.rounds:
        return percentile(pooled(costs.device.rounds_s), 50), "s", "measured"
    if costs.own is not None:
        return costs.own.p50_s, "s", costs.own.source
    return plan.chosen.latency_p50_s if costs.float_p50_s is None else costs.float_p50_s, "s", "predicted"


def finished_at(steps: Mapping[str, Done]) -> datetime:
    """Return when the last step was finished: a run that only skips keeps its report to the byte."""
    return max(d.manifest.started + timedelta(seconds=d.manifest.duration_s) for d in steps.values())


def misses_of(report: RunReport) -> tuple[str, ...]:
    """Return a sentence for every budget and goal that is missed."""
    sentences = []
    for name, target in report.targets.items():
        sentences += [
            f"{name}: {b.name} is {b.value:g} {b.unit} ({b.source}), the limit is {b.limit:g} {b.unit}"
            for b in target.budgets if not b.met
        ]
        sentences += [
            f"{name}: {g.metric} is {g.value:.4f}, the goal asks for {g.limit:.4f}" for g in target.goals if not g.met
        ]
        sentences += [f"{name}: {target.advice}"] if target.advice else []
    return tuple(sentences)


def parity_problems_of(report: RunReport) -> tuple[str, ...]:
    """Return a sentence for every conversion that changed the answers: the gates that failed, and how much of it is the same."""
    return tuple(f"{name}: {explanation_of(gate)}{_likeness(gate)}" for name, gate in _failed_gates(report))


def _likeness(gate: ParityResult) -> str:
    return "" if is_refused(gate) or gate.candidate == BUNDLE else (
        f" ({gate.top1_agreement:.2%} of {gate.n} test rows agree, largest difference of a logit {gate.max_abs_error:.3g})")


def parity_advice_of(report: RunReport) -> str:
    """Return what to do about the first conversion that changed the answers; empty when none did."""
    return next((advice_of(gate, report.targets[name].quantization.scheme) for name, gate in _failed_gates(report)), "")


def _failed_gates(report: RunReport) -> list[tuple[str, ParityResult]]:
    return [(name, gate) for name, target in report.targets.items() for gate in target.parity.gates.values() if not gate.passed]
