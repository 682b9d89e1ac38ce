"""What a teacher does not read of the texts: how many it cuts, and where; how many tokens would hold them; unknown tokens."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from edgedistill.manifest import Decision
from edgedistill.tasks.text_classification.encoding import TextEncoder, portions
from edgedistill.tasks.text_classification.unread import MUCH_UNREAD, Unread
from edgedistill.teach.units import unspaced_characters

MOST_TOKENS = 512
"""What a recipe can ask for at most."""

_SIZES = (64, 128, 256, MOST_TOKENS)
_HELD = 0.95
_FEW = 0.01
"""Below this share of the texts, that some are cut is not told; nor taken into account, where it is below this share of the
characters too."""

_MANY_UNREAD = 0.1
_SAMPLE_TEXTS = 2_000
_TOKENS_PER_WORD = 1.4
_SPECIAL_TOKENS = 2


def sampled_rows(count: int) -> NDArray[np.int64]:
    """Return the numbers of up to 2,000 of `count` texts, evenly spaced: enough to say how long they are."""
    return np.arange(0, count, max(1, -(-count // _SAMPLE_TEXTS)))


def estimated_lengths(texts: Sequence[str]) -> NDArray[np.int64]:
    """Return about how many tokens texts have, shape (n,), without a tokenizer: 1.4 a word, and 2 special ones.

    In scripts without spaces each character counts as a token.
    """
    unspaced = [unspaced_characters(text) for text in texts]
    counts = [round(len(text.split()) * _TOKENS_PER_WORD) + more for text, more in zip(texts, unspaced, strict=True)]
    return np.array(counts, np.int64) + _SPECIAL_TOKENS


def whole_lengths(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.int64]:
    """Return how many tokens texts have to their ends, special ones counted, shape (n,)."""
    whole = Tokenizer.from_str(tokenizer.to_str())
    whole.no_truncation()
    return np.array([len(encoding.ids) for some in portions(texts) for encoding in whole.encode_batch_fast(some)], np.int64)


def tokens_that_hold(lengths: NDArray[np.int64], *, most: int = MOST_TOKENS, above: int = 0) -> int:
    """Return the smallest of 64, 128, 256 and 512 tokens in which 95 % of the texts fit; `most` where none of them will do.

    Args:
        lengths: tokens of each text, shape (n,), n >= 1.
        most: what the teacher reads at most.
        above: what is too few already.
    """
    return next((size for size in _SIZES if above < size < most and share_within(lengths, size) >= _HELD), most)


def share_within(lengths: NDArray[np.int64], tokens: int) -> float:
    """Return the share of the texts, 0 to 1, that have no more than so many tokens."""
    return float((lengths <= tokens).mean())


def cut_decision(lengths: NDArray[np.int64], *, max_tokens: int, most: int) -> Decision | None:
    """Say that texts are cut, and what to type; None where it happens to fewer than 1 % of them.

    Args:
        lengths: tokens of each text to its end, shape (n,), n >= 1.
        max_tokens: the recipe's.
        most: what the teacher reads at most, and a recipe can ask for.
    """
    cut = 1 - share_within(lengths, max_tokens)
    if cut < _FEW:
        return None
    what = f"{cut:.0%} of the training texts are longer than {max_tokens} tokens and are cut"
    if max_tokens >= most:
        return Decision(step="teach", what=what, why=f"this teacher reads no more than {most}, or a recipe cannot ask for more")
    more = tokens_that_hold(lengths, most=most, above=max_tokens)
    return Decision(
        step="teach", what=what,
        why=f"so says teacher.max_tokens; {more} would hold {share_within(lengths, more):.0%} of them whole, and take longer to "
            f"train and to answer: --set teacher.max_tokens={more}",
    )


def cut_by_student_decision(
    student: NDArray[np.int64], teacher: NDArray[np.int64], *, max_tokens: int, most: int
) -> Decision | None:
    """Say that a student with a vocabulary of its own cuts texts that its teacher reads whole; None below 1 % of the texts.

    Args:
        student: tokens that each text has for it, to the text's end, shape (n,), n >= 1.
        teacher: those that it has for the teacher, shape (n,).
        max_tokens: the recipe's, which both keep to.
        most: what the teacher reads at most, and a recipe can ask for.
    """
    is_whole = teacher <= max_tokens
    cut = float((is_whole & (student > max_tokens)).mean())
    if cut < _FEW:
        return None
    why = "its vocabulary is smaller than the teacher's and splits words into more tokens: a rung with a larger one cuts fewer"
    if max_tokens < most:
        more = tokens_that_hold(student[is_whole], most=most, above=max_tokens)
        why += f"; or --set teacher.max_tokens={more}, which takes longer to train and to answer"
    return Decision(step="distill", why=why, what=f"the student cuts {cut:.0%} of the training texts after {max_tokens} tokens "
                    "that its teacher reads whole, and never sees their ends")


def unread_decision(unread: Unread) -> tuple[Decision, ...]:
    """Say how much of the training texts is not read; nothing below 1 % of their tokens, in less than a tenth of the texts."""
    if unread.tokens < MUCH_UNREAD and unread.texts < _MANY_UNREAD:
        return ()
    return (Decision(
        step="teach",
        what=f"the teacher's tokenizer cannot read {unread.tokens:.1%} of the tokens of the training texts; {unread.texts:.0%} "
             "of the texts hold one",
        why="a word with a character that its vocabulary lacks, as another script's or an emoji's may be, becomes one unknown "
            "token, and what it says is lost to teacher and student: a teacher of the texts' language reads more",
    ),)


def ends_of_reading(encoder: TextEncoder, texts: Sequence[str]) -> dict[int, int]:
    """Return behind which character reading ends, by the number of the text, of texts that the encoder cuts.

    None are named where it cuts fewer than 1 % of the texts and leaves fewer than 1 % of all characters unread.

    Args:
        encoder: with the teacher's truncation.
        texts: n texts.
    """
    truncation = encoder.tokenizer.truncation
    if truncation is None or not texts:
        return {}
    full = np.flatnonzero(encoder.encode(texts).lengths >= truncation["max_length"]).tolist()
    ends: dict[int, int] = {}
    found = (encoding for some in portions(texts[i] for i in full) for encoding in encoder.tokenizer.encode_batch(some))
    for number, encoding in zip(full, found, strict=True):
        if encoding.overflowing:
            ends[number] = max(end for _, end in encoding.offsets)
    unread = sum(len(texts[number]) - end for number, end in ends.items())
    is_much = len(ends) >= _FEW * len(texts) or unread >= _FEW * sum(map(len, texts))
    return ends if is_much else {}
