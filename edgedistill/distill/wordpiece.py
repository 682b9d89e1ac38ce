"""Train a WordPiece vocabulary on texts, the same one in every process."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.trainers import BpeTrainer

_PREFIX = "##"
_INNER = 0xF0000
"""First of a block of private code points, which BertNormalizer removes from texts: they stand for inner characters."""


def learn_wordpieces(texts: Iterable[str], special_tokens: Sequence[str], *, size: int) -> tuple[str, ...]:
    """Learn a WordPiece vocabulary by merging the most frequent pairs (Sennrich et al. 2016, algorithm 1).

    The library's own WordPieceTrainer gives another vocabulary in every process: it numbers the pieces in the order of a
    randomised hash table, and those numbers decide between pairs of equal count. BpeTrainer sorts its characters
    first. So the characters inside of words are replaced by private ones, merged, and written back with "##".

    Args:
        texts: what the vocabulary is learned from; lower-cased as BERT does.
        special_tokens: they come first, in this order.
        size: tokens at most (more only if the texts have more different characters).

    Returns:
        the tokens in the order of their ids.
    """
    normalizer, splitter = BertNormalizer(), BertPreTokenizer()
    counts = Counter(
        word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))
    )
    inner = {char: chr(_INNER + i) for i, char in enumerate(sorted({char for word in counts for char in word[1:]}))}
    char_of = {code: char for char, code in inner.items()}
    learner = Tokenizer(BPE())
    learner.train_from_iterator(
        (word[0] + "".join(inner[char] for char in word[1:]) for word in counts.elements()),
        BpeTrainer(vocab_size=size, special_tokens=list(special_tokens), show_progress=False),
    )
    by_id = sorted(learner.get_vocab().items(), key=lambda item: item[1])
    return tuple(
        (_PREFIX if token[0] in char_of else "") + "".join(char_of.get(char, char) for char in token)
        for token, _ in by_id
    )
