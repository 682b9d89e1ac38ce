"""The runtime of a target: which versions of onnxruntime it takes, what they read, and their execution providers."""

import difflib
import re
from dataclasses import dataclass
from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator

from edgedistill.document import Document, wrong_at
from edgedistill.figure import Origin


@dataclass(frozen=True)
class Ceiling:
    """The newest models that a release of onnxruntime reads.

    Attributes:
        opset: highest opset of the default domain.
        ir_version: highest version of ONNX's intermediate representation.
    """

    opset: int
    ir_version: int


_CEILINGS: dict[tuple[int, int], Ceiling] = {
    (1, 6): Ceiling(13, 7), (1, 7): Ceiling(13, 7), (1, 8): Ceiling(14, 7), (1, 9): Ceiling(15, 8), (1, 10): Ceiling(15, 8),
    (1, 11): Ceiling(16, 8), (1, 12): Ceiling(17, 8), (1, 13): Ceiling(17, 8), (1, 14): Ceiling(18, 8), (1, 15): Ceiling(19, 8),
    (1, 16): Ceiling(19, 9), (1, 17): Ceiling(20, 9), (1, 18): Ceiling(21, 10), (1, 21): Ceiling(22, 10),
    (1, 23): Ceiling(23, 11), (1, 24): Ceiling(25, 13), (1, 25): Ceiling(26, 13), (1, 32): Ceiling(28, 14),
}
"""By the release from which on it holds. Up to 1.20: the table of microsoft/onnxruntime docs/reference/compatibility.md. From
1.19 on: what each release up to 1.32 itself says when it refuses a model of opset 40, or of IR version 40."""

NEWEST = Ceiling(28, 14)
"""Of the newest release in the table; a still newer one reads no less."""

_ENDING = "ExecutionProvider"
_ProviderName = Literal[
    "CPUExecutionProvider", "ACLExecutionProvider", "ArmNNExecutionProvider", "AzureExecutionProvider", "CANNExecutionProvider",
    "CoreMLExecutionProvider", "CUDAExecutionProvider", "DmlExecutionProvider", "DnnlExecutionProvider", "JsExecutionProvider",
    "MIGraphXExecutionProvider", "NnapiExecutionProvider", "NvTensorRTRTXExecutionProvider", "OpenVINOExecutionProvider",
    "QNNExecutionProvider", "RknpuExecutionProvider", "ROCMExecutionProvider", "SNPEExecutionProvider",
    "TensorrtExecutionProvider", "TvmExecutionProvider", "VitisAIExecutionProvider", "VSINPUExecutionProvider",
    "WebGpuExecutionProvider", "WebNNExecutionProvider", "XnnpackExecutionProvider",
]
"""As `onnxruntime.get_all_providers()` writes them; those that have left it since 1.17 included."""


def _known_provider(name: object) -> object:
    """Answer an unknown name by the closest one; their common ending would make any two of them close."""
    if not isinstance(name, str) or name in get_args(_ProviderName):
        return name
    short = {known.removesuffix(_ENDING).lower(): known for known in get_args(_ProviderName)}
    close = difflib.get_close_matches(name.removesuffix(_ENDING).lower(), short, n=1, cutoff=0.75)
    there_are = ", ".join(sorted(get_args(_ProviderName)))
    raise ValueError("is no execution provider of onnxruntime; "
                     + (f"did you mean {short[close[0]]!r}?" if close else f"there are {there_are}"))


Platform = Literal["android", "ios", "linux"]

ExecutionProvider = Annotated[_ProviderName, BeforeValidator(_known_provider)]


def ceiling_of(version: str) -> Ceiling | None:
    """Return what a release of onnxruntime reads, None for one older than 1.6.

    Args:
        version: "1.17" or "1.17.3". One newer than the table is taken to read what the newest in it does.
    """
    major, minor = (int(part) for part in version.split(".")[:2])
    known = [ceiling for release, ceiling in _CEILINGS.items() if release <= (major, minor)]
    return known[-1] if known else None


def is_older(installed: str, oldest: str) -> bool:
    """Is a version of onnxruntime older than another? False where nobody can tell, as of somebody's own build.

    Args:
        installed: as the package says it: "1.9.0", "1.20.0.dev20241101", "1.17.1+cu12".
        oldest: "1.17" or "1.17.3".
    """
    found = re.match(r"\d+(?:\.\d+)*", installed)
    return found is not None and _numbers(found[0]) < _numbers(oldest)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


class DeniedVersion(Document):
    """An onnxruntime version that must not be used on this device."""

    version: str
    reason: str
    reference: str

    def covers(self, installed: str) -> bool:
        """Is the installed version this one? "1.21" stands for every 1.21.x."""
        wanted = self.version.split(".")
        return installed.split("+")[0].split(".")[: len(wanted)] == wanted


class RuntimeSources(Document):
    """Where the figures of the runtime come from; a denied version has a reference of its own."""

    oldest: Origin
    max_ir_version: Origin
    max_opset: Origin
    execution_providers: Origin


class Runtime(Document):
    """What the device's onnxruntime reads."""

    name: Literal["onnxruntime"] = "onnxruntime"
    oldest: str = Field(pattern=r"^\d+\.\d+(\.\d+)?$", description="oldest version the bundle must load in")
    max_ir_version: int = Field(ge=7, le=NEWEST.ir_version)
    max_opset: int = Field(ge=13, le=NEWEST.opset)
    denied: tuple[DeniedVersion, ...] = ()
    execution_providers: tuple[ExecutionProvider, ...] = Field(
        ("CPUExecutionProvider",), min_length=1, description="those that exist there; edgedistill counts on the CPU's alone"
    )
    sources: RuntimeSources = Field(
        description="source and how of oldest, max_ir_version, max_opset and execution_providers, one each"
    )

    @field_validator("execution_providers")
    @classmethod
    def _has_the_cpu(cls, providers: tuple[ExecutionProvider, ...]) -> tuple[ExecutionProvider, ...]:
        if "CPUExecutionProvider" not in providers:
            raise ValueError("every build of onnxruntime has CPUExecutionProvider, and edgedistill's models run on it: add it")
        return providers

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        denied = self.denial_of(self.oldest)
        if denied is not None:
            raise wrong_at(("oldest",), f"{self.oldest} is denied: {denied.reason}; write another release")
        ceiling = ceiling_of(self.oldest)
        if ceiling is None:
            raise wrong_at(("oldest",), f"onnxruntime {self.oldest} reads opset 12 at most, these models have 13 or newer: "
                           "write 1.6 or newer")
        for name, most in (("max_opset", ceiling.opset), ("max_ir_version", ceiling.ir_version)):
            if getattr(self, name) > most:
                raise wrong_at((name,), f"onnxruntime {self.oldest}, the oldest, reads {most} at most, not "
                               f"{getattr(self, name)}: lower it, or raise oldest")
        return self

    @property
    def platform(self) -> Platform:
        """The system that onnxruntime is built for: NNAPI exists on Android alone, and CoreML stands for iOS."""
        if "NnapiExecutionProvider" in self.execution_providers:
            return "android"
        return "ios" if "CoreMLExecutionProvider" in self.execution_providers else "linux"

    def denial_of(self, installed: str | None) -> DeniedVersion | None:
        """Return why a version of onnxruntime must not be used on the device, None when it may."""
        return next((d for d in self.denied if installed is not None and d.covers(installed)), None)
