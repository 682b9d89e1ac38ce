"""Executed instructions by class: decoding the words of aarch64 and x86-64, and the file of the counting plugin.

Classes: `branch` (with system calls), `integer`, `memory` (scalar loads and stores; on x86 they are part of the others),
`float` (scalar), `simd_memory`, `simd_fma` (float multiply-add), `simd_dot` (four int8 products and their sum in a lane),
`simd_matrix` (SMMLA), `simd_widen` (SMULL, SMLAL and their like), `simd_maddubs` (VPMADDUBSW, VPMADDWD), `simd`
(the rest of the vector unit), `other` (SVE and what is not known).

Sources: Arm Architecture Reference Manual, "A64 instruction set encoding"; Intel SDM volume 2, chapter 2 and appendix A.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from edgedistill.emulation.cores import Architecture
from edgedistill.errors import EdgedistillError
from edgedistill.processor import Int8Path

_A64_VECTOR: tuple[tuple[int, int, str], ...] = (
    (0x9FE0FC00, 0x0E809400, "simd_dot"),  # SDOT, UDOT
    (0x9FC0F400, 0x0F80E000, "simd_dot"),  # the same by element
    (0xBFE0FC00, 0x0E809C00, "simd_dot"),  # USDOT
    (0xBF40F400, 0x0F00F000, "simd_dot"),  # USDOT, SUDOT by element
    (0xDFE0FC00, 0x4E80A400, "simd_matrix"),  # SMMLA, UMMLA
    (0xFFE0FC00, 0x4E80AC00, "simd_matrix"),  # USMMLA
    (0xBF20FC00, 0x0E20CC00, "simd_fma"),  # FMLA, FMLS
    (0xBF80B400, 0x0F801000, "simd_fma"),  # the same by element
    (0xFF000000, 0x1F000000, "simd_fma"),  # FMADD, FMSUB, FNMADD, FNMSUB
    (0x9F20FC00, 0x0E208000, "simd_widen"),  # SMLAL, UMLAL
    (0x9F20FC00, 0x0E20A000, "simd_widen"),  # SMLSL, UMLSL
    (0x9F20FC00, 0x0E20C000, "simd_widen"),  # SMULL, UMULL
    (0x9F00F400, 0x0F002000, "simd_widen"),  # the three by element
    (0x9F00F400, 0x0F006000, "simd_widen"),
    (0x9F00F400, 0x0F00A000, "simd_widen"),
    (0x5E000000, 0x1E000000, "float"),
)
"""(mask, value, class) of the group "scalar floating-point and advanced SIMD"; the first that fits counts."""

_PATHS: dict[str, Int8Path] = {"simd_dot": "sdot", "simd_matrix": "smmla", "simd_widen": "smull", "simd_maddubs": "maddubs"}


@dataclass(frozen=True)
class Marked:
    """Instructions between two marks, by class."""

    by_class: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.by_class.values())


def class_of_a64(code: bytes) -> str:
    """Return the class of an aarch64 instruction, four bytes as they lie in memory."""
    word = int.from_bytes(code, "little")
    group = word >> 25 & 0b1111
    if group & 0b0101 == 0b0100:
        return "simd_memory" if word >> 26 & 1 else "memory"
    if group & 0b1110 == 0b1010:
        return "branch"
    if group & 0b1110 == 0b1000 or group & 0b0111 == 0b0101:
        return "integer"
    if group & 0b0111 == 0b0111:
        return next((name for mask, value, name in _A64_VECTOR if word & mask == value), "simd")
    return "other"


_X86_PREFIXES = frozenset(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3")
_X86_JUMPS = frozenset([*range(0x70, 0x80), *range(0xE0, 0xE4), 0xE8, 0xE9, 0xEB, 0xC2, 0xC3, 0xCC])
_X86_SSE = frozenset([*range(0x10, 0x18), *range(0x28, 0x30), *range(0x50, 0x80), 0xC2, 0xC4, 0xC5, 0xC6, *range(0xD0, 0xFF)])
_X86_FMA = frozenset([*range(0x96, 0xA0), *range(0xA6, 0xB0), *range(0xB6, 0xC0)])
_VEX_INTEGER = frozenset({(2, 0xF2), (2, 0xF3), (2, 0xF5), (2, 0xF6), (2, 0xF7), (3, 0xF0)})  # BMI1, BMI2


def class_of_x86(code: bytes) -> str:
    """Return the class of an x86-64 instruction."""
    at = 0
    while at < len(code) - 1 and code[at] in _X86_PREFIXES:
        at += 1
    if code[at] in (0xC4, 0xC5, 0x62) and len(code) - at > {0xC5: 2, 0xC4: 3, 0x62: 5}[code[at]]:
        return _vex_class(code[at:])
    if 0x40 <= code[at] <= 0x4F and at < len(code) - 1:  # REX
        at += 1
    if code[at] == 0x0F and at + 1 < len(code):
        return _two_byte_class(code[at + 1:])
    if code[at] in _X86_JUMPS or (code[at] == 0xFF and len(code) > at + 1 and code[at + 1] >> 3 & 7 in (2, 3, 4, 5)):
        return "branch"
    return "float" if 0xD8 <= code[at] <= 0xDF else "integer"


def _vex_class(code: bytes) -> str:
    table = 1 if code[0] == 0xC5 else code[1] & (0b111 if code[0] == 0x62 else 0b11111)
    opcode = code[{0xC5: 2, 0xC4: 3, 0x62: 4}[code[0]]]
    if (table, opcode) in _VEX_INTEGER:
        return "integer"
    if (table, opcode) in ((2, 0x04), (1, 0xF5)):
        return "simd_maddubs"
    if table == 2 and 0x50 <= opcode <= 0x53:
        return "simd_dot"
    return "simd_fma" if table == 2 and opcode in _X86_FMA else "simd"


def _two_byte_class(code: bytes) -> str:
    opcode = code[0]
    if opcode in (0x38, 0x3A) and len(code) > 1:
        is_integer = opcode == 0x38 and code[1] >= 0xF0  # MOVBE, CRC32, ADCX
        return "integer" if is_integer else "simd_maddubs" if (opcode, code[1]) == (0x38, 0x04) else "simd"
    if opcode == 0xF5:
        return "simd_maddubs"
    if 0x80 <= opcode <= 0x8F or opcode in (0x05, 0x0B):  # jumps, SYSCALL, UD2
        return "branch"
    return "simd" if opcode in _X86_SSE else "integer"


_DECODERS: dict[Architecture, Callable[[bytes], str]] = {"aarch64": class_of_a64, "x86_64": class_of_x86}


def read_counts(lines: Iterable[str], architecture: Architecture) -> list[Marked]:
    """Read the plugin's file: instructions up to each mark after the first, by class.

    Raises:
        EdgedistillError: it is not the plugin's file.
    """
    decode, blocks = _DECODERS[architecture], dict[str, Counter[str]]()
    found: list[Marked] = []
    running: Counter[str] = Counter()
    try:
        for line in lines:
            kind, index, *rest = line.split()
            if kind == "b":
                blocks[index] = Counter(decode(bytes.fromhex(word)) for word in rest)
            elif kind == "c":
                for name, count in blocks[index].items():
                    running[name] += count * int(rest[0])
            elif int(index):
                found.append(Marked(dict(sorted(running.items()))))
                running = Counter()
    except (ValueError, KeyError, IndexError) as bad:
        raise EdgedistillError(f"the counting plugin wrote something else than counts ({bad!r})",
                               hint="edgedistill arm-env --rebuild") from None
    return found


def int8_path(by_class: Mapping[str, int], architecture: Architecture) -> Int8Path | None:
    """Return how the int8 products were made, None when none of the known ways was."""
    name = max(_PATHS, key=lambda known: by_class.get(known, 0))
    if not by_class.get(name):
        return None
    return "vnni" if architecture == "x86_64" and name == "simd_dot" else _PATHS[name]
