"""The units of a text: words between spaces, and tokens where a script has none."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from edgedistill.teach.units import Unit, UnitSplitter, is_unspaced, join_units, split_at_spaces, unspaced_units


def wordpiece() -> Tokenizer:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"我今天手机的公园ก", "##น", "##ี", "iphone", "##s", "lamp", "."]
    tokenizer = Tokenizer(models.WordPiece({token: i for i, token in enumerate(tokens)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def unigram() -> Tokenizer:
    pieces = ("▁", "我们", "今天", "我", "ดี", "▁我们", "iPhone", "▁iPhone", "lamp", "▁lamp")
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), *((piece, -3.0) for piece in pieces)], unk_id=0))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    return tokenizer


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(["我们今天 lamp"] * 3, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False))
    return tokenizer


TOKENIZERS = {"WordPiece": wordpiece, "Unigram": unigram, "byte-level BPE": byte_level}


def split(tokenizer: Tokenizer, text: str) -> list[str]:
    return [unit.text for unit in UnitSplitter.of(tokenizer).split(text)]


@pytest.mark.parametrize(
    ("text", "units"),
    [("我今天", ["我", "今", "天"]), ("我 今天", ["我", "今", "天"]), ("iPhones手机的", ["iPhones", "手", "机", "的"]),
     ("(lamps), 我的公园手机lamp.", ["(lamps),", "我", "的", "公", "园", "手", "机", "lamp."]),
     ("find PlayStation公园手机, a song", ["find", "PlayStation公园手机,", "a", "song"]), ("公园。", ["公", "园", "。"]), ("lamps, Lamp.", ["lamps,", "Lamp."]),
     ("กน", ["ก", "น"]), ("กนี", ["ก", "นี"]), ("한국어 문장", ["한국어", "문장"]), ("", []), ("  ", [])],
)
def test_split_by_a_wordpiece_tokenizer(text: str, units: list[str]) -> None:
    assert split(wordpiece(), text) == units


@pytest.mark.parametrize(
    ("text", "units"),
    [("我们今天", ["我们", "今天"]), ("今天iPhone我", ["今天", "iPhone", "我"]), ("ดีดี", ["ดี", "ดี"]), ("lamp lamp", ["lamp", "lamp"])],
)
def test_split_by_a_sentencepiece_tokenizer_gives_its_pieces(text: str, units: list[str]) -> None:
    assert split(unigram(), text) == units


def test_split_by_a_byte_level_tokenizer_never_parts_the_bytes_of_a_character() -> None:
    assert split(byte_level(), "我们明天") in (["我们", "明", "天"], ["我", "们", "明", "天"])


def test_split_reads_a_text_to_its_end_where_the_tokenizer_cuts_it() -> None:
    tokenizer = wordpiece()
    tokenizer.enable_truncation(4)
    assert split(tokenizer, "我今天" * 20) == list("我今天" * 20)
    assert tokenizer.truncation["max_length"] == 4  # the teacher's own is left as it was


def test_split_says_which_units_touched_the_one_before() -> None:
    assert UnitSplitter.of(wordpiece()).split("lamp 我今 天") == (Unit("lamp"), Unit("我"), Unit("今", True), Unit("天"))


@pytest.mark.parametrize("make", TOKENIZERS.values(), ids=TOKENIZERS)
@settings(deadline=None)
@given(text=st.text(st.sampled_from("我今天们ดีกน้ี カナかな lamp.,?iPhone \t\u3000é\U00020000"), max_size=30))
def test_units_joined_again_are_the_text(make: Any, text: str) -> None:
    units = UnitSplitter.of(make()).split(text)
    assert join_units(units) == " ".join(text.split())
    assert all(unit.text and not unit.text.isspace() for unit in units)


@settings(deadline=None)
@given(text=st.text(max_size=40).filter(lambda text: not any(is_unspaced(char) for char in text)))
def test_units_of_other_scripts_are_what_stands_between_blanks(text: str) -> None:
    assert UnitSplitter.of(wordpiece()).split(text) == split_at_spaces(text)
    assert [unit.text for unit in split_at_spaces(text)] == text.split()


@pytest.mark.parametrize(("text", "expected"), [("我们", True), ("カナ", True), ("ดี", True), ("我a", False), ("", False), ("한", False), ("。", False)])
def test_is_unspaced(text: str, expected: bool) -> None:
    assert is_unspaced(text) is expected


def test_unspaced_units_are_distinct_and_sorted() -> None:
    splitter = UnitSplitter.of(wordpiece())
    assert unspaced_units([splitter.split("lamp 天我"), splitter.split("我。")]) == ["天", "我"]


@pytest.mark.parametrize(("text", "end", "units"), [
    ("turn  the lamp, on", 18, ["turn", "the", "lamp,", "on"]), ("turn  the lamp, on", 17, ["turn", "the", "lamp,"]),
    ("turn  the lamp, on", 14, ["turn", "the"]), ("a-b-c d", 3, ["a-b"]), ("lamp手 公园手机 lamp", 8, ["lamp", "手", "公", "园"]),
    ("aa aa a", 5, ["aa", "aa"]),
])
def test_split_until_when_reading_ends_then_the_units_that_end_before(text: str, end: int, units: list[str]) -> None:
    assert [unit.text for unit in UnitSplitter.of(wordpiece()).split_until(text, end)] == units


@pytest.mark.parametrize("text", ["lamp, on  and on", "我的 手机的公园", "(lamps), 我的公园手机lamp."])
def test_split_until_when_the_end_is_that_of_the_text_then_all_units(text: str) -> None:
    splitter = UnitSplitter.of(wordpiece())
    assert splitter.split_until(text, len(text)) == splitter.split(text)
