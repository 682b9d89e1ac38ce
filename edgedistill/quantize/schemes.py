"""int8 schemes with names one can decode, and which of them a target wants.

dynamic_wi8_afp32                              weights int8 (symmetric, per tensor), activations quantized on the fly
dynamic_wi8_afp32_per_channel                  the same with a scale for each column of a matrix
dynamic_wi8_afp32_reduced_range                7-bit weights, so that u8 x s8 products cannot saturate
dynamic_wi8_afp32_per_channel_reduced_range    both
"""

from dataclasses import dataclass

from edgedistill.errors import UsageError
from edgedistill.target import Target

FULL_RANGE = "dynamic_wi8_afp32"
PER_CHANNEL = "dynamic_wi8_afp32_per_channel"
REDUCED_RANGE = "dynamic_wi8_afp32_reduced_range"
PER_CHANNEL_REDUCED_RANGE = "dynamic_wi8_afp32_per_channel_reduced_range"
STATIC = "static_wi8_ai8_per_channel"
STATIC_REDUCED_RANGE = "static_wi8_ai8_per_channel_reduced_range"


@dataclass(frozen=True)
class SchemeChoice:
    """Schemes in the order in which they are tried, and why in that order."""

    schemes: tuple[str, ...]
    why: str


def schemes_for(target: Target, *, wanted: str) -> SchemeChoice:
    """Return the schemes to try on a target, best first.

    Args:
        target: the device class.
        wanted: a scheme of the recipe, or "auto".

    Source: onnxruntime, "Quantize ONNX models": on x86 with AVX2 or AVX-512 but without VNNI, u8 x s8 saturates 16-bit sums; use
    reduce_range. ARM has no such trap. A scale a column first: it costs five bytes a column and nothing at run time (the
    product is rescaled anyway), and the error of a column no longer follows the largest column of its matrix (Krishnamoorthi
    2018, "Quantizing deep convolutional networks for efficient inference", section 3.1).
    """
    if wanted != "auto":
        return SchemeChoice((wanted,), "the recipe names it")
    if target.cpu.saturates_u8s8:
        why = f"{target.cpu.microarchitecture} multiplies u8 x s8 with saturation (no VNNI)"
        return SchemeChoice((PER_CHANNEL_REDUCED_RANGE, REDUCED_RANGE), why)
    why = f"{target.cpu.microarchitecture} does not saturate u8 x s8"
    return SchemeChoice((PER_CHANNEL, FULL_RANGE, REDUCED_RANGE), why)


def static_schemes_for(target: Target, *, wanted: str) -> SchemeChoice:
    """Return the schemes to try on a convolutional net, whose activations want fixed scales; arguments as `schemes_for`.

    Source: onnxruntime, "Quantize ONNX models": static quantization for CNNs, S8S8 with QDQ first.
    """
    if wanted != "auto":
        return SchemeChoice((wanted,), "the recipe names it")
    if target.cpu.saturates_u8s8:
        why = f"convolutions want fixed scales; {target.cpu.microarchitecture} has no VNNI"
        return SchemeChoice((STATIC_REDUCED_RANGE,), why)
    return SchemeChoice((STATIC, STATIC_REDUCED_RANGE), "convolutions want fixed scales, one a filter")


def is_reduced_range(scheme: str) -> bool:
    """Are the weights of this scheme kept to 7 bits?"""
    return scheme.endswith("_reduced_range")


def is_per_channel(scheme: str) -> bool:
    """Has each column of a matrix a scale of its own in this scheme?"""
    return "_per_channel" in scheme


def is_static(scheme: str) -> bool:
    """Are the scales of the activations fixed, and so learned from calibration rows?"""
    return scheme.startswith("static_")


def check_scheme(name: str) -> str:
    """Return a scheme's name, or "auto".

    Raises:
        UsageError: there is no such scheme.
    """
    known = ("auto", FULL_RANGE, PER_CHANNEL, REDUCED_RANGE, PER_CHANNEL_REDUCED_RANGE, STATIC, STATIC_REDUCED_RANGE)
    if name not in known:
        raise UsageError(f"no int8 scheme {name!r}", hint=f"--scheme {' | '.join(known)}")
    return name
