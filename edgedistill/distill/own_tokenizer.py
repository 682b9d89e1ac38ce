"""A WordPiece tokenizer of the student's own, for a teacher whose tokens cannot be reduced; it reads texts as that one does.

Its parts are those of BERT's tokenizers, so that the bundle can put it into the graph (`edgedistill.package.bert_rules`).
WordPiece makes a word with a character that it does not know one [UNK], and so a word of more than 100 characters.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tokenizers import Regex, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, PreTokenizer, Sequence, Split
from tokenizers.processors import TemplateProcessing

from edgedistill.distill.vocabulary import with_other_name
from edgedistill.distill.wordpiece import count_words, learn_pieces
from edgedistill.tasks.text_classification.encoding import SPECIAL_TOKENS, TextEncoder
from edgedistill.teach.units import UNSPACED, is_unspaced

_LONGEST_WORD = 100
"""Of WordPiece, and of the operator in the graph."""

_MANY = 0.01
"""From this share of the characters on it is worth the graph that runs of scripts without spaces are split."""

MANY_UNKNOWN = 0.01
"""Above this share of [UNK] among its tokens a student is warned of."""

_RUN = f"[{UNSPACED}]{{1,50}}\\p{{M}}*"
"""A part of a run: no more than that, and not ending before a mark."""

_MOSTLY = 0.5
_FRAME = 2
"""[CLS] and [SEP] of each text."""


@dataclass(frozen=True)
class Reading:
    """How a text becomes words.

    Attributes:
        lowers: are capitals made small?
        strips_accents: are letters taken apart and nonspacing marks left out? Hangul becomes its single letters.
        splits_runs: are scripts without spaces set apart and split after 50 characters?
    """

    lowers: bool
    strips_accents: bool
    splits_runs: bool

    @property
    def normalizer(self) -> BertNormalizer:
        """What comes before the splitting."""
        return BertNormalizer(lowercase=self.lowers, strip_accents=self.strips_accents)

    @property
    def splitter(self) -> PreTokenizer:
        """What makes words of it."""
        if not self.splits_runs:
            return BertPreTokenizer()
        return Sequence([BertPreTokenizer(), Split(Regex(_RUN), "isolated")])


@dataclass(frozen=True)
class OwnTokenizer:
    """A tokenizer: the text of tokenizer.json, its tokens in the order of their ids, and how it was made, as a sentence."""

    json: str
    tokens: tuple[str, ...]
    note: str


def reading_for(teacher: Tokenizer, words: Mapping[str, int]) -> Reading:
    """Choose how the student reads texts: capitals and accents as the teacher does, whole words as far as can be.

    Where most of the texts is Hangul, accents are stripped whatever the teacher does: Korean has none, and its some
    thousand syllables become 67 letters, so that no syllable is unknown.

    Args:
        teacher: its tokenizer.
        words: the words of the texts as they are written, and how often they stand there.
    """
    letters = max(1, sum(len(word) * n for word, n in words.items()))
    hangul = sum(sum("\uac00" <= char <= "\ud7a3" for char in word) * n for word, n in words.items())
    long = sum(len(word) * n for word, n in words.items()
               if len(word) > _LONGEST_WORD and sum(map(is_unspaced, word)) > _MOSTLY * len(word))
    return Reading(lowers="a" in _normalized(teacher, "A"), splits_runs=long > _MANY * letters,
                   strips_accents=_strips_accents(teacher) or hangul > _MOSTLY * letters)


def _normalized(teacher: Tokenizer, text: str) -> str:
    return str(teacher.normalizer.normalize_str(text)) if teacher.normalizer is not None else text


def _strips_accents(teacher: Tokenizer) -> bool:
    """Does "é" become "e"? A tokenizer that reads bytes has neither in its place."""
    found = unicodedata.normalize("NFD", _normalized(teacher, "\u00e9")).lower()
    return "e" in found and not any(map(unicodedata.combining, found))


def train_wordpiece(
    texts: Iterable[str], teacher: Tokenizer, *, mask: str | None, size: int, max_tokens: int
) -> OwnTokenizer:
    """Train a WordPiece vocabulary on texts and make a tokenizer of it.

    Args:
        texts: training and transfer texts. They hold the teacher's mask token: no pieces are learned of it, and the
            student reads it as its own.
        teacher: its tokenizer.
        mask: how it writes its mask token; None where it has none.
        size: tokens at most; the rarest characters stay unknown where there are more.
        max_tokens: texts are cut after so many.
    """
    plain = (text.replace(mask, " ") if mask else text for text in texts)
    written = count_words(plain, normalizer=BertNormalizer(lowercase=False, strip_accents=False))
    reading = reading_for(teacher, written)
    normalizer, splitter = reading.normalizer, reading.splitter
    words: Counter[str] = Counter()
    for word, uses in written.items():
        for part, _ in splitter.pre_tokenize_str(normalizer.normalize_str(word)):
            words[part] += uses
    tokens = learn_pieces(words, SPECIAL_TOKENS, size=size)
    json = _tokenizer(reading, tokens, max_tokens=max_tokens).to_str()
    if mask is not None and mask not in SPECIAL_TOKENS:
        json = with_other_name(json, "[MASK]", mask)
    return OwnTokenizer(json, tokens, f"trained a WordPiece vocabulary of {len(tokens)} on the texts, as the teacher's "
                        f"tokenizer is no WordPiece; {_told(reading)}")


def _tokenizer(reading: Reading, tokens: tuple[str, ...], *, max_tokens: int) -> Tokenizer:
    vocabulary = {token: index for index, token in enumerate(tokens)}
    model = WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=_LONGEST_WORD)  # noqa: S106 - no secret
    tokenizer = Tokenizer(model)
    tokenizer.normalizer, tokenizer.pre_tokenizer = reading.normalizer, reading.splitter
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    cls_id, sep_id = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", cls_id), ("[SEP]", sep_id)]
    )
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _told(reading: Reading) -> str:
    capitals = "makes capitals small" if reading.lowers else "keeps capitals"
    accents = "strips accents" if reading.strips_accents else "keeps accents and other marks"
    runs = ("; runs of more than 50 characters without spaces are split, which a graph that takes raw text cannot do"
            if reading.splits_runs else "")
    return f"it {capitals} and {accents}{runs}"


def unknown_share(encoder: TextEncoder, batches: Iterable[list[str]]) -> float:
    """Return the share of [UNK] among the tokens of texts, their frame not counted; 0 of no text.

    Args:
        encoder: a student's tokenizer.
        batches: texts.
    """
    unknown, tokens, index = 0, 0, encoder.tokenizer.token_to_id("[UNK]")
    for texts in batches:
        encoded = encoder.encode(texts)
        unknown += int((encoded.ids == index).sum())
        tokens += len(encoded.ids) - _FRAME * len(texts)
    return unknown / max(1, tokens)
