"""Examples as model inputs: what the stages may ask of any task's encoder. Imports numpy only."""

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from edgedistill.examples import Examples

MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids", "pixel_values")
"""What the encoders give, by transformers' names; a model takes those that its `forward` has."""


def inputs_of(forward: Any) -> list[str]:
    """Return the model inputs that a `forward` takes, in the order of `MODEL_INPUTS`."""
    known = inspect.signature(forward).parameters  # follows decorators, which some families have around `forward`
    return [name for name in MODEL_INPUTS if name in known]


class Encoded(Protocol):
    """Examples ready for a model."""

    def __len__(self) -> int:
        """Return the number of examples."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Size of each example, shape (n,): those of like size go into one batch. Tokens of a text, pixels of a picture."""

    def batch(self, indices: Sequence[int] | NDArray[np.int64]) -> Mapping[str, NDArray[Any]]:
        """Return the model inputs of some examples by name, the batch first."""


class Encoder(Protocol):
    """Turns examples into what one model reads; made from that model's folder."""

    @classmethod
    def load(cls, model_folder: Path) -> Self:
        """Read what a model folder says of it; raises ArtifactError where it cannot be read."""

    def encode_examples(self, examples: Examples) -> Encoded:
        """Encode examples, in their order."""

    def pack(self, examples: Examples) -> Mapping[str, NDArray[Any]]:
        """Return the arrays from which `edgedistill/device/runner.py` makes the same inputs, without anything of this package.

        Texts: each input flat, and `offsets`, shape (rows + 1,). Pictures: `pixels`, uint8, shape (rows, height, width,
        channels), and what they are multiplied by (`scale`) and what is subtracted then (`shift`), shape (channels,).
        """

    def raw(self, examples: Examples) -> list[bytes]:
        """Return what an app would be given: of a text its UTF-8, of a picture a PNG file of its stored pixels."""

    def encode_raw(self, raw: Sequence[bytes]) -> Encoded:
        """Return the same from there on, as an app does it: texts are tokenized, picture files decoded, fitted and normalised."""
