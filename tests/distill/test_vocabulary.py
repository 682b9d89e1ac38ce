"""The student's vocabulary: which tokens it keeps, where the others go, and a tokenizer.json that says the same."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer

from edgedistill.distill.student_model import make_tokenizer, write_tokenizer
from edgedistill.distill.vocabulary import (
    StudentVocabulary,
    choose_vocabulary,
    placeholders_of,
    prove_ids,
    read_student_ids,
    student_tokenizer_json,
)
from edgedistill.errors import ArtifactError
from edgedistill.tasks.text_classification.encoding import SPECIAL_TOKENS, TextEncoder

SPECIAL_IDS = (0, 1, 2, 3, 4)


@pytest.fixture(scope="module")
def teacher(wordpiece_json: str) -> Tokenizer:
    return Tokenizer.from_str(wordpiece_json)


@pytest.fixture(scope="module")
def halved(vocabulary: dict[str, int]) -> StudentVocabulary:
    """Keeps 30 of the 55 tokens; embeddings in random directions, so that some are near and some are far."""
    random = np.random.default_rng(3)
    return choose_vocabulary(random.integers(0, 99, len(vocabulary)), random.normal(size=(len(vocabulary), 40)).astype(np.float32),
                             SPECIAL_IDS, size=30)


@pytest.fixture(scope="module")
def student_folder(
    wordpiece_json: str, halved: StudentVocabulary, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("student")
    write_tokenizer(student_tokenizer_json(wordpiece_json, halved), folder, max_tokens=16)
    return folder


def directions(*degrees: float) -> np.ndarray:
    """Unit vectors in a plane, a far away mirror of each so that their mean is zero."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_choose_vocabulary_puts_the_special_tokens_first_whatever_their_ids() -> None:
    chosen = choose_vocabulary(np.arange(12), np.eye(12, dtype=np.float32), (11, 3, 7, 0, 5), size=8)
    assert chosen.kept[:5].tolist() == [11, 3, 7, 0, 5]
    assert chosen.student_id_of[[11, 3, 7, 0, 5]].tolist() == [0, 1, 2, 3, 4]


def test_choose_vocabulary_keeps_the_most_used_tokens_and_of_equals_the_lower_id() -> None:
    counts = np.array([0, 0, 0, 0, 0, 1, 9, 5, 5, 5, 7])
    chosen = choose_vocabulary(counts, np.eye(11, dtype=np.float32), SPECIAL_IDS, size=9)
    assert chosen.kept[5:].tolist() == [6, 10, 7, 8]


def test_choose_vocabulary_with_room_for_more_fills_up_with_words_that_no_text_has_and_no_placeholders() -> None:
    counts = np.array([0, 0, 0, 0, 0, 1, 0, 2, 0])
    chosen = choose_vocabulary(counts, np.eye(9, dtype=np.float32), SPECIAL_IDS, size=100, placeholders=[6])
    assert chosen.kept.tolist() == [0, 1, 2, 3, 4, 7, 5, 8]


def test_choose_vocabulary_keeps_a_placeholder_that_texts_have_and_sends_nothing_to_it() -> None:
    counts = np.array([0, 0, 0, 0, 0, 9, 8, 0])
    vectors = np.zeros((8, 2), np.float32)
    vectors[5:] = directions(0, 90, 10)  # what is left out, id 7, is nearest to the placeholder
    vectors[1] = -vectors.sum(axis=0)
    chosen = choose_vocabulary(counts, vectors, SPECIAL_IDS, size=7, placeholders=[5])
    assert chosen.kept.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert chosen.student_id_of[7] == 6


def test_placeholders_of_names_the_entries_that_bert_keeps_free_by_their_spelling() -> None:
    assert placeholders_of(["[PAD]", "[unused1]", "[UNK]", "unused", "[unused993]", "[unusedx]", None]) == [1, 4, 6]


def test_choose_vocabulary_sends_other_tokens_to_the_nearest_kept_one_by_cosine() -> None:
    # kept: id 5 at 0 degrees, 6 at 90, 7 at 225; the others lie at 20, 70, 100 and 235, and one has another length
    embeddings = np.zeros((12, 2), np.float32)
    embeddings[5:] = directions(0, 90, 225, 20, 70, 100, 235)
    embeddings[11] *= 5
    embeddings[1] = -embeddings.sum(axis=0)  # the mean is zero: centring changes nothing
    counts = np.array([0, 0, 0, 0, 0, 9, 8, 7, 1, 1, 1, 1])
    chosen = choose_vocabulary(counts, embeddings, SPECIAL_IDS, size=8)
    assert chosen.kept[5:].tolist() == [5, 6, 7]
    assert chosen.student_id_of[8:].tolist() == [5, 6, 6, 7]
    assert chosen.left_out == 4


def test_choose_vocabulary_sends_no_token_to_unknown_however_far_it_is() -> None:
    embeddings = np.zeros((8, 2), np.float32)
    embeddings[5:] = directions(0, 76, 180)
    embeddings[1] = -embeddings.sum(axis=0)
    chosen = choose_vocabulary(np.array([0, 0, 0, 0, 0, 9, 1, 1]), embeddings, SPECIAL_IDS, size=6)
    assert chosen.student_id_of[6:].tolist() == [5, 5]


def test_choose_vocabulary_without_vectors_sends_the_rest_to_unknown() -> None:
    chosen = choose_vocabulary(np.array([0, 0, 0, 0, 0, 9, 1, 1]), None, SPECIAL_IDS, size=6)
    assert chosen.student_id_of.tolist() == [0, 1, 2, 3, 4, 5, 1, 1]


def test_choose_vocabulary_compares_embeddings_after_centring_them() -> None:
    shift = np.array([50.0, 50.0], np.float32)  # without centring every cosine would be 1
    embeddings = np.zeros((9, 2), np.float32)
    embeddings[5:] = directions(0, 180, 10, 190)
    embeddings += shift
    chosen = choose_vocabulary(np.array([0, 0, 0, 0, 0, 9, 8, 1, 1]), embeddings, SPECIAL_IDS, size=7)
    assert chosen.student_id_of[7:].tolist() == [5, 6]


def test_choose_vocabulary_gives_every_teacher_token_a_student_id(halved: StudentVocabulary) -> None:
    assert halved.student_id_of.shape == (55,)
    assert set(halved.student_id_of.tolist()) <= set(range(len(halved.kept)))
    assert halved.student_id_of[halved.kept].tolist() == list(range(30))
    assert halved.left_out == 25


def test_student_tokenizer_json_is_pure(wordpiece_json: str, halved: StudentVocabulary) -> None:
    assert student_tokenizer_json(wordpiece_json, halved) == student_tokenizer_json(wordpiece_json, halved)
    assert len(json.loads(student_tokenizer_json(wordpiece_json, halved))["model"]["vocab"]) == 55


def words_of_the_vocabulary() -> st.SearchStrategy[str]:
    words = st.sampled_from([
        "lamp", "lamps", "Songs", "rain", "raining", "windy", "sun", "radio", "please", "kitchen", "louder", "warmly", "quickest",
        "turn", "a", "Bea", "oui", ",", "?", "[MASK]", "[SEP]", "xyz", "\u00e9", "lamp,song", "\U0001f600", "",
    ])
    return st.lists(words, max_size=24).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(text=words_of_the_vocabulary())
def test_the_students_tokenizer_gives_the_students_ids_of_the_teachers_tokens(
    teacher: Tokenizer, student_folder: Path, halved: StudentVocabulary, text: str
) -> None:
    expected = halved.student_id_of[teacher.encode(text).ids].tolist()
    assert Tokenizer.from_file(str(student_folder / "tokenizer.json")).encode(text).ids == expected


def test_the_students_folder_loads_in_transformers_with_the_same_ids(
    teacher: Tokenizer, student_folder: Path, halved: StudentVocabulary, rows: Callable[..., tuple[list[str], list[int]]]
) -> None:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    texts = [*rows(40, seed=9)[0], "Lamps, windy?", "xyz [MASK] the", "please " * 30]
    expected = [halved.student_id_of[encoding.ids].tolist() for encoding in teacher.encode_batch(texts)]
    for kind in (AutoTokenizer, PreTrainedTokenizerFast):
        loaded = kind.from_pretrained(student_folder)
        assert loaded(texts, truncation=True)["input_ids"] == expected
        assert [loaded.pad_token_id, loaded.unk_token_id, loaded.cls_token_id, loaded.sep_token_id, loaded.mask_token_id] == [
            0, 1, 2, 3, 4
        ]
        padded = loaded(texts, truncation=True, padding=True)
        assert [row[: len(ids)] for row, ids in zip(padded["input_ids"], expected, strict=True)] == expected
        assert loaded.model_max_length == 16


def test_the_students_folder_loads_as_a_text_encoder_with_the_same_ids(
    teacher: Tokenizer, student_folder: Path, halved: StudentVocabulary
) -> None:
    encoded = TextEncoder.load(student_folder).encode(["turn the lamps off", "windy"])
    expected = [halved.student_id_of[e.ids] for e in teacher.encode_batch(["turn the lamps off", "windy"])]
    assert encoded.ids.tolist() == np.concatenate(expected).tolist()
    assert encoded.pad_id == 0


def test_student_tokenizer_json_of_a_bert_processing_maps_its_ids_too(
    wordpiece_json: str, halved: StudentVocabulary, teacher: Tokenizer
) -> None:
    content = json.loads(wordpiece_json)
    content["post_processor"] = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    content["padding"] = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0,
                          "pad_type_id": 0, "pad_token": "[PAD]"}
    student = Tokenizer.from_str(student_tokenizer_json(json.dumps(content), halved))
    assert student.encode("the lamps").ids == halved.student_id_of[teacher.encode("the lamps").ids].tolist()


def test_student_tokenizer_json_of_a_teacher_with_added_tokens_maps_them_too(wordpiece_json: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    teacher = Tokenizer.from_str(wordpiece_json)
    teacher.add_tokens(["kitchen lamp", "ACME"])
    teacher.add_special_tokens(["<user>"])
    random = np.random.default_rng(0)
    chosen = choose_vocabulary(np.arange(58)[::-1], random.normal(size=(58, 3)).astype(np.float32), SPECIAL_IDS, size=20)
    write_tokenizer(student_tokenizer_json(teacher.to_str(), chosen), tmp_path, max_tokens=16)
    for text in ("the kitchen lamp", "ACME lamps, acme", "<user> please [MASK]"):
        expected = chosen.student_id_of[teacher.encode(text).ids].tolist()
        assert Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(text).ids == expected
        assert AutoTokenizer.from_pretrained(tmp_path)(text)["input_ids"] == expected


def test_make_tokenizer_of_a_wordpiece_teacher_keeps_the_tokens_that_the_texts_use(
    teacher: Tokenizer, wordpiece_json: str
) -> None:
    texts = ["turn the lamp on", "the song", "the rain"]
    embeddings = np.random.default_rng(0).normal(size=(55, 6)).astype(np.float32)
    made = make_tokenizer(TextEncoder(teacher, 0), embeddings, iter([texts[:2], texts[2:]]), size=11, aliases="contextual")
    kept = [teacher.id_to_token(int(index)) for index in made.kept_tokens]
    assert kept[:5] == list(SPECIAL_TOKENS)
    assert kept[5] == "the"
    assert set(kept[6:]) == {"turn", "lamp", "on", "song", "rain"}
    assert made.size == 11
    assert "11 of the teacher's 55" in made.note


@pytest.mark.parametrize(("aliases", "goes_to"), [("contextual", "song"), ("input", "rain"), ("none", "[UNK]")])
def test_make_tokenizer_sends_a_token_that_is_not_kept_where_the_recipe_says(
    teacher: Tokenizer, aliases: str, goes_to: str
) -> None:
    vectors = np.random.default_rng(0).normal(0, 0.01, size=(55, 6))  # three views of two numbers each
    for word, by_input, by_output in (("lamp", (1, 0), (0, 5)), ("rain", (1, 0), (5, 0)), ("song", (0, 1), (0, 5))):
        vectors[teacher.token_to_id(word)] = (*by_input, *by_output, 0, 0)
    made = make_tokenizer(TextEncoder(teacher, 0), vectors.astype(np.float16), iter([["song rain"]]), size=7, aliases=aliases)
    student = Tokenizer.from_str(made.json)
    assert student.encode("lamp").ids[1] == student.token_to_id(goes_to)


def test_prove_ids_names_the_first_text_that_is_read_otherwise(
    teacher: Tokenizer, wordpiece_json: str, halved: StudentVocabulary
) -> None:
    texts, theirs = ["the song", "turn the lamp on"], TextEncoder(teacher, 0)
    prove_ids(theirs, TextEncoder(Tokenizer.from_str(student_tokenizer_json(wordpiece_json, halved)), 0), halved.student_id_of, texts)
    content = json.loads(student_tokenizer_json(wordpiece_json, halved))
    content["model"]["vocab"]["lamp"] = (content["model"]["vocab"]["lamp"] + 1) % 30
    with pytest.raises(ArtifactError, match="turn the lamp on"):
        prove_ids(theirs, TextEncoder(Tokenizer.from_str(json.dumps(content)), 0), halved.student_id_of, texts)


def test_read_student_ids_gives_back_what_the_tokenizer_was_made_with(wordpiece_json: str, halved: StudentVocabulary) -> None:
    found = read_student_ids(wordpiece_json, student_tokenizer_json(wordpiece_json, halved))
    np.testing.assert_array_equal(found, halved.student_id_of)


def test_read_student_ids_of_a_file_that_lost_its_aliases_is_refused(wordpiece_json: str, halved: StudentVocabulary) -> None:
    content = json.loads(student_tokenizer_json(wordpiece_json, halved))
    del content["model"]["vocab"]["lamp"]
    with pytest.raises(ArtifactError, match="has no 'lamp'"):
        read_student_ids(wordpiece_json, json.dumps(content))


def test_make_tokenizer_of_another_teacher_trains_a_wordpiece_vocabulary(
    rows: Callable[..., tuple[list[str], list[int]]], tmp_path: Path
) -> None:
    texts = rows(60, seed=0)[0]
    bpe = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2, "<pad>": 3}, [("a", "b")]))
    bpe.enable_truncation(7)
    made = make_tokenizer(TextEncoder(bpe, 3), np.zeros((4, 2), np.float32), iter([texts]), size=80, aliases="contextual")
    assert made.kept_tokens is None
    assert made.size <= 80
    write_tokenizer(made.json, tmp_path, max_tokens=7)
    encoded = TextEncoder.load(tmp_path).encode([*texts, "please " * 20])
    assert 1 not in encoded.ids, "a text of the training became unknown"
    assert encoded.ids.max() < made.size
    assert encoded.lengths.max() == 7
    assert encoded.ids[encoded.offsets[:-1]].tolist() == [2] * 61
    assert encoded.ids[encoded.offsets[1:] - 1].tolist() == [3] * 61
    again = make_tokenizer(TextEncoder(bpe, 3), np.zeros((4, 2), np.float32), iter([texts[:30], texts[30:]]), size=80, aliases="contextual")
    assert again.json == made.json
    assert "student.aliases" not in made.note
    other = make_tokenizer(TextEncoder(bpe, 3), np.zeros((4, 2), np.float32), iter([texts]), size=80, aliases="input")
    assert "student.aliases: input has no meaning for it" in other.note


@pytest.mark.parametrize("mask", ["<mask>", "[MASK]"])
def test_make_tokenizer_of_another_teacher_reads_that_teachers_mask_token_as_its_own(
    rows: Callable[..., tuple[list[str], list[int]]], tmp_path: Path, mask: str
) -> None:
    texts = rows(60, seed=0)[0]
    bpe = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2, "<pad>": 3, mask: 4}, [("a", "b")]))
    bpe.add_special_tokens([mask])
    bpe.enable_truncation(16)
    make = partial(make_tokenizer, TextEncoder(bpe, 3), np.zeros((5, 2), np.float32), size=80, aliases="contextual")
    made = make(iter([texts, [f"the {mask} {text}" for text in texts]]))
    assert made.tokens == make(iter([texts, [f"the {text}" for text in texts]])).tokens, "pieces were learned of the mask token"
    write_tokenizer(made.json, tmp_path, max_tokens=16)
    student = TextEncoder.load(tmp_path)
    before, after = (student.encode([text]).ids[1:-1].tolist() for text in ("the", "song"))
    for written in {f"the {mask} song", "the [MASK] song"}:
        ids = student.encode([written]).ids.tolist()
        assert ids == [2, *before, made.tokens.index("[MASK]"), *after, 3]
        assert AutoTokenizer.from_pretrained(tmp_path)(written)["input_ids"] == ids
    assert len(set(made.tokens)) == made.size
