"""Adapter to transformers for the teacher: load, fine-tune, read its embeddings, label texts."""

import json
import logging
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel
from transformers.convert_slow_tokenizer import SLOW_TO_FAST_CONVERTERS

from edgedistill.errors import TeacherError
from edgedistill.heap import give_back_freed
from edgedistill.problem_type import ProblemType
from edgedistill.processes import current_group, share_of
from edgedistill.tasks.encoding import inputs_of
from edgedistill.tasks.text_classification.encoding import TOKENIZER_FILE, EncodedTexts, TextEncoder
from edgedistill.teach.classifier import ClassifierKind, load_with_head
from edgedistill.teach.sentence_vectors import VIEWS, TextAnswers
from edgedistill.teach.units import is_unspaced
from edgedistill.torch_setup import multiplies_bf16, quickest_attention, takes_bf16

log = logging.getLogger("edgedistill")

_TOKENS_A_BATCH = 1024

_BYTE_SPACE, _SPACE = "\u0120", "\u2581"
"""What the start of a word looks like in the tokens of byte-level BPE, and of SentencePiece."""


def load_classifier(
    folder: Path, labels: Sequence[str], *, is_trained: bool = False, problem: ProblemType | None = None
) -> PreTrainedModel:
    """Load a teacher with one output per label.

    Args:
        folder: a transformers model.
        labels: the class names, in the order of the outputs.
        is_trained: must all weights be there? If not, a head that is missing is new.
        problem: may a text have several labels? None: as the folder's config.json says.

    Raises:
        TeacherError: transformers cannot make a sequence classifier of it, or weights of a trained one are missing.
    """
    kind = ClassifierKind(
        AutoModelForSequenceClassification, "sequence classifier", "name an encoder or a sequence classifier of transformers",
        {"attn_implementation": quickest_attention()},
    )
    return load_with_head(kind, folder, labels, is_trained=is_trained, problem=problem)


def save_tokenizer(source: Path, out: Path, *, max_tokens: int) -> None:
    """Write the fast tokenizer of a model folder to another, with truncation inside tokenizer.json.

    Raises:
        TeacherError: there is no tokenizer that has a fast form.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=True, trust_remote_code=False, use_fast=True)
    except Exception as bad:  # a damaged file gives plain Exception, a missing one AttributeError or TypeError
        hint = "install what it asks for" if isinstance(bad, ImportError) else "put the tokenizer's files into the folder"
        raise TeacherError(f"{source}: no tokenizer ({bad})", hint=hint) from bad
    if not tokenizer.is_fast:
        name = type(tokenizer).__name__
        raise TeacherError(f"{source}: its tokenizer, a {name}, has no fast form (tokenizer.json)",
                           hint="convert it once with transformers' convert_slow_tokenizer" if name in SLOW_TO_FAST_CONVERTERS
                           else "name a teacher that has a tokenizer.json")
    tokenizer.model_max_length = max_tokens
    tokenizer.save_pretrained(out)
    inner = TextEncoder.load(out, max_tokens=max_tokens).tokenizer
    inner.save(str(out / TOKENIZER_FILE))


@dataclass(frozen=True)
class WordVectors:
    """Whole words of a tokenizer with their input embeddings.

    Attributes:
        words: n words.
        vectors: shape (n, width), float32.
        mask_token: the tokenizer's mask token, None when it has none.
    """

    words: tuple[str, ...]
    vectors: NDArray[np.float32]
    mask_token: str | None


def word_vectors(folder: Path) -> WordVectors:
    """Read the input embeddings of the tokens that stand for whole words."""
    encoder = TextEncoder.load(folder)
    vocabulary = encoder.tokenizer.get_vocab()
    chosen = {word: i for token, i in vocabulary.items() if (word := _whole_word(token, i, encoder.tokenizer))}
    words = tuple(sorted(chosen))
    matrix = input_embeddings(folder)
    return WordVectors(words, matrix[[chosen[word] for word in words]], mask_token_of(encoder.tokenizer))


def mask_token_of(tokenizer: Tokenizer) -> str | None:
    """Return how a teacher's tokenizer writes its mask token; None where it has none."""
    added = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    known = [token for token in ("[MASK]", "<mask>") if tokenizer.token_to_id(token) is not None]
    return next((token for token in known if token in added), known[0] if known else None)  # MPNet's vocabulary has BERT's too


def unspaced_word_vectors(folder: Path) -> WordVectors:
    """Read the input embeddings of the tokens in scripts that are written without spaces, single characters among them."""
    encoder = TextEncoder.load(folder)
    chosen: dict[str, int] = {}
    for token, index in sorted(encoder.tokenizer.get_vocab().items()):
        word = encoder.tokenizer.decode([index]).strip()
        if is_unspaced(word) and (word not in chosen or token == word):  # the form within a run before that at its start
            chosen[word] = index
    words = tuple(sorted(chosen))
    return WordVectors(words, input_embeddings(folder)[[chosen[word] for word in words]], None)


def input_embeddings(folder: Path) -> NDArray[np.float32]:
    """Return the teacher's input embedding matrix, shape (vocabulary, width), without building the model.

    Raises:
        TeacherError: the weights hold no such matrix.
    """
    size = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("vocab_size")
    with safe_open(folder / "model.safetensors", framework="pt") as weights:
        for name in weights.keys():  # noqa: SIM118 - safe_open is no mapping
            is_of_words = "embed" in name and "position" not in name and "token_type" not in name
            if is_of_words and weights.get_slice(name).get_shape()[:1] == [size]:
                return np.asarray(weights.get_tensor(name).float().numpy())
    raise TeacherError(f"{folder}: no embedding matrix of {size} rows in its weights", hint="choose another teacher")


def token_vectors(model: PreTrainedModel, encoder: TextEncoder) -> NDArray[np.float16]:
    """Return what the fine-tuned teacher makes of each of its tokens, alone between the special tokens.

    Three views side by side, each centred and of length 1: the input embedding, the last layer's output at the token, and
    that at the first position, which the classifier reads. By the first alone "dull" and "tense" are near; by the others
    they are not, if the task is about films. A view that is narrower than another (the embedding of ELECTRA-small) ends in zeros,
    which change no cosine.

    Returns:
        shape (vocabulary, 3 * width), width that of the widest view.
    """
    model.eval()
    table = model.get_input_embeddings().weight.detach()
    special = encoder.encode([""]).ids.tolist()  # [CLS] [SEP], or what this family has in their place
    place = min(1, len(special))
    at_token = at_first = table.new_empty((0, 0))
    with torch.inference_mode(), _autocast(model):
        for start in range(0, len(table), _TOKENS_A_BATCH):
            tokens = torch.arange(start, min(start + _TOKENS_A_BATCH, len(table)), device=table.device)
            columns = [tokens.new_full(tokens.shape, i) for i in special]
            ids = torch.stack([*columns[:place], tokens, *columns[place:]], dim=1)
            states = model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids))[0].float()
            if not start:
                at_token, at_first = (states.new_empty((len(table), states.shape[2])) for _ in range(2))
            at_token[tokens], at_first[tokens] = states[:, place], states[:, 0]  # copies: views would keep all states
    views = (table.float(), at_token, at_first)
    width = max(view.shape[1] for view in views)
    found = np.zeros((len(table), 3 * width), np.float16)
    for number, view in enumerate(views):
        unit = torch.nn.functional.normalize(view - view.mean(dim=0), dim=1)
        found[:, number * width : number * width + view.shape[1]] = unit.cpu().numpy().astype(np.float16)
    return found


def no_token_vectors() -> NDArray[np.float16]:
    """Return the vectors of no token, shape (0, 0), for a teacher whose tokens no student keeps."""
    return np.zeros((0, 0), np.float16)


def _autocast(model: PreTrainedModel) -> torch.autocast:
    kind = model.device.type
    is_half = multiplies_bf16(kind) and takes_bf16(model.config.model_type)
    return torch.autocast(kind, torch.bfloat16, enabled=is_half)


def _whole_word(token: str, index: int, tokenizer: Tokenizer) -> str | None:
    """Return the word a token stands for, None for pieces, special tokens and single characters."""
    if isinstance(tokenizer.model, WordPiece):
        word = token
    elif token[:1] == _SPACE:
        word = token[1:]
    elif token[:1] == _BYTE_SPACE:
        word = token[1:]
        if not word.isascii():  # its letters stand for bytes, of which only the decoder makes letters again
            word = tokenizer.decode([index]).strip() if tokenizer.decoder is not None else ""
    else:
        return None
    return word if len(word) > 1 and _is_of_letters(word) else None


def _is_of_letters(word: str) -> bool:
    """Is this a letter, and then letters and combining marks (vowel signs, tones, accents) only?"""
    return word.isalpha() or (word[0].isalpha() and all(unicodedata.category(char)[0] in "LM" for char in word))


@dataclass(frozen=True)
class SentenceStates:
    """The outputs of two layers that whole texts are read from, each float32, shape (batch, tokens, width)."""

    middle: torch.Tensor
    last: torch.Tensor


def sentence_states_of(hidden_states: Sequence[torch.Tensor]) -> SentenceStates:
    """Return the output of the layer halfway up, of one layer that one, and of the last.

    Args:
        hidden_states: of the embedding and of each layer, as transformers returns them.
    """
    return SentenceStates(hidden_states[len(hidden_states) // 2].float(), hidden_states[-1].float())


def sentence_vectors_of(states: SentenceStates, mask: torch.Tensor) -> torch.Tensor:
    """Return a text's views, shape (batch, VIEWS, width): the last state of its first token, and the means over its tokens.

    Args:
        states: of the texts.
        mask: 1 for real tokens, shape (batch, tokens).
    """
    real = mask.to(states.last.dtype).unsqueeze(-1)
    means = [(state * real).sum(1) / real.sum(1).clamp(min=1) for state in (states.last, states.middle)]
    return torch.stack([states.last[:, 0], *means], dim=1)


class Encodes(Protocol):
    """Turns texts into a teacher's ids."""

    def encode(self, texts: Sequence[str], /) -> EncodedTexts:
        """Return the ids of texts."""


def label_texts(
    model: PreTrainedModel, encoder: Encodes, batches: Iterator[list[str]], *, tokens_per_batch: int = 2048,
    on_texts: Callable[[int], None] = lambda count: None,
) -> Iterator[TextAnswers]:
    """Yield raw logits and vectors for each list of texts, in its order.

    Batches hold texts of like length, about `tokens_per_batch` tokens each. In a stage that several processes share, the
    batches are the same and are dealt out in turn; what the main process yields is whole. `on_texts` hears how many more
    texts are done, by all processes.
    """
    model.eval()
    group, turn = current_group(), 0
    names = inputs_of(model.forward)
    device = model.device
    autocast = _autocast(model)
    for texts in batches:
        encoded = encoder.encode(texts)
        order = np.argsort(encoded.lengths, kind="stable")
        logits = np.zeros((len(texts), model.config.num_labels), np.float32)
        vectors = np.zeros((len(texts), VIEWS, model.config.hidden_size), np.float32)
        start = 0
        while start < len(order):
            longest = max(1, int(encoded.lengths[order[min(start + 256, len(order)) - 1]]))
            rows = order[start : start + max(1, tokens_per_batch // longest)]
            start, turn = start + len(rows), turn + 1
            on_texts(len(rows))
            if not share_of(turn - 1, group):
                continue
            batch = {k: torch.from_numpy(v).to(device) for k, v in encoded.batch(rows).items()}
            with torch.inference_mode(), autocast:
                answer = model(**{k: v for k, v in batch.items() if k in names}, output_hidden_states=True)
            logits[rows] = answer.logits.float().cpu().numpy()
            states = sentence_states_of(answer.hidden_states)
            vectors[rows] = sentence_vectors_of(states, batch["attention_mask"]).cpu().numpy()
            give_back_freed(turn)
        if len(texts):
            yield TextAnswers(group.merge(logits), group.merge(vectors))
