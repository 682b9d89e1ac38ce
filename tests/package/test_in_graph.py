"""The tokenizer in the graph against the tokenizers library, id by id."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer

from edgedistill.package import bert_rules as rules_module
from edgedistill.package.bert_rules import bert_problem, bert_rules
from edgedistill.package.fuzz import fuzzed_texts
from edgedistill.package.in_graph import piece_table, smallest, tokenizer_model
from edgedistill.package.text_model import differing_texts, graph_ids, open_text_session
from edgedistill.tasks.text_classification.encoding import TextEncoder


@pytest.fixture(scope="module")
def session(student_rules):
    return open_text_session(tokenizer_model(student_rules, opset=17).SerializeToString())


@pytest.fixture(scope="module")
def encoder(student_json):
    return TextEncoder(Tokenizer.from_str(student_json), 0)


ODD = (
    "", " ", "Hello, World!", "naïve café", "NAÏVE CAFÉ", "e\u0301\u0327", "İstanbul ſ ẞ ß", "ﬁ ½ Å", "日本語三上", "한국어 가각",
    "👩‍👩‍👧‍👦 ok 🏳️‍🌈", "a\u200bb\u00adc\ufeffd", "a\tb\nc\r\nd\x85e\u2028f\u00a0g", "a\x01b\x7fc\x9fd", "\ue000A\uf8ff", "\ufffd x",
    "[CLS] a [SEP]", "[sep]", "[[SEP]]", "[S\x01EP]", "x" * 99, "x" * 100, "x" * 101, "y" * 150, "z" * 250, "abc한def", "ab\u2603cd",
    "unaffable" * 5, "word " * 200, "#hash ##ing", "\u0344\u0301", "丽\U0002f800", "\U000e0041x\U000f0000y", "don't 3.14 a_b",
)


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_graph_when_a_text_is_odd_gives_the_ids_of_tokenizer_json(session, encoder, text):
    assert graph_ids(session, text) == tuple(encoder.tokenizer.encode(text).ids)


def test_graph_when_texts_are_fuzzed_gives_the_ids_of_tokenizer_json(session, encoder):
    assert differing_texts(session, encoder, list(fuzzed_texts(1500, seed=1))) == ()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_graph_when_100_000_texts_are_fuzzed_gives_the_ids_of_tokenizer_json(session, encoder):
    assert differing_texts(session, encoder, list(fuzzed_texts(100_000, seed=2))) == ()


def test_graph_when_a_line_is_10_kb_is_cut_like_the_others(session, encoder):
    text = "turn the Lights down, " * 500

    assert len(graph_ids(session, text)) == 64
    assert differing_texts(session, encoder, [text]) == ()


def test_graph_when_a_text_holds_a_nul_ends_there_and_is_told_as_a_difference(session, encoder):
    (found,) = differing_texts(session, encoder, ["lights", "lights \0 down"])

    assert found.text == "lights \0 down"
    assert found.found == tuple(encoder.tokenizer.encode("lights").ids)
    assert graph_ids(session, "lights \x01 down") == found.expected  # what an app is to put in its place


def test_graph_when_all_code_points_are_asked_one_by_one_gives_their_ids(session, encoder):
    """Every block of Unicode in steps, alone and inside a word."""
    points = [chr(i) for i in (*range(1, 0x3000), *range(0x3000, 0xD800, 37), *range(0xE000, 0x30000, 101))]
    texts = ["a" + "a a".join(points[i : i + 20]) + "a" for i in range(0, len(points), 20)]

    assert differing_texts(session, encoder, texts) == ()


def test_graph_when_pieces_are_few_makes_a_word_with_a_gap_unknown_as_a_whole():
    """'ab' and '##c' are known: 'abc' is two ids, 'abd' one unknown, and so is 'cab', which nothing starts."""
    rules = bert_rules(json.dumps(_wordpiece({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "ab": 4, "##c": 5})))
    session = open_text_session(tokenizer_model(rules, opset=17).SerializeToString())

    assert graph_ids(session, "abc abd cab ABC") == (2, 4, 5, 1, 1, 4, 5, 3)


def test_table_when_tokens_share_an_id_keeps_every_token(student_json, student_rules):
    table = piece_table(student_rules)

    vocabulary = json.loads(student_json)["model"]["vocab"]
    told = dict(zip(table.lines, table.ids.tolist(), strict=True))
    reachable = [token for token in vocabulary if token.isalpha() and token.isascii() and token.islower()]
    assert len(reachable) > 20_000
    assert {token: told[token] for token in reachable} == {token: vocabulary[token] for token in reachable}
    assert len(set(table.ids.tolist())) <= 3000


def test_table_when_sized_counts_text_ids_and_weights(student_rules):
    table = piece_table(student_rules)

    assert smallest(table.ids).dtype == np.int16  # 3,000 ids
    assert smallest(table.weights).dtype == np.int8  # words of 100 characters
    assert table.size_bytes == len("\n".join(table.lines).encode()) + 3 * len(table.lines)


@pytest.mark.parametrize(("change", "said"), [
    ({"normalizer": {"type": "NFC"}}, "its normalizer is NFC"),
    ({"normalizer": None}, "its normalizer is none"),
    ({"pre_tokenizer": {"type": "Whitespace"}}, "its pre-tokenizer is Whitespace"),
    ({"truncation": None}, "does not cut long texts"),
    ({"post_processor": None}, r"otherwise than \[CLS\] text \[SEP\]"),
    ({"added_tokens": [{"id": 9, "content": "x", "lstrip": True}]}, "finds 'x' in texts by rules of its own"),
])
def test_tokenizer_when_not_berts_has_a_problem_in_words(student_json, change, said):
    import re

    assert re.search(said, bert_problem(json.dumps(json.loads(student_json) | change)))


@pytest.mark.parametrize("lowers", [True, False])
def test_graph_when_accents_are_kept_gives_the_ids_of_tokenizer_json(monkeypatch, lowers):
    texts = ("Tôi KHÔNG thích", "To\u0302i kho\u0302ng", "e\u0301\u0327 x\u0327\u0301", "ไม่ ไม้ ไม", "मुझे पसंद। नहीं!", "İstanbul ß",
             "ก" * 100, "ก" * 101, "unknown बात", "a\u0301")
    monkeypatch.setattr(rules_module, "_images", rules_module._images.__wrapped__)
    monkeypatch.setattr(rules_module, "_PROBED", (range(0x2000),))  # the scripts of these texts; all take seconds
    seen = sorted({c for text in texts[:-2] for c in text + text.lower() if not c.isspace()})
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *seen, *(f"##{c}" for c in seen), "##ม่"]
    content = _wordpiece({token: i for i, token in enumerate(tokens)})
    content["normalizer"] |= {"lowercase": lowers, "strip_accents": False}
    content["truncation"]["max_length"] = 200
    written = json.dumps(content)
    assert bert_problem(written) is None
    session = open_text_session(tokenizer_model(bert_rules(written), opset=17).SerializeToString())

    assert differing_texts(session, TextEncoder(Tokenizer.from_str(written), 0), texts) == ()


@pytest.mark.parametrize("mark", ["\u302e", "\u08d3"])  # no non-spacing mark; one, and newer than the library's tables
def test_tokenizer_when_its_pieces_hold_a_mark_that_stripping_may_move_has_a_problem(mark):
    content = _wordpiece({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, f"##{mark}": 5})
    assert "combining marks" in bert_problem(json.dumps(content))
    content["normalizer"]["strip_accents"] = False
    assert bert_problem(json.dumps(content)) is None


def test_tokenizer_when_it_reads_longer_words_than_the_operator_has_a_problem():
    content = _wordpiece({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3})
    content["model"]["max_input_chars_per_word"] = 101
    assert "more than 100 characters" in bert_problem(json.dumps(content))


def test_tokenizer_when_berts_has_none(student_json):
    assert bert_problem(student_json) is None


def _wordpiece(vocabulary):
    return {
        "version": "1.0", "truncation": {"direction": "Right", "max_length": 16, "strategy": "LongestFirst", "stride": 0},
        "padding": None, "added_tokens": [], "decoder": None,
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
                       "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    }
