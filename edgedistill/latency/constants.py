"""The constants that were fitted on published latencies, and the file that carries them."""

import functools
from pathlib import Path
from typing import Literal

from pydantic import Field

from edgedistill.document import Document

CONSTANTS_FILE = "fitted.json"


class Constants(Document):
    """What `benchmarks/latency_model.py` found out about onnxruntime and transformers.

    A time is a multiple of what the peak would allow; these are the multiples. All are dimensionless unless said.
    """

    schema_version: Literal[1] = 1
    source: str
    points: int = Field(description="published latencies that the fit rests on")
    devices: int
    matmul: dict[str, float] = Field(description="time over the time at peak, by path: fp32_neon, fp32_x86, or the int8 path")
    glue_cycles: float = Field(description="cycles a number, on a core of 8 fp32 operations a cycle")
    bytes: float = Field(description="time over the time at the memory's copying rate")
    node_cycles: float = Field(description="cycles a node costs besides its work")
    node_threads: float = Field(description="share of a node's cost that each further thread adds")
    runtime: float = Field(description="onnxruntime over the mean of the runtimes")
    int8: float = Field(description="int8 graphs of onnxruntime over its float graphs, besides the peaks")
    in_order: float = Field(description="cores that do not re-order instructions over those that do")
    in_order_cores: tuple[str, ...]
    cores: dict[str, float] = Field(description="what remains, by microarchitecture; 1 for one that is not listed")
    thread_exponent: float = Field(description="speed-up by n equal threads is n to this power")
    low: float = Field(description="80 % interval: the lower end over the prediction")
    high: float = Field(description="80 % interval: the upper end over the prediction")


@functools.cache
def fitted_constants() -> Constants:
    """Return the shipped constants."""
    return Constants.read_json(Path(__file__).with_name(CONSTANTS_FILE))
