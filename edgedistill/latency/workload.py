"""The work of one inference, by the class of operator that does it: what a latency is computed from."""

from dataclasses import dataclass

from edgedistill.shape import StudentShape, macs_of, weigh


@dataclass(frozen=True)
class Workload:
    """What one text costs in the int8 model.

    Attributes:
        int8_macs: multiply-accumulates with a weight matrix.
        float_macs: multiply-accumulates between activations: attention's scores and its mix of values.
        glue_elements: numbers written by softmax, LayerNorm, GELU, sums and the moving of heads.
        gathered_bytes: bytes of embedding rows that are looked up.
        weight_bytes: bytes of the matrices that are read; the embedding is not, only its rows.
        nodes: nodes of the graph as the runtime fuses it.
    """

    int8_macs: float
    float_macs: float
    glue_elements: float
    gathered_bytes: float
    weight_bytes: float
    nodes: float


def workload_of(shape: StudentShape, *, tokens: int, classes: int) -> Workload:
    """Count the work of one text.

    Args:
        shape: the student.
        tokens: length of the text, special tokens counted.
        classes: outputs of the classifier.
    """
    work = macs_of(shape, tokens=tokens, classes=classes)
    weight = weigh(shape, classes=classes, positions=tokens)
    return Workload(
        int8_macs=work.on_weights,
        float_macs=work.in_attention,
        glue_elements=shape.layers * glue_per_layer(shape.hidden, shape.intermediate, shape.heads, tokens),
        gathered_bytes=tokens * (2 * shape.hidden + shape.token_numbers),
        weight_bytes=weight.encoder + weight.head + (shape.embedding_rank or 0) * shape.hidden,
        nodes=weight.nodes,
    )


def glue_per_layer(hidden: int, intermediate: int, heads: int, tokens: int) -> int:
    """Count the numbers that a layer's glue writes.

    Two LayerNorms with their sums and four moves of heads write `8 x tokens x hidden`, GELU twice
    `tokens x intermediate` (bias, then the function), softmax twice `heads x tokens x tokens`. Vaswani et al. 2017.
    """
    return 8 * tokens * hidden + 2 * tokens * intermediate + 2 * heads * tokens * tokens
