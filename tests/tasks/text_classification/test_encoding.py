"""Texts to token ids: flat storage, padded batches, truncation and padding as the model folder says."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from edgedistill.errors import ArtifactError
from edgedistill.tasks.text_classification import encoding
from edgedistill.tasks.text_classification.encoding import EncodedTexts, TextEncoder, is_wordpiece


@pytest.fixture(scope="module")
def folder(write_tokenizer_files: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer_files(made)
    return made


def flat(*rows: list[int], pad_id: int = 9) -> EncodedTexts:
    ids = np.array([i for row in rows for i in row], np.int32)
    return EncodedTexts(ids, np.cumsum([0, *map(len, rows)]).astype(np.int64), pad_id)


def test_encode_gives_the_ids_of_the_tokenizer(folder: Path, vocabulary: dict[str, int]) -> None:
    encoded = TextEncoder.load(folder).encode(["The lamps!", "rain"])
    tokens = ["[CLS]", "the", "lamp", "##s", "[UNK]", "[SEP]", "[CLS]", "rain", "[SEP]"]
    assert encoded.ids.tolist() == [vocabulary[token] for token in tokens]
    assert encoded.offsets.tolist() == [0, 6, 9]
    assert encoded.lengths.tolist() == [6, 3]
    assert (len(encoded), encoded.ids.dtype, encoded.offsets.dtype) == (2, np.int32, np.int64)


def test_encode_of_nothing_is_empty(folder: Path) -> None:
    encoded = TextEncoder.load(folder).encode([])
    assert (len(encoded), encoded.ids.tolist(), encoded.offsets.tolist()) == (0, [], [0])


def test_encode_takes_any_iterable_of_texts(folder: Path) -> None:
    assert len(TextEncoder.load(folder).encode(text for text in ("a", "b", "c"))) == 3


def test_portions_then_every_text_once_in_order_and_no_list_is_longer_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_TEXTS_AT_ONCE", 3)
    monkeypatch.setattr(encoding, "_CHARACTERS_AT_ONCE", 10)
    found = list(encoding.portions(iter(["a", "b", "c", "d", "e" * 12, "f" * 4, "g" * 6, "h"])))
    assert found == [["a", "b", "c"], ["d", "e" * 12], ["f" * 4, "g" * 6], ["h"]]
    assert list(encoding.portions([])) == []


def test_batch_pads_to_its_own_longest_text() -> None:
    batch = flat([1, 2], [3], [4, 5, 6, 7]).batch([1, 0])
    assert batch["input_ids"].tolist() == [[3, 9], [1, 2]]
    assert batch["attention_mask"].tolist() == [[1, 0], [1, 1]]
    assert batch["token_type_ids"].tolist() == [[0, 0], [0, 0]]
    assert {values.dtype for values in batch.values()} == {np.dtype(np.int64)}


def test_batch_of_nothing_is_empty() -> None:
    assert flat([1, 2]).batch([])["input_ids"].shape == (0, 0)


def test_batch_of_one_text_twice_gives_it_twice() -> None:
    assert flat([1, 2], [3]).batch(np.array([1, 1]))["input_ids"].tolist() == [[3], [3]]


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.lists(st.integers(0, 50), max_size=6), min_size=1, max_size=8), data=st.data())
def test_batch_holds_the_ids_of_every_text_asked_for(rows: list[list[int]], data: st.DataObject) -> None:
    if not any(rows):
        rows = [*rows, [1]]
    indices = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=10))
    batch = flat(*rows, pad_id=77).batch(indices)
    for place, index in enumerate(indices):
        mask = batch["attention_mask"][place].astype(bool)
        assert batch["input_ids"][place][mask].tolist() == rows[index]
        assert set(batch["input_ids"][place][~mask].tolist()) <= {77}


def test_load_keeps_the_truncation_of_the_folder_and_takes_another(folder: Path) -> None:
    text = ["please " * 50]
    assert TextEncoder.load(folder).encode(text).lengths.tolist() == [16]
    assert TextEncoder.load(folder, max_tokens=8).encode(text).lengths.tolist() == [8]
    assert TextEncoder.load(folder).encode(text).ids[-1] == 3, "the closing [SEP] is cut off"


@pytest.mark.parametrize(
    ("pad_token", "with_padding", "expected"), [("[PAD]", False, 0), ("<pad>", False, 7), ("</s>", True, 7), ("</s>", False, 0)]
)
def test_load_finds_the_padding_id(
    wordpiece_json: str, tmp_path: Path, pad_token: str, with_padding: bool, expected: int
) -> None:
    content = json.loads(wordpiece_json)
    if pad_token != "[PAD]":
        vocabulary = content["model"]["vocab"]
        vocabulary["[GONE]"] = vocabulary.pop("[PAD]")
        content["added_tokens"] = [token for token in content["added_tokens"] if token["content"] != "[PAD]"]
        former = next(token for token, index in vocabulary.items() if index == 7)
        vocabulary[pad_token] = vocabulary.pop(former)
    tokenizer = Tokenizer.from_str(json.dumps(content))
    if with_padding:
        tokenizer.enable_padding(pad_id=7, pad_token=pad_token)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    encoder = TextEncoder.load(tmp_path)
    assert encoder.pad_id == expected
    assert encoder.encode(["rain", "the rain now"]).lengths.tolist() == [3, 5], "texts are stored without padding"


def test_load_of_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"tokenizer\.json: no such file"):
        TextEncoder.load(tmp_path)


@pytest.mark.parametrize("content", ["", "{}", '{"model": {"type": "WordPiece"', "\x00"])
def test_load_of_a_damaged_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ArtifactError, match="not a tokenizer"):
        TextEncoder.load(tmp_path)


def test_is_wordpiece_only_of_a_wordpiece_model_with_the_special_tokens(wordpiece_json: str) -> None:
    assert is_wordpiece(wordpiece_json)
    assert not is_wordpiece(Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")])).to_str())
    content = json.loads(wordpiece_json)
    del content["model"]["vocab"]["[MASK]"]
    assert not is_wordpiece(json.dumps(content))


def test_is_wordpiece_when_texts_are_framed_by_other_tokens_then_not_though_berts_are_in_the_vocabulary(wordpiece_json: str) -> None:
    framed = Tokenizer.from_str(wordpiece_json)
    framed.add_special_tokens(["<s>", "</s>", "<mask>"])  # as MPNet's
    content = json.loads(framed.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if token["content"].startswith("<")]
    assert not is_wordpiece(json.dumps(content))


def test_encode_when_there_are_more_texts_than_are_read_at_once_then_the_same_ids(
    wordpiece_json: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, texts = TextEncoder(Tokenizer.from_str(wordpiece_json), 0), ["the song", "turn the lamp on", "", "rain"]
    whole = encoder.encode(texts)
    monkeypatch.setattr(encoding, "_TEXTS_AT_ONCE", 3)
    parts = encoder.encode(iter(texts))
    assert parts.ids.tolist() == whole.ids.tolist()
    assert parts.offsets.tolist() == whole.offsets.tolist()
    assert encoder.encode([]).offsets.tolist() == [0]
