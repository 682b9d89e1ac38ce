"""A vocabulary learned from texts: complete, ordered, and the same in every process."""

import subprocess
import sys
from collections.abc import Sequence

from tokenizers.normalizers import BertNormalizer

from edgedistill.distill.wordpiece import count_words, learn_pieces

SPECIAL = ("[PAD]", "[UNK]")
TEXTS = ["hug hug hug pug pun bun hugs", "Hügs! \U0001f600x\U0001f600"]


def learned(texts: Sequence[str], *, size: int) -> tuple[str, ...]:
    """Learn from texts that are lower-cased and without accents."""
    return learn_pieces(count_words(texts, normalizer=BertNormalizer()), SPECIAL, size=size)


def test_learn_pieces_starts_with_the_special_tokens_and_all_characters() -> None:
    tokens = learned(TEXTS, size=18)
    assert tokens[:2] == SPECIAL
    assert set(tokens[2:]) >= {"h", "p", "b", "!", "\U0001f600", "##u", "##g", "##n", "##s", "##x", "##\U0001f600"}


def test_learn_pieces_merges_the_most_frequent_pairs_first() -> None:
    # u-g stands in 5 words (hug, hug, hug, pug, hugs), then h-ug in 4, then u-n in 2 (pun, bun)
    tokens = learned(TEXTS[:1], size=12)
    assert tokens[2:9] == ("b", "h", "p", "##g", "##n", "##s", "##u")
    assert tokens[9:] == ("##ug", "hug", "##un")


def test_learn_pieces_stops_at_the_size() -> None:
    assert len(learned(TEXTS, size=15)) == 15
    assert len(learned(TEXTS, size=1000)) < 40


def test_learn_pieces_in_other_processes_gives_the_same_vocabulary() -> None:
    # every pair of letters is equally frequent, so that ties decide
    texts = [f"{a}{b}{c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuvwx"]
    script = (
        "from edgedistill.distill.wordpiece import learn_pieces\n"
        f"print(learn_pieces(dict.fromkeys({texts!r}, 1), {SPECIAL!r}, size=120))"
    )
    here = str(learned(texts, size=120))
    for _ in range(2):
        there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
        assert there.stdout.strip() == here


def test_learn_pieces_of_more_characters_than_the_size_leaves_out_the_rarest_and_their_words() -> None:
    # b 3, d 2, ##a 3, ##o 2, and once each x and ##y
    tokens = learned(["ba ba ba do do xy"], size=6)
    assert set(tokens[2:]) == {"b", "d", "##a", "##o"}
    assert learned(["ba ba ba do do xy"], size=7)[-1] in {"x", "ba"}
