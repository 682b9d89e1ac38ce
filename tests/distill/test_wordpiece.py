"""A vocabulary learned from texts: complete, ordered, and the same in every process."""

import subprocess
import sys

from edgedistill.distill.wordpiece import learn_wordpieces

SPECIAL = ("[PAD]", "[UNK]")
TEXTS = ["hug hug hug pug pun bun hugs", "Hügs! \U0001f600x\U0001f600"]


def test_learn_wordpieces_starts_with_the_special_tokens_and_all_characters() -> None:
    tokens = learn_wordpieces(TEXTS, SPECIAL, size=18)
    assert tokens[:2] == SPECIAL
    assert set(tokens[2:]) >= {"h", "p", "b", "!", "\U0001f600", "##u", "##g", "##n", "##s", "##x", "##\U0001f600"}


def test_learn_wordpieces_merges_the_most_frequent_pairs_first() -> None:
    # u-g stands in 5 words (hug, hug, hug, pug, hugs), then h-ug in 4, then u-n in 2 (pun, bun)
    tokens = learn_wordpieces(TEXTS[:1], SPECIAL, size=12)
    assert tokens[2:9] == ("b", "h", "p", "##g", "##n", "##s", "##u")
    assert tokens[9:] == ("##ug", "hug", "##un")


def test_learn_wordpieces_stops_at_the_size() -> None:
    assert len(learn_wordpieces(TEXTS, SPECIAL, size=15)) == 15
    assert len(learn_wordpieces(TEXTS, SPECIAL, size=1000)) < 40


def test_learn_wordpieces_in_other_processes_gives_the_same_vocabulary() -> None:
    # every pair of letters is equally frequent, so that ties decide
    texts = [f"{a}{b}{c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuvwx"]
    script = (
        "from edgedistill.distill.wordpiece import learn_wordpieces\n"
        f"print(learn_wordpieces({texts!r}, {SPECIAL!r}, size=120))"
    )
    here = str(learn_wordpieces(texts, SPECIAL, size=120))
    for _ in range(2):
        there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
        assert there.stdout.strip() == here


def test_learn_wordpieces_of_more_characters_than_the_size_leaves_out_the_rarest_and_their_words() -> None:
    # b 3, d 2, ##a 3, ##o 2, and once each x and ##y
    tokens = learn_wordpieces(["ba ba ba do do xy"], SPECIAL, size=6)
    assert set(tokens[2:]) == {"b", "d", "##a", "##o"}
    assert learn_wordpieces(["ba ba ba do do xy"], SPECIAL, size=7)[-1] in {"x", "ba"}
