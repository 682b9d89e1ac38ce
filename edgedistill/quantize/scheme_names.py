"""The name of an int8 scheme and what it says: one function from name to value, and the value knows its name.

kind         dynamic      weights are stored in 8 bits, activations are quantized while the model runs
             static       activations too have a fixed scale, learned from a calibration set; a QDQ graph
             weight_only  weights are stored in 8 bits and restored to float before they are used
weights      wi8, wu8     int8 around zero, or uint8 with a zero point
activations  afp32        float where they are stored (dynamic, weight_only)
             ai8, au8     int8 or uint8 (static)
then         _per_channel       one scale for each output of a matrix or filter, instead of one for the whole
             _reduced_range     weights in 7 bits, so that sums of two u8 x s8 products fit 16 bits
"""

from dataclasses import dataclass, replace
from typing import Literal

from edgedistill.errors import UsageError

Kind = Literal["dynamic", "static", "weight_only"]
Weights = Literal["wi8", "wu8"]
Activations = Literal["afp32", "ai8", "au8"]

FLOAT = "float"
"""What stands where no int8 scheme was taken: the verdict is to ship the float model."""

_KINDS: tuple[Kind, ...] = ("dynamic", "static", "weight_only")
_WEIGHTS: tuple[Weights, ...] = ("wi8", "wu8")
_ACTIVATIONS: dict[Kind, tuple[Activations, ...]] = {"dynamic": ("afp32",), "static": ("ai8", "au8"), "weight_only": ("afp32",)}


@dataclass(frozen=True)
class Scheme:
    """A way to int8; `name` and `parse_scheme` are each other's inverse."""

    kind: Kind
    weights: Weights
    activations: Activations
    is_per_channel: bool = False
    is_reduced_range: bool = False

    @property
    def name(self) -> str:
        """The decodable name, for example `static_wi8_ai8_per_channel`."""
        ends = ("_per_channel" if self.is_per_channel else "") + ("_reduced_range" if self.is_reduced_range else "")
        return f"{self.kind}_{self.weights}_{self.activations}{ends}"

    @property
    def needs_calibration(self) -> bool:
        """Must the range of the activations be learned from data first?"""
        return self.kind == "static"


def computes_in_float(name: str) -> bool:
    """Are the products of a model in float: is it the float model itself, or one whose weights alone are stored in 8 bits?

    Args:
        name: of a scheme, or `FLOAT`.
    """
    return name == FLOAT or (name in _BY_NAME and _BY_NAME[name].kind == "weight_only")


def all_schemes() -> tuple[Scheme, ...]:
    """Return every scheme that can be made.

    uint8 weights go with uint8 activations alone (no processor has s8 x u8), and need no 7-bit range: they multiply without
    saturation. Weights that are restored to float need neither.
    """
    return tuple(
        Scheme(kind, weights, activations, is_per_channel, is_reduced)
        for kind in _KINDS for weights in _WEIGHTS for activations in _ACTIVATIONS[kind]
        for is_per_channel in (False, True) for is_reduced in (False, True)
        if weights == "wi8" or not (is_reduced or kind == "weight_only" or activations == "ai8")
        if not (is_reduced and kind == "weight_only")
    )


def in_seven_bits(scheme: Scheme) -> Scheme:
    """Return a scheme with 7-bit weights, where its products are u8 x s8; else the scheme."""
    return scheme if scheme.weights != "wi8" or scheme.kind == "weight_only" else replace(scheme, is_reduced_range=True)


_BY_NAME = {scheme.name: scheme for scheme in all_schemes()}


def parse_scheme(name: str) -> Scheme:
    """Return what a scheme's name says.

    Raises:
        UsageError: there is no such scheme.
    """
    found = _BY_NAME.get(name)
    if found is None:
        raise UsageError(f"no int8 scheme {name!r}", hint=f"--scheme auto, or one of: {', '.join(_BY_NAME)}")
    return found
