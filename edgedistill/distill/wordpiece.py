"""Train a WordPiece vocabulary on texts, the same one in every process."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.trainers import BpeTrainer

_PREFIX = "##"
_INNER = 0xF0000
"""First of a block of private code points, which BertNormalizer removes from texts: they stand for inner characters."""


def count_words(texts: Iterable[str], *, normalizer: BertNormalizer) -> Counter[str]:
    """Return how often each word stands in texts; words are what BERT's pre-tokenizer makes of the normalized texts."""
    splitter = BertPreTokenizer()
    return Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))


def learn_pieces(words: Mapping[str, int], special_tokens: Sequence[str], *, size: int) -> tuple[str, ...]:
    """Learn a WordPiece vocabulary by merging the most frequent pairs (Sennrich et al. 2016, algorithm 1).

    The library's own WordPieceTrainer gives another vocabulary in every process: it numbers the pieces in the order of a
    randomised hash table, and those numbers decide between pairs of equal count. BpeTrainer sorts its characters
    first. So the characters inside of words are replaced by private ones, merged, and written back with "##".

    Args:
        words: how often each word is used.
        special_tokens: they come first, in this order.
        size: tokens at most. Where there are more different characters (at the start and inside of words count apart),
            the rarest are left out, and the words that hold them.

    Returns:
        the tokens in the order of their ids.
    """
    inner = {char: chr(_INNER + i) for i, char in enumerate(sorted({char for word in words for char in word[1:]}))}
    coded = _without_rarest(
        {word[0] + "".join(inner[char] for char in word[1:]): uses for word, uses in words.items()},
        room=size - len(special_tokens),
    )
    char_of = {code: char for char, code in inner.items()}
    learner = Tokenizer(BPE())
    learner.train_from_iterator(
        Counter(coded).elements(),
        BpeTrainer(vocab_size=size, special_tokens=list(special_tokens), show_progress=False),
    )
    by_id = sorted(learner.get_vocab().items(), key=lambda item: item[1])
    return tuple(
        (_PREFIX if token[0] in char_of else "") + "".join(char_of.get(char, char) for char in token)
        for token, _ in by_id
    )


def _without_rarest(words: Mapping[str, int], *, room: int) -> Mapping[str, int]:
    """Leave out words with other than the `room` most used characters; of equals the lower code point is kept."""
    uses: Counter[str] = Counter()
    for word, count in words.items():
        for char in word:
            uses[char] += count
    if len(uses) <= room:
        return words
    kept = set(sorted(uses, key=lambda char: (-uses[char], char))[:room])
    return {word: count for word, count in words.items() if kept.issuperset(word)}
