"""What a model of static embeddings with a linear head weighs, and how wide it may be."""

from dataclasses import dataclass

_HEAD_BYTES = 2
_WEIGHT_BYTES = 2


@dataclass(frozen=True)
class StaticTable:
    """A table of embeddings and a float16 head.

    Attributes:
        tokens: of the vocabulary.
        clusters: rows of the table that the tokens share; 0: a row a token. With clusters there is a float16 weight a token.
            The map of tokens to rows is not counted: it could lie in the tokenizer file, as our aliases do. model2vec stores
            both, and wider: the count is in its favour.
        number_bytes: of a number in the table: 1 for int8, 2 for float16.
        classes: of the head.
    """

    tokens: int
    clusters: int
    number_bytes: int
    classes: int

    def size_bytes(self, width: int) -> int:
        """Return the bytes with so many columns."""
        return width * self._column_bytes + self._beside_bytes

    def widest(self, limit_bytes: int) -> int:
        """Return the most columns within a limit; 0 or less when nothing fits."""
        return (limit_bytes - self._beside_bytes) // self._column_bytes

    @property
    def _column_bytes(self) -> int:
        return self.number_bytes * (self.clusters or self.tokens) + _HEAD_BYTES * self.classes

    @property
    def _beside_bytes(self) -> int:
        return (_WEIGHT_BYTES * self.tokens if self.clusters else 0) + _HEAD_BYTES * self.classes
