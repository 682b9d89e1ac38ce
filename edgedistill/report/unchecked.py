"""What a report cannot vouch for, in sentences: a reader must not take silence for proof."""

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from edgedistill.constant import quoted
from edgedistill.device.judge import processor_heats
from edgedistill.device.results import DeviceMeasurement
from edgedistill.recipe import Task
from edgedistill.report.model import VariantReport
from edgedistill.report.wording import shipped_name
from edgedistill.results import ClassFigures, Variant
from edgedistill.tasks.registry import task_named

_MOST_CLASSES = 10

_ALWAYS = (
    "One seed: how much another training of the same recipe would differ is in none of the intervals.",
    "Intervals of accuracy and what is reckoned from it come from the test rows alone; they say nothing about examples of "
    "another kind than those.",
)


def sentences(
    name: str, variants: Mapping[Variant, VariantReport], device: DeviceMeasurement | None = None, *,
    task: Task, is_this_machine: bool = False,
) -> tuple[str, ...]:
    """Return what was not checked for a target.

    Args:
        name: the target's name in words.
        variants: as reported.
        device: what was measured on a device.
        task: says in which units an example is long.
        is_this_machine: is the target the machine that measured?
    """
    found = _of_target(name, variants, device, is_this_machine=is_this_machine)
    return tuple(found + _of_host(variants, task) + _of_power(variants, device) + list(_ALWAYS))


def classes_without_rows(classes: Sequence[ClassFigures], data: Mapping[str, JsonValue] | None) -> tuple[str, ...]:
    """Name the classes of which the test split has no row, and those of which validation has none.

    Args:
        classes: the student's figures on the test split.
        data: prepare's data report, in which the rows of validation are counted by class; None where there is none.
    """
    untested = [figures.label for figures in classes if not figures.support]
    validation = (data or {}).get("validation")
    rows = validation.get("rows_by_class") if isinstance(validation, dict) else None
    unseen = [label for label, n in rows.items() if n == 0] if isinstance(rows, dict) else []
    found = []
    if untested:
        found.append(f"Classes without a test row: {_listed(untested)}. Nothing here says how they are answered.")
    if unseen:
        found.append(f"Classes without a validation row: {_listed(unseen)}. They had no part in the choice of the student.")
    return tuple(found)


def _listed(labels: Sequence[str]) -> str:
    more = len(labels) - _MOST_CLASSES
    return ", ".join(map(quoted, labels[:_MOST_CLASSES])) + (f" and {more} more" if more > 0 else "")


def _of_target(
    name: str, variants: Mapping[Variant, VariantReport], device: DeviceMeasurement | None, *, is_this_machine: bool
) -> list[str]:
    student = variants["student_int8"]
    found = []
    latency = student.latency.target
    if latency is None:
        found.append(f"Latency on {name} is unknown: nothing ran there, nothing was predicted.")
    elif latency.source != "measured" and is_this_machine and student.latency.host is not None:
        found.append(f"Latency on one thread, of which the budget is, is {latency.source}, not measured: {name} was timed on "
                     f"{student.latency.host.threads} threads.")
    elif latency.source != "measured":
        found.append(f"Latency on {name} is {latency.source}, not measured: nothing ran on the device.")
    if device is not None and device.rounds:
        found.append(f"On the device only the {shipped_name(student)} ran: {device.address}, one board of the class {name}.")
    elif student.peak_rss_bytes is None:
        found.append("Peak memory was not measured.")
    elif not is_this_machine:
        found.append(f"Peak memory was measured on the host, not on {name}.")
    return found


def _of_host(variants: Mapping[Variant, VariantReport], task: Task) -> list[str]:
    untimed = [name for name, variant in variants.items() if variant.latency.host is None]
    noisy = [name for name, variant in variants.items() if variant.latency.host and variant.latency.host.noisy]
    found = []
    if untimed:
        found.append(f"Not timed on the host: {', '.join(untimed)}.")
    if noisy:
        found.append(f"The host was too noisy to rely on the latency of: {', '.join(noisy)}.")
    tokens = {v.latency.host.sequence_tokens for v in variants.values() if v.latency.host}
    if tokens:
        untimed_lengths = task_named(task).lengths_not_timed(sorted(tokens))
        found += [untimed_lengths] if untimed_lengths else []
    return found


def _of_power(variants: Mapping[Variant, VariantReport], device: DeviceMeasurement | None) -> list[str]:
    """Say of power, heat and throttling what was not recorded, here and on a device that was timed."""
    host = variants["student_int8"].latency.host
    has_energy = host is not None and host.energy_per_run_j is not None
    here = _unmeasured({"power draw": has_energy, "heat": False, "clock throttling": False})
    if device is None or not device.rounds:
        return [f"{here[:1].upper()}{here[1:]} were not measured."]
    states = [state for found in device.rounds for state in (found.before, found.after)]
    there = _unmeasured({
        "power draw": device.energy_per_run_j is not None,
        "heat": any(tuple(processor_heats(state)) for state in states),
        "clock throttling": any(state.frequencies_hz or state.throttling for state in states),
    })
    found = [f"On the host, {here} were not measured."]
    return [*found, f"On the device, {there} {'were' if ' and ' in there else 'was'} not measured."] if there else found


def _unmeasured(known: Mapping[str, bool]) -> str:
    """Return the names of what is not known as a list in words; empty where all is."""
    *most, last = [name for name, is_known in known.items() if not is_known] or [""]
    return f"{', '.join(most)} and {last}" if most else last
