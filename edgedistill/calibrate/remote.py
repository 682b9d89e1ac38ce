"""Calibrate a device: the same graphs as on this machine, timed there by the runner; the same fit."""

import json
import logging
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from edgedistill.calibrate.fit import NOISY_SPREAD, fit_rates, thread_exponent
from edgedistill.calibrate.micro_graphs import MicroGraph, micro_graphs
from edgedistill.calibrate.profile import calibrated_profile
from edgedistill.calibrate.timing import Timed
from edgedistill.device.judge import throttled_states
from edgedistill.device.results import DeviceFacts, GraphRound
from edgedistill.device.session import Device, Session, Work
from edgedistill.errors import DeviceError, TargetError
from edgedistill.export.norm_form import norm_form
from edgedistill.host import Host, arm_core
from edgedistill.local_target import Machine, described_target
from edgedistill.target import Target

log = logging.getLogger("edgedistill")

TIME_LIMIT_S = 100.0
"""For putting the graphs there and timing them: two minutes less what looking at the device and cleaning up take."""

_THREADS = (1, 2)


def calibrate_device(
    device: Device, *, rounds: int, seconds: float, open_session: Callable[[Device, Work], Session] = Session,
    clock: Callable[[], float] = time.monotonic,
) -> Target:
    """Measure a device and return it as a target, within two minutes where its slowest round allows that.

    Args:
        device: from `find_device`.
        rounds: how often all graphs are timed, each time in a process of its own; fewer where these would take longer than
            `TIME_LIMIT_S`, at least one.
        seconds: time for a graph in a round.
        open_session: for tests.
        clock: seconds, for tests.

    Raises:
        TargetError: it is emulated, so its times are void; or its architecture cannot be a target.
        TargetUnreachableError: the connection broke and did not come back; finished rounds are kept there.
    """
    if device.facts.is_emulated:
        raise TargetError(f"{device.transport.name}: is emulated, its times say nothing about the device",
                          hint="edgedistill targets calibrate --ssh USER@HOST of the device itself")
    base = described_target(_machine(device))
    graphs, end = micro_graphs(norms=norm_form(base)), clock() + TIME_LIMIT_S
    with (tempfile.TemporaryDirectory() as scratch,
          open_session(device, _work(Path(scratch), graphs, seconds)).opened() as session):
        found = _rounds(session, rounds, end=end, clock=clock)
    one, two = (tuple(made[n] for made in found if n in made) for n in _THREADS)
    timed = _timed(graphs, one)
    large = [t for t in timed if t.graph.is_large]
    exponent = thread_exponent(large, _timed([t.graph for t in large], two)) if two else None
    runtime = f"onnxruntime {device.facts.onnxruntime}" + (f" in {len(one)} of {rounds} rounds" if len(one) < rounds else "")
    profile = calibrated_profile(base, fit_rates(timed), graphs=len(graphs), runtime=runtime, exponent=exponent, where=base.name)
    warnings = throttled_states([(r.cpus, r.before, r.after) for r in (*one, *two)])
    if len(one) == 1 < rounds:
        warnings += ("the device is so slow that the graphs were timed once: whether it was busy is not known",)
    return _with_warnings(profile, warnings)


def _rounds(session: Session, rounds: int, *, end: float, clock: Callable[[], float]) -> list[dict[int, GraphRound]]:
    """Time the graphs on one thread, and the large ones on two, as often as that ends in time, by the longest round so far.

    The first round is timed in any case; one that was finished before a lost connection takes no time.

    Args:
        session: begun.
        rounds: at most.
        end: when `clock` shall say that all is done.
        clock: seconds.

    Returns:
        of each round what was found, by threads.
    """
    threads = _THREADS[:1] if session.device.facts.cores == 1 else _THREADS
    found: list[dict[int, GraphRound]] = []
    longest_s = 0.0
    while len(found) < rounds:
        start = clock()
        if found and start + longest_s > end:
            log.warning("%s: a round takes up to %.0f s; %d of %d are timed, so that it ends within two minutes",
                        session.device.transport.name, longest_s, len(found), rounds)
            break
        index = len(found)
        found.append({n: _round(session, index, n, rounds) for n in threads})
        longest_s = max(longest_s, clock() - start)
    return found


def _machine(device: Device) -> Machine:
    """Describe the device as this machine is described; Linux on Arm gives a core's part number in the place of a name."""
    facts = device.facts.model_copy(update={"cpu": arm_core(device.facts.cpu)})
    host = Host(system=facts.system, architecture=facts.architecture, cpu=facts.cpu, cores=facts.cores, features=facts.features,
                ram_bytes=facts.ram_bytes, python=facts.python)
    return Machine(_id_of(facts), facts.model or f"{facts.cpu} at {device.transport.name}", host, facts.max_clock_hz,
                   facts.onnxruntime)


def _id_of(facts: DeviceFacts) -> str:
    """Return the device's own name as an id: "Raspberry Pi 4 Model B Rev 1.4" is raspberry-pi-4-model-b-rev-1-4."""
    return re.sub(r"[^a-z0-9]+", "-", (facts.model or facts.cpu).lower()).strip("-") or "device"


def _work(folder: Path, graphs: Sequence[MicroGraph], seconds: float) -> Work:
    arrays: dict[str, NDArray[np.generic]] = {}
    for graph in graphs:
        arrays[f"{graph.name}/model"] = np.frombuffer(graph.model, np.uint8)
        arrays |= {f"{graph.name}/feed/{name}": values for name, values in graph.feeds.items()}
    np.savez_compressed(folder / "graphs.npz", **arrays)  # type: ignore[arg-type]  # numpy types the keywords
    job = {"seconds": seconds, "large": [graph.name for graph in graphs if graph.is_large]}
    (folder / "job.json").write_text(json.dumps(job, sort_keys=True), encoding="utf-8")
    return Work({"graphs.npz": folder / "graphs.npz", "job.json": folder / "job.json"})


def _round(session: Session, index: int, threads: int, rounds: int) -> GraphRound:
    log.info("%s: micro-graphs on %d thread(s), round %d of %d", session.device.transport.name, threads, index + 1, rounds)
    try:
        return GraphRound.model_validate_json(session.part(f"graphs-{index}-{threads}"))
    except ValidationError as bad:
        raise DeviceError(
            f"{session.device.transport.name}: sent a result that cannot be read ({bad.error_count()} problems)",
            hint="does its login print text? a shell's start-up files must be silent",
        ) from None


def _timed(graphs: Sequence[MicroGraph], rounds: Sequence[GraphRound]) -> tuple[Timed, ...]:
    return tuple(Timed(graph, tuple(found.p50_s[graph.name] for found in rounds)) for graph in graphs)


def _with_warnings(target: Target, more: tuple[str, ...]) -> Target:
    if target.latency is None or not more:
        return target
    spread = target.latency.spread.model_copy(update={"value": max(target.latency.spread.value, NOISY_SPREAD)})
    latency = target.latency.model_copy(update={"spread": spread, "warnings": (*target.latency.warnings, *more)})
    return target.model_copy(update={"latency": latency})
