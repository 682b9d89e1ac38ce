"""Calibrate a device: the same graphs as on this machine, timed there by the runner; the same fit."""

import json
import logging
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from edgedistill.calibrate.fit import fit_rates, thread_exponent
from edgedistill.calibrate.micro_graphs import MicroGraph, micro_graphs
from edgedistill.calibrate.profile import calibrated_profile
from edgedistill.calibrate.timing import Timed
from edgedistill.device.judge import throttled_states
from edgedistill.device.results import DeviceFacts, GraphRound
from edgedistill.device.session import Device, Session, Work
from edgedistill.errors import EdgedistillError, TargetError
from edgedistill.host import Host
from edgedistill.local_target import Machine, described_target
from edgedistill.target import Target

log = logging.getLogger("edgedistill")


def calibrate_device(
    device: Device, *, rounds: int, seconds: float, open_session: Callable[[Device, Work], Session] = Session
) -> Target:
    """Measure a device and return it as a target.

    Args:
        device: from `find_device`.
        rounds: how often all graphs are timed, each time in a process of its own.
        seconds: time for a graph in a round.
        open_session: for tests.

    Raises:
        TargetError: it is emulated, so its times are void; or its architecture cannot be a target.
        TargetUnreachableError: the connection broke and did not come back; finished rounds are kept there.
    """
    if device.facts.is_emulated:
        raise TargetError(f"{device.transport.name}: is emulated, its times say nothing about the device",
                          hint="edgedistill targets calibrate --ssh USER@HOST of the device itself")
    base = described_target(_machine(device))
    graphs = micro_graphs()
    with (tempfile.TemporaryDirectory() as scratch,
          open_session(device, _work(Path(scratch), graphs, seconds)).opened() as session):
        one = [_round(session, index, 1, rounds) for index in range(rounds)]
        two = [_round(session, index, 2, rounds) for index in range(rounds)] if device.facts.cores > 1 else []
    timed = _timed(graphs, one)
    large = [t for t in timed if t.graph.is_large]
    exponent = thread_exponent(large, _timed([t.graph for t in large], two)) if two else None
    found = calibrated_profile(base, fit_rates(timed), graphs=len(graphs), runtime=f"onnxruntime {device.facts.onnxruntime}",
                               exponent=exponent, where=base.name)
    return _with_warnings(found, throttled_states([(r.cpus, r.before, r.after) for r in (*one, *two)]))


def _machine(device: Device) -> Machine:
    facts = device.facts
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
        raise EdgedistillError(
            f"{session.device.transport.name}: sent a result that cannot be read ({bad.error_count()} problems)",
            hint="does its login print text? a shell's start-up files must be silent",
        ) from None


def _timed(graphs: Sequence[MicroGraph], rounds: Sequence[GraphRound]) -> tuple[Timed, ...]:
    return tuple(Timed(graph, tuple(found.p50_s[graph.name] for found in rounds)) for graph in graphs)


def _with_warnings(target: Target, more: tuple[str, ...]) -> Target:
    if target.latency is None or not more:
        return target
    latency = target.latency.model_copy(update={"warnings": (*target.latency.warnings, *more)})
    return target.model_copy(update={"latency": latency})
