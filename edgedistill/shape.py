"""Student shapes: the rungs of a ladder, and what each weighs, to the byte, before anything is trained."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, Self, TypeVar

from pydantic import Field, model_validator

from edgedistill.document import Document, parse, read_text
from edgedistill.errors import RecipeError


def require_whole_heads(hidden: int, heads: int) -> None:
    """Refuse a width that attention heads cannot share out; raises ValueError."""
    if hidden % heads:
        raise ValueError(f"hidden {hidden} is not a multiple of heads {heads}")


class Rung(Document):
    """A student shape of a ladder, by its name."""

    id: str


class StudentShape(Rung):
    """The shape of a BERT-family encoder with a classifier."""

    layers: int = Field(ge=1, le=48)
    hidden: int = Field(ge=8, le=4096, description="residual width")
    heads: int = Field(ge=1, le=64)
    intermediate: int = Field(ge=8, le=16384, description="width of the feed-forward block")
    vocabulary: int = Field(ge=100, le=300_000, description="tokens the student knows; others go to their nearest")
    embedding_rank: int | None = Field(
        None, ge=4, le=4096, description="numbers a token in the embedding table; a matrix takes them to `hidden`. null: hidden"
    )

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        require_whole_heads(self.hidden, self.heads)
        if self.embedding_rank is not None and self.embedding_rank >= self.hidden:
            raise ValueError(f"embedding_rank {self.embedding_rank} saves nothing: it must be below hidden {self.hidden}")
        return self

    @property
    def token_numbers(self) -> int:
        """Numbers that the embedding table holds of each token."""
        return self.embedding_rank or self.hidden

    def shallower(self) -> "StudentShape | None":
        """Return the shape with a layer less, None where there is one only."""
        return self.model_copy(update={"layers": self.layers - 1}) if self.layers > 1 else None


RungT = TypeVar("RungT", bound=Rung)


class LadderOf(Document, Generic[RungT]):
    """Student shapes in any order, each of another name."""

    schema_version: Literal[1] = 1
    rungs: tuple[RungT, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        ids = [rung.id for rung in self.rungs]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"rung {', '.join(twice)} stands twice")
        return self


class Ladder(LadderOf[StudentShape]):
    """The student shapes of one architecture family."""

    family: Literal["bert"]


def read_ladder(path: Path) -> Ladder:
    """Read models/students.yaml or a ladder of the user's own.

    Raises:
        RecipeError: it cannot be read, or a shape is impossible.
    """
    return parse(Ladder, read_text(path, error=RecipeError), path, error=RecipeError)


class PartBytes(ABC):
    """Bytes of a student's files by part, and in all."""

    @property
    @abstractmethod
    def int8_bytes_by_part(self) -> dict[str, int]:
        """Bytes of the int8 ONNX file by part."""

    @property
    @abstractmethod
    def float_bytes_by_part(self) -> dict[str, int]:
        """Bytes of the float ONNX file by part."""

    @property
    def int8_bytes(self) -> int:
        """Bytes of the int8 ONNX file."""
        return sum(self.int8_bytes_by_part.values())

    @property
    def float_bytes(self) -> int:
        """Bytes of the float ONNX file."""
        return sum(self.float_bytes_by_part.values())


@dataclass(frozen=True)
class Weight(PartBytes):
    """Numbers of a student by part and kind. Matrices become int8; biases and LayerNorms stay float.

    Attributes:
        embedding: numbers in the embedding tables, and in the matrix behind one of low rank.
        encoder: numbers in the matrices of the layers and the pooler.
        head: numbers in the classifier matrix.
        vectors: biases, LayerNorm gains and offsets.
        columns: columns of all matrices but the embedding tables.
        layers: transformer layers.
        nodes: nodes of the graph as the runtime fuses it.
        is_low_rank: has the embedding a matrix behind its table?
    """

    embedding: int
    encoder: int
    head: int
    vectors: int
    columns: int
    layers: int
    nodes: int
    is_low_rank: bool = False

    @property
    def parameters(self) -> int:
        """Trained numbers in all."""
        return self.embedding + self.encoder + self.head + self.vectors

    @property
    def int8_bytes_by_part(self) -> dict[str, int]:
        """Bytes of the int8 ONNX file by part: one a matrix element, four a vector element, and the graph itself.

        Counted for a scale (four bytes) and a zero point (one) a column; a file per tensor is up to 3 % smaller.
        """
        return {
            "embedding": self.embedding, "encoder": self.encoder, "head": self.head,
            "vectors": 4 * self.vectors + SCALE_BYTES * self.columns,
            "graph": INT8_GRAPH_BYTES + self.layers * INT8_LAYER_BYTES + self.is_low_rank * INT8_RANK_BYTES,
        }

    @property
    def float_bytes_by_part(self) -> dict[str, int]:
        """Bytes of the float ONNX file by part: four a number, and the graph itself."""
        return {
            "embedding": 4 * self.embedding, "encoder": 4 * self.encoder, "head": 4 * self.head,
            "vectors": 4 * self.vectors,
            "graph": FLOAT_GRAPH_BYTES + self.layers * FLOAT_LAYER_BYTES + self.is_low_rank * FLOAT_RANK_BYTES,
        }


SCALE_BYTES = 5
"""A scale and a zero point of a column."""

INT8_GRAPH_BYTES = 2_870
"""Nodes, names and scales of activations outside the layers of an int8 file."""

INT8_LAYER_BYTES = 3_560
"""The same of one layer. Read off files of 3 and 6 layers (2 785 334, 1 118 071 and 22 946 982 bytes): right to 800 bytes."""

FLOAT_GRAPH_BYTES = 1_930
FLOAT_LAYER_BYTES = 2_620
"""The same of a float file, read off files of 3 and 6 layers (10 916 245 and 90 915 122 bytes)."""

INT8_RANK_BYTES, FLOAT_RANK_BYTES = 2_600, 2_600
"""The matrix behind a table of low rank, and the embedding's parts that the runtime's fused embedding would hold: nodes and
names. Read off files of 2, 3 and 6 layers: right to 300 bytes."""

NODES_PER_LAYER = 8
"""A quantization with the attention it feeds, three products that quantize their own input, two SkipLayerNormalizations and
BiasGelu: what is left of an int8 layer once the runtime has fused it. Counted in the graphs that onnxruntime 1.32 makes of
students: 24, 32 and 56 nodes with 2, 3 and 6 layers (a test counts them)."""

NODES_OUTSIDE = 8
"""Three casts, the embedding, the choice of the first token, pooler with its tanh, classifier."""

NODES_OF_RANK = 13
"""What a table of low rank has besides: onnxruntime's fused embedding takes none, so look-ups, sums and norm stand alone."""


def weigh(shape: StudentShape, *, classes: int, positions: int) -> Weight:
    """Count a student's numbers.

    Args:
        shape: the student.
        classes: outputs of the classifier.
        positions: tokens a text may have.
    """
    width, inner = shape.hidden, shape.intermediate
    is_low_rank = shape.embedding_rank is not None
    vectors_per_layer = (3 * width + width + inner + width) + 4 * width
    return Weight(
        embedding=shape.vocabulary * shape.token_numbers + (positions + 2 + (shape.embedding_rank or 0)) * width,
        encoder=shape.layers * (4 * width * width + 2 * width * inner) + width * width,
        head=classes * width,
        vectors=shape.layers * vectors_per_layer + 2 * width + width + classes,
        columns=shape.layers * (3 * width + width + inner + width) + width + classes + is_low_rank * width,
        layers=shape.layers,
        nodes=shape.layers * NODES_PER_LAYER + NODES_OUTSIDE + is_low_rank * NODES_OF_RANK,
        is_low_rank=is_low_rank,
    )


@dataclass(frozen=True)
class Work:
    """Multiply-accumulates of one text.

    Attributes:
        on_weights: products with a weight matrix; int8 in the int8 model.
        in_attention: products between activations (scores, and the mix of values); float in both.
    """

    on_weights: int
    in_attention: int


def macs_of(shape: StudentShape, *, tokens: int, classes: int) -> Work:
    """Count the multiply-accumulates of one text of so many tokens."""
    width, inner = shape.hidden, shape.intermediate
    on_weights = shape.layers * tokens * (4 * width * width + 2 * width * inner) + width * width + classes * width
    on_weights += tokens * (shape.embedding_rank or 0) * width
    return Work(on_weights, shape.layers * 2 * tokens * tokens * width)
