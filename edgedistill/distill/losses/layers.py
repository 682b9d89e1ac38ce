"""Which layer of the teacher a layer of the student learns from."""

from dataclasses import dataclass
from typing import Literal

LayerRule = Literal["evenly-spaced", "last"]


@dataclass(frozen=True)
class LayerPair:
    """A layer of the student and its layer of the teacher; 0 is the embedding, 1 the first layer."""

    student: int
    teacher: int


def pair_layers(rule: LayerRule, student_layers: int, teacher_layers: int) -> tuple[LayerPair, ...]:
    """Map every layer of the student, or only its last, to a layer of the teacher.

    evenly-spaced: layer m of M learns from layer m * N / M of N, rounded half up and at least 1, so that each of the
    student's layers answers for an equal share of the teacher's, and last goes to last. last: only the last layers.

    Args:
        rule: one of the two.
        student_layers: M >= 1.
        teacher_layers: N >= 1; may be less than M, then some of the teacher's layers serve twice.

    Returns:
        pairs counted from 1, in the order of the student's layers.

    Reference: Jiao et al. 2020, g(m) and its uniform strategy; Wang et al. 2020, section 3.1.
    """
    if rule == "last":
        return (LayerPair(student_layers, teacher_layers),)
    return tuple(
        LayerPair(m, max(1, (2 * m * teacher_layers + student_layers) // (2 * student_layers)))
        for m in range(1, student_layers + 1)
    )
