"""What the verdict on int8 makes of a bundle's words: in card, tags and bill of materials."""

from dataclasses import dataclass

from edgedistill.quantize.scheme_names import FLOAT, parse_scheme

_PER_CALL = ": the int8 scale of the activations is computed per call, and neighbours would change it"
_AS_GOLDEN = ", as those of `golden.json` were given"


@dataclass(frozen=True)
class Precision:
    """How model.onnx stores and computes its numbers, in words.

    Attributes:
        file: what is said of the file, in a bracket or two words; empty where it is not known.
        summary: a sentence about the model, with `{}` in place of what it is.
        pedigree: what was done to it after the distillation; starts with a comma, or is empty.
        tags: tags of hubs.
        one_call: why one text a call; goes on after "Give one text a call".
    """

    file: str
    summary: str
    pedigree: str
    tags: tuple[str, ...] = ()
    one_call: str = _AS_GOLDEN


_INT8 = Precision("int8", "A distilled int8 {}.", ", quantized to int8", ("int8",))
_DYNAMIC = Precision("int8", _INT8.summary, _INT8.pedigree, _INT8.tags, _PER_CALL)
_WEIGHTS = Precision("int8 weights", "A distilled {} with int8 weights that computes in float.",
                     ", its weights quantized to int8", ("int8",))
_FLOAT = Precision("float", "A distilled {} in float: the verdict on int8 was to ship float.", ", not quantized")
_NOT_KNOWN = Precision("", "A distilled {}.", "")


def precision_of(scheme: str | None) -> Precision:
    """Return the words for the scheme of a verdict.

    Args:
        scheme: name of an int8 scheme, or "float"; None where no verdict lies beside the model, and nothing is claimed.

    Raises:
        UsageError: there is no such scheme.
    """
    if scheme is None:
        return _NOT_KNOWN
    if scheme == FLOAT:
        return _FLOAT
    return {"dynamic": _DYNAMIC, "static": _INT8, "weight_only": _WEIGHTS}[parse_scheme(scheme).kind]
