"""Calibrate this machine: build, time, fit, describe."""

import onnxruntime

from edgedistill.calibrate.fit import fit_rates, thread_exponent
from edgedistill.calibrate.micro_graphs import micro_graphs
from edgedistill.calibrate.profile import calibrated_profile
from edgedistill.calibrate.timing import time_graphs
from edgedistill.export.norm_form import norm_form
from edgedistill.local_target import local_target
from edgedistill.target import Target

ROUNDS, SECONDS = 5, 0.1
"""Forty graphs of 0.1 s in five rounds: twenty seconds, and what the slower ones take for their five runs."""


def calibrate_this_machine(*, rounds: int = ROUNDS, seconds: float = SECONDS) -> Target:
    """Measure this machine and return it as a target.

    Args:
        rounds: how often all graphs are timed.
        seconds: time for a graph in a round.

    Raises:
        TargetError: this machine's architecture cannot be a target.
    """
    base = local_target()
    graphs = micro_graphs(norms=norm_form(base))
    timed = time_graphs(graphs, rounds=rounds, seconds=seconds)
    exponent = None
    if base.cpu.cores > 1:
        large = [t for t in timed if t.graph.is_large]
        two = time_graphs([t.graph for t in large], rounds=rounds, seconds=seconds, threads=2)
        exponent = thread_exponent(large, two)
    return calibrated_profile(base, fit_rates(timed), graphs=len(graphs), runtime=f"onnxruntime {onnxruntime.__version__}",
                              exponent=exponent)
