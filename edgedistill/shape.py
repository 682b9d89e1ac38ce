"""Student shapes: the rungs of a ladder, and what each weighs, to the byte, before anything is trained."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml
from pydantic import Field, model_validator

from edgedistill.document import Document, parse, read_text
from edgedistill.errors import RecipeError


class StudentShape(Document):
    """The shape of a BERT-family encoder with a classifier."""

    id: str
    layers: int = Field(ge=1, le=48)
    hidden: int = Field(ge=8, le=4096, description="residual width")
    heads: int = Field(ge=1, le=64)
    intermediate: int = Field(ge=8, le=16384, description="width of the feed-forward block")
    vocabulary: int = Field(ge=100, le=300_000, description="tokens the student knows; others go to their nearest")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}")
        return self


class Ladder(Document):
    """The student shapes of one architecture family, in any order."""

    schema_version: int = 1
    family: str
    rungs: tuple[StudentShape, ...] = Field(min_length=1)


def read_ladder(path: Path) -> Ladder:
    """Read models/students.yaml or a ladder of the user's own.

    Raises:
        RecipeError: it cannot be read, or a shape is impossible.
    """
    return parse(Ladder, read_text(path, error=RecipeError), path, error=RecipeError, loader=yaml.safe_load)


@dataclass(frozen=True)
class Weight:
    """Numbers of a student by part and kind. Matrices become int8; biases and LayerNorms stay float.

    Attributes:
        embedding: numbers in the embedding tables.
        encoder: numbers in the matrices of the layers and the pooler.
        head: numbers in the classifier matrix.
        vectors: biases, LayerNorm gains and offsets.
        nodes: nodes of the fused graph, and of them those that are quantized.
    """

    embedding: int
    encoder: int
    head: int
    vectors: int
    nodes: int

    @property
    def parameters(self) -> int:
        """Trained numbers in all."""
        return self.embedding + self.encoder + self.head + self.vectors

    @property
    def int8_bytes(self) -> int:
        """Bytes of the int8 ONNX file: one a matrix element, four a vector element, and the graph itself."""
        return self.embedding + self.encoder + self.head + 4 * self.vectors + GRAPH_BYTES + self.nodes * NODE_BYTES

    @property
    def float_bytes(self) -> int:
        """Bytes of the float ONNX file."""
        return 4 * self.parameters + GRAPH_BYTES + self.nodes * NODE_BYTES // 2


GRAPH_BYTES = 3_000
"""Inputs, outputs, opset imports and names of a graph; read off exported students."""

NODE_BYTES = 230
"""Bytes of one fused node with its names and quantization parameters; read off exported students."""

NODES_PER_LAYER = 10
"""Attention, two SkipLayerNormalizations, BiasGelu and three matrix products with their scales, as the runtime fuses
them when it loads the int8 graph."""

NODES_OUTSIDE = 8
"""Embedding, pooler, classifier, and the casts around them."""


def weigh(shape: StudentShape, *, classes: int, positions: int) -> Weight:
    """Count a student's numbers.

    Args:
        shape: the student.
        classes: outputs of the classifier.
        positions: tokens a text may have.
    """
    width, inner = shape.hidden, shape.intermediate
    vectors_per_layer = (3 * width + width + inner + width) + 4 * width
    return Weight(
        embedding=(shape.vocabulary + positions + 2) * width,
        encoder=shape.layers * (4 * width * width + 2 * width * inner) + width * width,
        head=classes * width,
        vectors=shape.layers * vectors_per_layer + 2 * width + width + classes,
        nodes=shape.layers * NODES_PER_LAYER + NODES_OUTSIDE,
    )


def macs_of(shape: StudentShape, *, tokens: int, classes: int) -> tuple[int, int]:
    """Return the multiply-accumulates of one text: (on weights, between activations in attention)."""
    width, inner = shape.hidden, shape.intermediate
    on_weights = shape.layers * tokens * (4 * width * width + 2 * width * inner) + width * width + classes * width
    return on_weights, shape.layers * 2 * tokens * tokens * width
