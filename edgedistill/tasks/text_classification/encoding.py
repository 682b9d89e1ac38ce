"""Texts to token ids, by the `tokenizer.json` of a model folder. One encoder for torch, ONNX and the bundle."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from edgedistill.errors import ArtifactError
from edgedistill.examples import Examples

TOKENIZER_FILE = "tokenizer.json"
_TEXTS_AT_ONCE, _CHARACTERS_AT_ONCE = 10_000, 5_000_000
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""Of a WordPiece, in the order of a student's ids."""


def portions(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield lists of up to 10,000 texts, which end with the text that makes them 5 million characters long.

    `tokenizers` holds what it cut off of every text of a list until all are done: some 25 bytes a character.
    """
    some: list[str] = []
    characters = 0
    for text in texts:
        some.append(text)
        characters += len(text)
        if len(some) == _TEXTS_AT_ONCE or characters >= _CHARACTERS_AT_ONCE:
            yield some
            some, characters = [], 0
    if some:
        yield some


def is_wordpiece(tokenizer_json: str) -> bool:
    """Can the tokens of this tokenizer.json be aliased? WordPiece yes; merges of BPE work on pairs of ids, so no.

    Nor a WordPiece that frames texts by other tokens, as MPNet's does, whose vocabulary has BERT's special tokens all the same.
    """
    content = json.loads(tokenizer_json)
    model, added = content["model"], {token["content"] for token in content.get("added_tokens") or ()}
    return bool(model.get("type") == "WordPiece" and all(token in model["vocab"] for token in SPECIAL_TOKENS)
                and ("[MASK]" in added or "<mask>" not in added))


@dataclass(frozen=True)
class EncodedTexts:
    """Token ids of n texts, stored flat.

    Attributes:
        ids: shape (total tokens,), int32.
        offsets: shape (n + 1,), int64; text i is `ids[offsets[i]:offsets[i + 1]]`.
        pad_id: what shorter texts of a batch are filled with.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    pad_id: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, special tokens counted; shape (n,)."""
        return np.diff(self.offsets)

    def batch(self, indices: Sequence[int] | NDArray[np.int64]) -> Mapping[str, NDArray[np.int64]]:
        """Return the model inputs of some texts, padded to the longest of them.

        Returns:
            `input_ids`, `attention_mask` and `token_type_ids`, each shape (batch, longest), int64.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        lengths = self.offsets[chosen + 1] - self.offsets[chosen]
        columns = np.arange(int(lengths.max()) if len(chosen) else 0)
        mask = columns[None, :] < lengths[:, None]
        source = np.where(mask, self.offsets[chosen][:, None] + columns[None, :], 0)
        input_ids = np.where(mask, self.ids[source], self.pad_id).astype(np.int64)
        return {
            "input_ids": input_ids,
            "attention_mask": mask.astype(np.int64),
            "token_type_ids": np.zeros_like(input_ids),
        }


@dataclass(frozen=True)
class TextEncoder:
    """A tokenizer with truncation as the model folder says."""

    tokenizer: Tokenizer
    pad_id: int

    @classmethod
    def load(cls, model_folder: Path, *, max_tokens: int | None = None) -> "TextEncoder":
        """Read `tokenizer.json` of a model folder.

        Args:
            model_folder: a folder that edgedistill or transformers wrote.
            max_tokens: cut texts after so many tokens; None keeps what tokenizer.json says.

        Raises:
            ArtifactError: there is no readable tokenizer.json.
        """
        path = model_folder / TOKENIZER_FILE
        if not path.is_file():
            raise ArtifactError(f"{path}: no such file", hint="name a folder that holds a model and its tokenizer.json")
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as bad:  # the tokenizers library raises plain Exception
            raise ArtifactError(f"{path}: not a tokenizer ({bad})", hint="make the model folder again") from bad
        padding = tokenizer.padding
        pad_id = int(padding["pad_id"]) if padding else tokenizer.token_to_id("[PAD]")
        if pad_id is None:
            pad_id = tokenizer.token_to_id("<pad>") or 0
        tokenizer.no_padding()
        if max_tokens is not None:
            tokenizer.enable_truncation(max_tokens)
        return cls(tokenizer, pad_id)

    def encode_examples(self, examples: Examples) -> EncodedTexts:
        """Encode the texts of examples; special tokens are added."""
        return self.encode(text for batch in examples.text_batches() for text in batch)

    def pack(self, examples: Examples) -> Mapping[str, NDArray[Any]]:
        """Return each input flat, shape (total tokens,), and the `offsets` of the texts; no padding."""
        encoded = self.encode_examples(examples)
        return {"input_ids": encoded.ids, "attention_mask": np.ones_like(encoded.ids),
                "token_type_ids": np.zeros_like(encoded.ids), "offsets": encoded.offsets}

    def raw(self, examples: Examples) -> list[bytes]:
        """Return the texts of examples as UTF-8."""
        return [text.encode() for text in examples.texts]

    def encode_raw(self, raw: Sequence[bytes]) -> EncodedTexts:
        """Tokenize texts in UTF-8."""
        return self.encode(text.decode() for text in raw)

    def encode(self, texts: Iterable[str]) -> EncodedTexts:
        """Encode texts; special tokens are added. What the tokenizer holds of a text besides its ids is let go piece by piece."""
        ids, lengths = [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        for some in portions(texts):
            found = [np.asarray(encoding.ids, np.int32) for encoding in self.tokenizer.encode_batch_fast(some)]
            ids += found
            lengths.append(np.fromiter(map(len, found), np.int64, len(found)))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(lengths))])
        return EncodedTexts(np.concatenate(ids), offsets, self.pad_id)
