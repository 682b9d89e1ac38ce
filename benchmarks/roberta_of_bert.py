"""A teacher of another family, made offline: a BERT's layers in a RoBERTa with a byte-level tokenizer of its own.

RoBERTa's layers are BERT's (Liu et al. 2019, section 3.1), so that they take its weights as they are. Its tokens are other ones:
a byte-pair vocabulary is learned from the training texts, and each token starts at the mean of the BERT's embeddings of the
pieces that it is written with. Fine-tuning does the rest. Such a teacher cannot be cut, and its student has a vocabulary of its
own, as with any RoBERTa; how good it is stands in its row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgedistill.document import Document
from edgedistill.stage import Outcome, Stage

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
_PAD = 1
_FIRST_POSITION = _PAD + 1  # RoBERTa counts positions from the padding id


class RobertaSettings(Document):
    """How large its vocabulary is."""

    vocabulary: int = 8000


@dataclass(frozen=True)
class RobertaInputs:
    """The folder of a BERT, and the examples whose texts the vocabulary is learned from."""

    model: Path
    train: Path


def _run(settings: RobertaSettings, inputs: RobertaInputs, out: Path) -> Outcome:
    from transformers import AutoModel, AutoTokenizer

    from edgedistill.examples import read_examples

    bert = AutoModel.from_pretrained(inputs.model, local_files_only=True)
    tokenizer = learn_tokenizer(read_examples(inputs.train).texts, size=settings.vocabulary)
    tokenizer.save_pretrained(out)
    pieces = AutoTokenizer.from_pretrained(inputs.model, local_files_only=True)
    texts = [tokenizer.decode([token]).strip() for token in range(len(tokenizer))]
    roberta_of(bert, [pieces(text, add_special_tokens=False)["input_ids"] for text in texts]).save_pretrained(
        out, safe_serialization=True
    )
    return Outcome()


def learn_tokenizer(texts: Sequence[str], *, size: int) -> Any:
    """Return a fast tokenizer of transformers with a lower-case byte-pair vocabulary of at most `size` tokens."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=list(_SPECIAL), show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    start, pad, end, unknown, mask = _SPECIAL
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=start, cls_token=start, eos_token=end, sep_token=end,
                                   pad_token=pad, unk_token=unknown, mask_token=mask)


def roberta_of(bert: Any, pieces: Sequence[Sequence[int]]) -> Any:
    """Return a RoBERTa with the layers of a BERT.

    Args:
        bert: with absolute positions.
        pieces: for each of the n tokens of the RoBERTa the BERT's tokens that it is written with; none: it starts at the
            mean of all embeddings.
    """
    import torch
    from transformers import RobertaConfig, RobertaModel

    old = bert.config
    same = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "layer_norm_eps",
            "hidden_dropout_prob", "attention_probs_dropout_prob")
    model = RobertaModel(RobertaConfig(
        vocab_size=len(pieces), max_position_embeddings=old.max_position_embeddings + _FIRST_POSITION, type_vocab_size=1,
        pad_token_id=_PAD, bos_token_id=0, eos_token_id=2, **{name: getattr(old, name) for name in same},
    ), add_pooling_layer=False)
    model.encoder.load_state_dict(bert.encoder.state_dict())
    mine, theirs = model.embeddings, bert.embeddings
    mine.LayerNorm.load_state_dict(theirs.LayerNorm.state_dict())
    words = theirs.word_embeddings.weight
    with torch.no_grad():
        mine.token_type_embeddings.weight.copy_(theirs.token_type_embeddings.weight[:1])
        mine.position_embeddings.weight[_FIRST_POSITION:] = theirs.position_embeddings.weight
        for token, of_token in enumerate(pieces):
            mine.word_embeddings.weight[token] = words[list(of_token)].mean(0) if of_token else words.mean(0)
    return model


ROBERTA = Stage(name="roberta", version=1, run=_run, tools=("torch", "transformers", "tokenizers"))
