"""Facts of the data: the median length by the teacher's own tokenizer, or by words where it is not at hand."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from edgedistill.errors import ArtifactError
from edgedistill.examples import write_examples
from edgedistill.facts import facts_of_examples, facts_of_texts, median_tokens, positions_of, token_counts
from edgedistill.plan import DataFacts
from edgedistill.results import Labels

TEXTS = ["lamp", "lamp lamp lamp", "lamp lamp lamp lamp lamp"]  # 3, 5 and 7 tokens with [CLS] and [SEP]


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    folder = tmp_path / "teacher"
    folder.mkdir()
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "lamp": 4}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize(("max_tokens", "expected"), [(64, 5), (4, 4)])
def test_median_tokens_when_the_teacher_has_a_tokenizer_then_counted_with_special_tokens_and_cut(
    teacher: Path, max_tokens: int, expected: int
) -> None:
    assert median_tokens(TEXTS, teacher, max_tokens=max_tokens) == expected


@pytest.mark.parametrize(("words", "expected"), [(10, 15), (1, 3), (100, 64)])
def test_median_tokens_when_there_is_no_tokenizer_then_words_times_1_3_and_two(
    tmp_path: Path, words: int, expected: int
) -> None:
    text = " ".join(["word"] * words)
    assert median_tokens([text, text, ""], None, max_tokens=64) == expected
    assert median_tokens([text, text, ""], tmp_path, max_tokens=64) == expected


def test_median_tokens_when_there_are_no_texts_then_the_most_there_can_be(teacher: Path) -> None:
    assert median_tokens([], teacher, max_tokens=32) == median_tokens([], None, max_tokens=32) == 32


def test_facts_of_examples_when_prepared_then_classes_rows_and_length(teacher: Path, tmp_path: Path) -> None:
    write_examples(tmp_path / "train.arrow", ["a", "b", "c"], TEXTS, [0, 1, 0])
    (tmp_path / "labels.json").write_text(Labels(labels=("off", "on", "dim")).to_json())
    assert facts_of_examples(tmp_path, teacher, max_tokens=64) == DataFacts(
        classes=3, train_rows=3, median_tokens=5, length_counts=((3, 1), (5, 1), (7, 1)), has_students_lengths=False
    )


def test_facts_of_texts_when_the_teacher_reads_by_word_pieces_or_is_not_at_hand_then_the_lengths_are_the_students(
    tmp_path: Path
) -> None:
    assert facts_of_texts(TEXTS, 2, 3, teacher=None, max_tokens=64).has_students_lengths
    words = {word: i for i, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "lamp"))}
    Tokenizer(models.WordPiece(words, unk_token="[UNK]")).save(str(tmp_path / "tokenizer.json"))
    assert facts_of_texts(TEXTS, 2, 3, teacher=tmp_path, max_tokens=64).has_students_lengths


def test_facts_of_examples_when_there_are_more_than_5000_then_evenly_spread_ones_count(teacher: Path, tmp_path: Path) -> None:
    texts = ["lamp"] * 5_001 + ["lamp lamp lamp"] * 5_001  # sorted: the first 5,000 are all of 3 tokens
    write_examples(tmp_path / "train.arrow", [str(i) for i in range(len(texts))], texts, [0] * len(texts))
    (tmp_path / "labels.json").write_text(Labels(labels=("off", "on")).to_json())
    assert facts_of_examples(tmp_path, teacher, max_tokens=64).length_counts == ((3, 2_500), (5, 2_500))
    assert token_counts(texts, None, max_tokens=64).count(3) == 2_500  # 1.3 words and two


def test_facts_of_examples_when_nothing_was_prepared_then_says_which_verb_does(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"train\.arrow: no such file") as caught:
        facts_of_examples(tmp_path, teacher, max_tokens=64)
    assert "edgedistill prepare" in caught.value.hint


@pytest.mark.parametrize(
    ("config", "expected"), [({"max_position_embeddings": 512}, 512), ({"n_positions": 128}, 128), ({}, None)]
)
def test_positions_of_when_the_config_says_or_not_then_that_or_none(
    tmp_path: Path, config: dict[str, int], expected: int | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert positions_of(tmp_path) == expected
