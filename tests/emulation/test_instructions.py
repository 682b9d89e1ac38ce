"""Classes of instructions. The bytes are what LLVM 14's assembler makes of the text beside them."""

import pytest

from edgedistill.emulation.instructions import class_of_a64, class_of_x86, int8_path, read_counts
from edgedistill.errors import EdgedistillError

A64 = [
    ("sdot v0.4s, v1.16b, v2.16b", "2094824e", "simd_dot"), ("udot v0.2s, v1.8b, v2.8b", "2094822e", "simd_dot"),
    ("udot v0.4s, v1.16b, v2.4b[3]", "20e8a26f", "simd_dot"), ("usdot v0.4s, v1.16b, v2.16b", "209c824e", "simd_dot"),
    ("sudot v0.4s, v1.16b, v2.4b[1]", "20f0224f", "simd_dot"), ("usdot v0.4s, v1.16b, v2.4b[1]", "20f0a24f", "simd_dot"),
    ("smmla v0.4s, v1.16b, v2.16b", "20a4824e", "simd_matrix"), ("usmmla v0.4s, v1.16b, v2.16b", "20ac824e", "simd_matrix"),
    ("ummla v0.4s, v1.16b, v2.16b", "20a4826e", "simd_matrix"),
    ("fmla v0.4s, v1.4s, v2.4s", "20cc224e", "simd_fma"), ("fmls v0.4s, v1.4s, v2.4s", "20cca24e", "simd_fma"),
    ("fmla v0.4s, v1.4s, v2.s[1]", "2010a24f", "simd_fma"), ("fmls v0.2d, v1.2d, v2.d[1]", "2058c24f", "simd_fma"),
    ("fmadd s0, s1, s2, s3", "200c021f", "simd_fma"), ("fnmsub d0, d1, d2, d3", "208c621f", "simd_fma"),
    ("smull v0.8h, v1.8b, v2.8b", "20c0220e", "simd_widen"), ("smlal v0.4s, v1.4h, v2.4h", "2080620e", "simd_widen"),
    ("smlal2 v0.4s, v1.8h, v2.h[3]", "2020724f", "simd_widen"), ("smull v0.4s, v1.4h, v2.h[3]", "20a0720f", "simd_widen"),
    ("smlsl v0.8h, v1.8b, v2.8b", "20a0220e", "simd_widen"),
    ("pmull v0.8h, v1.8b, v2.8b", "20e0220e", "simd"), ("sqdmlal v0.4s, v1.4h, v2.4h", "2090620e", "simd"),
    ("mla v0.8h, v1.8h, v2.h[1]", "2000526f", "simd"), ("fmul v0.4s, v1.4s, v2.s[0]", "2090824f", "simd"),
    ("fcmla v0.4s, v1.4s, v2.4s, #90", "20cc826e", "simd"), ("fmlal v0.4s, v1.4h, v2.4h", "20ec224e", "simd"),
    ("fadd s0, s1, s2", "2028221e", "float"), ("fmov x0, d1", "2000669e", "float"), ("fcvtzs w0, s1", "2000381e", "float"),
    ("ldr x0, [x1]", "200040f9", "memory"), ("stp x0, x1, [sp, #-16]!", "e007bfa9", "memory"),
    ("ldadd x0, x1, [x2]", "410020f8", "memory"), ("ldxr x0, [x1]", "207c5fc8", "memory"),
    ("ldr q0, [x1]", "2000c03d", "simd_memory"), ("ld1 { v0.16b }, [x0]", "0070404c", "simd_memory"),
    ("b.ne #8", "41000054", "branch"), ("ret", "c0035fd6", "branch"), ("svc #0", "010000d4", "branch"),
    ("add x0, x1, #1", "20040091", "integer"), ("madd x0, x1, x2, x3", "200c029b", "integer"),
    ("adrp x0, #4096", "000000b0", "integer"), ("addvl x0, x1, #1", "20502104", "other"),
]
X86 = [
    ("vpmaddubsw ymm0, ymm1, ymm2", "c4e27504c2", "simd_maddubs"), ("vpmaddwd ymm0, ymm1, [rax]", "c5f5f500", "simd_maddubs"),
    ("pmaddubsw xmm0, xmm1", "660f3804c1", "simd_maddubs"), ("pmaddwd xmm8, xmm9", "66450ff5c1", "simd_maddubs"),
    ("vpmaddubsw zmm0, zmm1, zmm2", "62f2754804c2", "simd_maddubs"), ("vpdpbusd ymm0, ymm1, ymm2", "62f2752850c2", "simd_dot"),
    ("vfmadd231ps ymm0, ymm1, ymm2", "c4e275b8c2", "simd_fma"), ("vfmadd231ps zmm0, zmm1, zmm2", "62f27548b8c2", "simd_fma"),
    ("vaddps ymm0, ymm1, ymm2", "c5f458c2", "simd"), ("addps xmm0, xmm1", "0f58c1", "simd"),
    ("movsd xmm9, [rax]", "f2440f1008", "simd"), ("vmovdqu ymm9, [r10]", "c4417e6f0a", "simd"),
    ("pshufb xmm0, xmm1", "660f3800c1", "simd"), ("cvtsi2ss xmm0, eax", "f30f2ac0", "simd"),
    ("mov rax, [rbx]", "488b03", "integer"), ("imul rax, rbx", "480fafc3", "integer"), ("push [rax]", "ff30", "integer"),
    ("shlx rax, rbx, rcx", "c4e2f1f7c3", "integer"), ("rorx rax, rbx, 5", "c4e3fbf0c305", "integer"),
    ("cmovne rax, rbx", "480f45c3", "integer"), ("crc32 eax, ebx", "f20f38f1c3", "integer"), ("sete al", "0f94c0", "integer"),
    ("lock xadd [rax], ebx", "f00fc118", "integer"), ("endbr64", "f30f1efa", "integer"),
    ("fld qword ptr [rax]", "dd00", "float"),
    ("call rax", "ffd0", "branch"), ("jmp [rax]", "ff20", "branch"), ("ret", "c3", "branch"), ("syscall", "0f05", "branch"),
    ("jne +3", "7503", "branch"), ("jne +5000", "0f8588130000", "branch"), ("call +100", "e864000000", "branch"),
]


@pytest.mark.parametrize(("text", "code", "expected"), A64)
def test_class_of_a64_then_as_the_manual_has_it(text: str, code: str, expected: str) -> None:
    assert class_of_a64(bytes.fromhex(code)) == expected, text


@pytest.mark.parametrize(("text", "code", "expected"), X86)
def test_class_of_x86_then_as_the_manual_has_it(text: str, code: str, expected: str) -> None:
    assert class_of_x86(bytes.fromhex(code)) == expected, text


FILE = """\
m 0
b 7 2094824e c0035fd6
c 7 10
b 2 20040091
c 2 3
m 1
c 7 11
m 2
""".splitlines()


def test_read_counts_then_each_round_is_counted_by_class_and_blocks_are_remembered() -> None:
    first, second = read_counts(FILE, "aarch64")
    assert first.by_class == {"simd_dot": 10, "branch": 10, "integer": 3}
    assert first.total == 23
    assert second.by_class == {"simd_dot": 11, "branch": 11}


@pytest.mark.parametrize("line", ["c 9 1", "b 1 xyz", "c 1", "x"])
def test_read_counts_of_another_file_then_refused(line: str) -> None:
    with pytest.raises(EdgedistillError, match="something else than counts"):
        read_counts([line], "aarch64")


@pytest.mark.parametrize(("by_class", "architecture", "path"), [
    ({"simd_dot": 5, "simd_widen": 1}, "aarch64", "sdot"), ({"simd_widen": 1, "simd": 9}, "aarch64", "smull"),
    ({"simd_matrix": 4}, "aarch64", "smmla"), ({"simd_maddubs": 4}, "x86_64", "maddubs"), ({"simd_dot": 4}, "x86_64", "vnni"),
    ({"integer": 4}, "aarch64", None),
])
def test_int8_path_then_the_one_that_ran_most(by_class: dict[str, int], architecture: str, path: str | None) -> None:
    assert int8_path(by_class, architecture) == path  # type: ignore[arg-type]
