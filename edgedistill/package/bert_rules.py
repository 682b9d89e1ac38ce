"""What a BERT `tokenizer.json` does to a text, as tables: what becomes of each character, and the pieces with their ids.

Reading the tables off the tokenizer itself, one code point at a time, is exact because all that BERT's normalizer and
pre-tokenizer do is a map of code points: drop it, make it a space, stand alone, or become other characters. The order of
combining marks is the one exception (Unicode's canonical ordering): it comes with the stripping of accents alone, and it
cannot matter where no piece holds such a mark.
"""

import functools
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

CONTINUES = "##"
_SETTINGS = ("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
_SPLITTER = BertPreTokenizer()
_STRIPPED = BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
_SEPARATOR = "\ua66e"
"""A letter that no other code point turns into, and that BERT leaves alone: it parts the probes of one call."""

LONGEST_WORD = 100
"""The operator in the graph makes longer words, in characters, unknown, whatever tokenizer.json says."""

_PROBES_PER_CALL = 256
_ALONE_LENGTH = len(" x ")
_LONG_RANGE = 256
"""Neighbours that fare alike are told as a range from this many on; shorter runs go into the table one by one."""

_PROBED = (range(0xD800), range(0xE000, 0x40000), range(0xE0000, 0x110000))
"""All code points but surrogates and planes 4 to 13, in which no version of Unicode has assigned any."""


@dataclass(frozen=True)
class CharacterRules:
    """What becomes of each code point on its way into words.

    Attributes:
        image: text by character; spaces part words. A character that is in neither table is in no piece.
        dropped: ranges of code points that vanish, beyond those in `image`; first and last.
        alone: ranges of code points that are words of their own, beyond those in `image`; first and last.
    """

    image: Mapping[str, str]
    dropped: tuple[tuple[int, int], ...]
    alone: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class BertRules:
    """A BERT tokenizer as tables.

    Attributes:
        characters: how text becomes words.
        starts: pieces that a word can start with, and their ids; special tokens are among them.
        inner: pieces that stand inside a word, without "##", and their ids.
        specials: tokens that are found in raw text, as they are written.
        unknown: the unknown token.
        unknown_id: its id.
        first_id: id that every answer starts with.
        last_id: id that every answer ends with.
        max_tokens: texts are cut after so many ids, `first_id` and `last_id` counted.
        max_word: a longer word, in characters, is unknown.
    """

    characters: CharacterRules
    starts: Mapping[str, int]
    inner: Mapping[str, int]
    specials: tuple[str, ...]
    unknown: str
    unknown_id: int
    first_id: int
    last_id: int
    max_tokens: int
    max_word: int


def bert_problem(tokenizer_json: str) -> str | None:
    """Say why a tokenizer.json is not one that `bert_rules` can read, or None for one that is."""
    content = json.loads(tokenizer_json)
    kinds = {name: (content.get(name) or {}).get("type") for name in ("normalizer", "pre_tokenizer", "model")}
    wanted = {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer", "model": "WordPiece"}
    for name, kind in wanted.items():
        if kinds[name] != kind:
            return f"its {name.replace('_', '-')} is {kinds[name] or 'none'}, not BERT's {kind}"
    if content["model"].get("continuing_subword_prefix") != CONTINUES:
        return f"its inner pieces do not start with {CONTINUES}"
    if not content["normalizer"].get("clean_text"):
        return "its normalizer does not clean control characters away"
    if content["model"]["max_input_chars_per_word"] > LONGEST_WORD:
        return f"it reads words of more than {LONGEST_WORD} characters"
    if _strips(content["normalizer"]) and any(map(_is_movable, set("".join(content["model"]["vocab"])))):
        return "its pieces hold combining marks, whose order stripping accents may change"
    if not content.get("truncation"):
        return "it does not cut long texts"
    odd = [t["content"] for t in content.get("added_tokens") or () if _is_odd(t)]
    if odd:
        return f"it finds {odd[0]!r} in texts by rules of its own"
    return _frame_problem(content.get("post_processor") or {})


def bert_rules(tokenizer_json: str) -> BertRules:
    """Read a tokenizer.json that has no `bert_problem`.

    Returns:
        tables that give the same ids as the file does. Pieces that no text can reach are left out.
    """
    content = json.loads(tokenizer_json)
    model = content["model"]
    specials = tuple(token["content"] for token in content.get("added_tokens") or ())
    first_id, last_id = _frame(content["post_processor"])
    images = _images(*(content["normalizer"].get(name) for name in _SETTINGS))
    # A character that becomes another one stands in no normalized text, unless a third one becomes it.
    unreachable = (set(images) | {" "}) - (set("".join(images.values())) - {" "})
    pieces = {t: i for t, i in model["vocab"].items() if t not in specials and unreachable.isdisjoint(_body(t))}
    ids = {token["content"]: token["id"] for token in content.get("added_tokens") or ()}
    ids.setdefault(model["unk_token"], model["vocab"][model["unk_token"]])
    return BertRules(
        characters=_character_rules(images, set("".join(map(_body, pieces))), is_ordered=_strips(content["normalizer"])),
        starts={t: i for t, i in pieces.items() if not t.startswith(CONTINUES)} | ids,
        inner={_body(t): i for t, i in pieces.items() if t.startswith(CONTINUES) and _body(t)},
        specials=specials,
        unknown=model["unk_token"],
        unknown_id=int(model["vocab"][model["unk_token"]]),
        first_id=first_id,
        last_id=last_id,
        max_tokens=int(content["truncation"]["max_length"]),
        max_word=int(model["max_input_chars_per_word"]),
    )


def _strips(normalizer: Mapping[str, Any]) -> bool:
    """Does it strip accents? Where it does not say, it does if it lower-cases."""
    told = normalizer.get("strip_accents")
    return bool(normalizer.get("lowercase") if told is None else told)


def _is_movable(char: str) -> bool:
    """Is this a combining mark that stripping accents leaves in the text? Marks newer than the library's tables are left too."""
    return unicodedata.combining(char) > 0 and char in _STRIPPED.normalize_str(f"a{char}")


def _is_odd(token: Mapping[str, Any]) -> bool:
    return any(token.get(flag) for flag in ("single_word", "lstrip", "rstrip", "normalized"))


def _frame_problem(post: Mapping[str, Any]) -> str | None:
    try:
        _frame(post)
    except (KeyError, TypeError, ValueError, IndexError):
        return "it frames texts otherwise than [CLS] text [SEP]"
    return None


def _frame(post: Mapping[str, Any]) -> tuple[int, int]:
    """Return the ids around a text; raises KeyError, TypeError, ValueError or IndexError when it is no BERT frame."""
    if post["type"] == "BertProcessing":
        return int(post["cls"][1]), int(post["sep"][1])
    first, middle, last = post["single"]
    if post["type"] != "TemplateProcessing" or middle["Sequence"]["type_id"] != 0:
        raise ValueError(post["type"])
    ids = [post["special_tokens"][item["SpecialToken"]["id"]]["ids"] for item in (first, last)]
    if any(len(found) != 1 for found in ids):
        raise ValueError(ids)
    return int(ids[0][0]), int(ids[1][0])


def _body(piece: str) -> str:
    return piece.removeprefix(CONTINUES)


@functools.lru_cache(maxsize=1)
def _images(clean: bool, is_cjk_apart: bool, strips_accents: bool | None, lowers: bool) -> Mapping[str, str]:
    """Return every code point that does not stay as it is, with what it becomes; spaces stand around words.

    The arguments are `_SETTINGS` of the normalizer. It takes seconds, and models of one process mostly share them.
    """
    normalizer = BertNormalizer(clean, is_cjk_apart, strips_accents, lowers)
    images: dict[str, str] = {}
    for block in _PROBED:
        for start in range(block.start, block.stop, _PROBES_PER_CALL):
            probes = [chr(i) for i in range(start, start + _PROBES_PER_CALL)]
            images |= _images_of(probes, normalizer)
    return images


def _images_of(probes: Sequence[str], normalizer: BertNormalizer) -> dict[str, str]:
    """Probe some code points at once; most blocks stay as they are, vanish or are set apart as a whole."""
    text = _SEPARATOR + _SEPARATOR.join(probes) + _SEPARATOR
    found = normalizer.normalize_str(text)
    if found == _SEPARATOR * (len(probes) + 1):
        return dict.fromkeys(probes, "")
    if found == text and len(_SPLITTER.pre_tokenize_str(text)) == 1:
        return {}
    normal = found.split(_SEPARATOR)[1:-1]
    if len(normal) != len(probes):  # the separator itself is among the probes
        normal = [normalizer.normalize_str(probe) for probe in probes]
    alone = _alone(normal)
    images = ("".join(f" {char} " if char in alone else char for char in text) for text in normal)
    return {probe: image for probe, image in zip(probes, images, strict=True) if probe != image}


def _alone(normal: Iterable[str]) -> set[str]:
    """Return the characters that the pre-tokenizer makes words of their own."""
    text = _SEPARATOR + _SEPARATOR.join(sorted({char for text in normal for char in text} - {_SEPARATOR})) + _SEPARATOR
    pieces = (piece for piece, _ in _SPLITTER.pre_tokenize_str(text))
    return {piece for piece in pieces if len(piece) == 1 and piece != _SEPARATOR}


def _character_rules(images: Mapping[str, str], alphabet: set[str], *, is_ordered: bool) -> CharacterRules:
    """Keep what a piece could be made of, and what vanishes or stands alone; the longest runs of these as ranges."""
    if is_ordered and any(unicodedata.combining(char) for char in alphabet):
        raise ValueError("a piece holds a combining mark, whose place in a text can change")
    dropped = _long_ranges([char for char, image in images.items() if not image])
    alone = _long_ranges([char for char, image in images.items() if len(image) == _ALONE_LENGTH and image[1] == char])
    covered = {chr(i) for first, last in (*dropped, *alone) for i in range(first, last + 1)}
    readable = alphabet | {" "}
    # What stays as it is and what a range has dealt with comes to the table as it is: there it only matters whether a
    # piece is made of it.
    image = {char: char for char in sorted(readable) if char not in images or char in covered}
    for char, text in images.items():
        if char not in covered and (readable.issuperset(text) or text[0] == " "):
            image[char] = text
    return CharacterRules(image, dropped, alone)


def _long_ranges(characters: Sequence[str]) -> tuple[tuple[int, int], ...]:
    runs: list[list[int]] = []
    for code in sorted(map(ord, characters)):
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return tuple((first, last) for first, last in runs if last - first + 1 >= _LONG_RANGE)
