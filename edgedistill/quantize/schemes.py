"""Which int8 schemes a target wants; `scheme_names` says what their names mean, `instruction_rules` why."""

from dataclasses import dataclass

from edgedistill.errors import UsageError
from edgedistill.quantize.instruction_rules import rule_for
from edgedistill.quantize.scheme_names import all_schemes, parse_scheme
from edgedistill.target import Target

AUTO = "auto"


@dataclass(frozen=True)
class SchemeChoice:
    """Schemes in the order in which they are tried, and why in that order.

    Attributes:
        schemes: those for a transformer; a scheme that the recipe names stands here alone.
        why: a clause about the target.
        static: those for a convolutional net, and for a transformer with which the others fail.
    """

    schemes: tuple[str, ...]
    why: str
    static: tuple[str, ...] = ()


def schemes_for(target: Target, *, wanted: str) -> SchemeChoice:
    """Return the schemes to try on a target, best first.

    Args:
        target: the device class.
        wanted: a scheme of the recipe, or "auto".

    Source: `instruction_rules.RULES`. A scale a column first: it costs five bytes a column and nothing at run time (the product
    is rescaled anyway), and the error of a column no longer follows the largest column of its matrix (Krishnamoorthi 2018,
    "Quantizing deep convolutional networks for efficient inference", section 3.1).
    """
    if wanted != AUTO:
        return SchemeChoice((wanted,), "the recipe names it")
    rule = rule_for(target.cpu)
    return SchemeChoice(rule.dynamic, f"{target.cpu.microarchitecture} {rule.why}", rule.static)


def is_reduced_range(scheme: str) -> bool:
    """Are the weights of this scheme kept to 7 bits?"""
    return parse_scheme(scheme).is_reduced_range


def check_scheme(name: str) -> str:
    """Return a scheme's name, or "auto".

    Raises:
        UsageError: there is no such scheme.
    """
    known = (AUTO, *(scheme.name for scheme in all_schemes()))
    if name not in known:
        raise UsageError(f"no int8 scheme {name!r}", hint=f"--scheme {' | '.join(known)}")
    return name
