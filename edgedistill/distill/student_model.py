"""Make the student: its tokenizer and its first weights, out of a teacher's folder."""

import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertConfig, BertForSequenceClassification, PreTrainedModel

from edgedistill.batch_parts import parts_of
from edgedistill.distill.cut import can_be_cut, find_rotation, narrow, prune, record
from edgedistill.distill.head_size import resize_heads, student_heads
from edgedistill.distill.importance import measure_importance
from edgedistill.distill.own_tokenizer import train_wordpiece
from edgedistill.distill.vocabulary import StudentVocabulary, choose_vocabulary, placeholders_of, student_tokenizer_json
from edgedistill.low_rank import RANK_KEY
from edgedistill.problem_type import SEVERAL_LABELS, problem_of
from edgedistill.recipe import Student
from edgedistill.shape import StudentShape
from edgedistill.tasks.text_classification.encoding import SPECIAL_TOKENS, EncodedTexts, TextEncoder, is_wordpiece
from edgedistill.teach.teacher_model import mask_token_of

log = logging.getLogger("edgedistill")

_SAMPLE_TEXTS = 1000
_SAMPLE_TOKENS = 30_000
"""A cut records the residual of every LayerNorm on the sample: without a limit, long texts would fill the memory."""
_SAMPLE_BATCH = 32


@dataclass(frozen=True)
class StudentTokenizer:
    """The student's tokenizer.

    Attributes:
        json: the text of tokenizer.json.
        tokens: the student's tokens, in the order of its embedding's rows; the special ones first.
        vocabulary: which of the teacher's tokens these are; None when the vocabulary is the student's own.
        note: how it was made, as a sentence.
        uses: how often the texts use each token, shape (size,); None when the vocabulary is the student's own.
    """

    json: str
    tokens: tuple[str, ...]
    vocabulary: StudentVocabulary | None
    note: str
    uses: NDArray[np.int64] | None = None

    @property
    def kept_tokens(self) -> NDArray[np.int64] | None:
        """Teacher ids of the student's tokens, shape (size,); None when the vocabulary is the student's own."""
        return None if self.vocabulary is None else self.vocabulary.kept

    @property
    def size(self) -> int:
        """Rows of the embedding."""
        return len(self.tokens)


def make_tokenizer(
    teacher: TextEncoder, token_vectors: NDArray[np.float16], texts: Iterator[list[str]], *, size: int, aliases: str
) -> StudentTokenizer:
    """Make the student's tokenizer from the teacher's, or anew where the teacher's cannot be reduced.

    Args:
        teacher: the teacher's tokenizer.
        token_vectors: what it makes of each of its tokens, shape (vocabulary, any); see `teach`.
        texts: training and transfer texts, in lists.
        size: tokens the student knows.
        aliases: where the others go; see the recipe's `student.aliases`.
    """
    source = teacher.tokenizer.to_str()
    if not is_wordpiece(source):
        own = train_wordpiece((text for batch in texts for text in batch), teacher.tokenizer, size=size,
                              mask=mask_token_of(teacher.tokenizer), max_tokens=_max_tokens(source))
        is_default = aliases == Student.model_fields["aliases"].default
        ignored = "" if is_default else f"; student.aliases: {aliases} has no meaning for it"
        return StudentTokenizer(own.json, own.tokens, None, own.note + ignored)
    counts = np.zeros(len(token_vectors), np.int64)
    for batch in texts:
        ids = teacher.encode(batch).ids
        counts += np.bincount(ids, minlength=len(counts))
    special = tuple(teacher.tokenizer.token_to_id(token) for token in SPECIAL_TOKENS)
    views = {"contextual": token_vectors, "input": token_vectors[:, : token_vectors.shape[1] // 3], "none": None}
    known = [teacher.tokenizer.id_to_token(index) for index in range(len(counts))]
    chosen = choose_vocabulary(counts, views[aliases], special, size=size, placeholders=placeholders_of(known))
    fate = "become [UNK]" if aliases == "none" else "carry the id of their nearest kept neighbour"
    return StudentTokenizer(
        student_tokenizer_json(source, chosen),
        tuple(teacher.tokenizer.id_to_token(int(index)) for index in chosen.kept),
        chosen,
        f"kept {len(chosen.kept)} of the teacher's {len(counts)} tokens, which make up "
        f"{counts[chosen.kept].sum() / max(1, counts.sum()):.1%} of the texts; the {chosen.left_out} others {fate}",
        counts[chosen.kept],
    )


def _max_tokens(tokenizer_json: str) -> int:
    return int((json.loads(tokenizer_json).get("truncation") or {}).get("max_length", 64))


def student_config(
    shape: StudentShape, labels: Sequence[str], *, vocabulary: int, positions: int, teacher: PreTrainedModel | None
) -> BertConfig:
    """Return the configuration of a stock BERT classifier of this shape."""
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=shape.hidden, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, intermediate_size=shape.intermediate, max_position_embeddings=positions,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, pad_token_id=0,
        id2label=dict(enumerate(labels)), label2id={name: i for i, name in enumerate(labels)},
    )
    if teacher is not None and problem_of(teacher.config) == SEVERAL_LABELS:
        config.problem_type = SEVERAL_LABELS
    if teacher is not None and can_be_cut(teacher.config, shape):
        config.num_attention_heads = student_heads(teacher.config, shape)
        config.hidden_act = teacher.config.hidden_act
        config.layer_norm_eps = teacher.config.layer_norm_eps
    if shape.embedding_rank is not None:
        setattr(config, RANK_KEY, shape.embedding_rank)
    return config


def random_range(width: int) -> float:
    """Return the standard deviation of random first weights of layers: 1 / sqrt(width).

    A product of a LayerNorm's output with them then has the variance of that output. BERT's own 0.02 is of a width of 768, and
    leaves narrow layers nearly without an output: they take most of a short training to begin to learn.

    Source: LeCun, Bottou, Orr and Mueller 1998, "Efficient BackProp", section 4.6, equation 16; measured in docs/adr/0023.
    """
    return 1 / math.sqrt(width)


def cut_student(
    teacher: BertForSequenceClassification,
    config: BertConfig,
    shape: StudentShape,
    kept_tokens: NDArray[np.int64],
    sample: EncodedTexts,
    *,
    seed: int,
) -> BertForSequenceClassification:
    """Cut the student out of the teacher; see `edgedistill.distill.cut`.

    Args:
        teacher: a BERT classifier for which `can_be_cut` holds.
        config: the student's configuration.
        shape: its shape.
        kept_tokens: teacher ids of its tokens.
        sample: training texts in the teacher's tokens, on which importance and LayerNorms are measured; evenly
            thinned where they are more than 30,000 tokens.
        seed: of the drawn labels and of the rotation's mix.
    """
    used = np.arange(0, len(sample), max(1, -(-len(sample.ids) // _SAMPLE_TOKENS)))
    order = used[np.argsort(sample.lengths[used], kind="stable")]
    batches = [
        {name: torch.from_numpy(values) for name, values in sample.batch(order[i : i + _SAMPLE_BATCH]).items()}
        for i in range(0, len(order), _SAMPLE_BATCH)
    ]
    importance = measure_importance(teacher, batches, seed=seed)
    pruned = prune(teacher, importance, shape)
    batches = [dict(part) for batch in batches for part in parts_of(batch)]  # what follows adds up over rows
    size = shape.hidden // config.num_attention_heads
    if size != teacher.config.hidden_size // teacher.config.num_attention_heads:
        resize_heads(pruned, batches, size=size, seed=seed)
    records = record(pruned, batches)
    rotation = find_rotation(records, shape.hidden, seed=seed)
    return narrow(pruned, records, rotation, torch.from_numpy(kept_tokens), config)


def sample_texts(texts: Sequence[str], *, seed: int) -> list[str]:
    """Return up to 1,000 texts, drawn without replacement."""
    rng = np.random.default_rng(seed)
    return [texts[i] for i in np.sort(rng.permutation(len(texts))[:_SAMPLE_TEXTS])]


def write_student(model: PreTrainedModel, tokenizer_json: str, out: Path, *, max_tokens: int) -> None:
    """Write a model folder that loads in the ecosystem: config, weights, tokenizer files."""
    model.save_pretrained(out, safe_serialization=True)
    write_tokenizer(tokenizer_json, out, max_tokens=max_tokens)


def write_tokenizer(tokenizer_json: str, out: Path, *, max_tokens: int) -> None:
    """Write tokenizer.json as it is and the small files that transformers reads beside it."""
    (out / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "sep", "pad", "cls", "mask")}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": max_tokens,
                "clean_up_tokenization_spaces": False,
                "model_input_names": ["input_ids", "token_type_ids", "attention_mask"], **names}
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (out / "special_tokens_map.json").write_text(json.dumps(names, indent=2) + "\n", encoding="utf-8")
