"""Which schemes suit an instruction set: a table, each row with its source.

Dynamic schemes are for transformers, static ones for convolutional nets, where the court tries the other kind only when none of
the first keeps the goal (onnxruntime, "Quantize ONNX models": "dynamic quantization for RNNs and transformer-based models, and
static quantization for CNN models").
"""

from collections.abc import Callable
from dataclasses import dataclass

from edgedistill.processor import Cpu

_GUIDE = 'onnxruntime, "Quantize ONNX models"'


@dataclass(frozen=True)
class Rule:
    """Schemes that suit processors of a kind, best first.

    Attributes:
        applies: is the processor of that kind?
        why: what its instructions do.
        dynamic: schemes without calibration.
        static: QDQ schemes.
        source: where this is written or was seen.
    """

    applies: Callable[[Cpu], bool]
    why: str
    dynamic: tuple[str, ...]
    static: tuple[str, ...]
    source: str


RULES: tuple[Rule, ...] = (
    Rule(
        lambda cpu: cpu.saturates_u8s8, "multiplies u8 x s8 with saturation (no VNNI)",
        ("dynamic_wi8_afp32_per_channel_reduced_range", "dynamic_wi8_afp32_reduced_range"),
        ("static_wi8_au8_per_channel_reduced_range", "static_wu8_au8"),
        f'{_GUIDE}, "When and why do I need to try U8U8?": VPMADDUBSW adds two products in 16 bits; reduce_range or U8U8',
    ),
    Rule(
        lambda cpu: cpu.architecture == "x86_64", "does not saturate u8 x s8",
        ("dynamic_wi8_afp32_per_channel", "dynamic_wi8_afp32", "dynamic_wi8_afp32_reduced_range"),
        ("static_wi8_au8_per_channel", "static_wi8_au8"),
        "VPDPBUSD is u8 x s8 in 32 bits (Intel SDM). Activations in uint8: onnxruntime 1.32 on x86 turns an int8 pair into uint8 "
        "only where it has one reader, and leaves a product behind one with two in float (seen in its optimized graphs)",
    ),
    Rule(
        lambda cpu: cpu.architecture == "aarch64", "does not saturate u8 x s8",
        ("dynamic_wi8_afp32_per_channel", "dynamic_wi8_afp32", "dynamic_wi8_afp32_reduced_range"),
        ("static_wi8_ai8_per_channel", "static_wi8_ai8"),
        f'{_GUIDE}, "Data type selection": S8S8 with QDQ first; SDOT and SMMLA are s8 x s8 in 32 bits (Arm ARM)',
    ),
)


def rule_for(cpu: Cpu) -> Rule:
    """Return the row of the table that a processor falls under."""
    return next(rule for rule in RULES if rule.applies(cpu))


def shares_path(cpu: Cpu, *, architecture: str, features: tuple[str, ...]) -> bool:
    """Does a machine make int8 products with the instructions that the target has, so that its times say which is faster?

    Args:
        cpu: the target's processor.
        architecture: of the machine.
        features: of the machine, as `host.Host` names them.
    """
    if cpu.architecture != architecture:
        return False
    groups = ({"avx_vnni", "avx512_vnni"}, {"asimddp"}, {"i8mm"})
    return all(bool(group & set(cpu.features)) == bool(group & set(features)) for group in groups)
