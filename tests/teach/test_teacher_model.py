"""The teacher in transformers: loaded safely, read without being built, its answers in the order of the texts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertModel,
    DebertaConfig,
    DebertaForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
)

from edgedistill.errors import TeacherError
from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.teach import teacher_model
from edgedistill.teach.teacher_model import (
    SentenceStates,
    input_embeddings,
    label_texts,
    load_classifier,
    save_tokenizer,
    sentence_states_of,
    sentence_vectors_of,
    token_vectors,
    unspaced_word_vectors,
    word_vectors,
)


@pytest.fixture
def copied(model_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of the tiny BERT's folder, to be damaged at will."""
    return Path(shutil.copytree(model_folder("bert"), tmp_path / "model"))


def rewrite_embeddings(folder: Path, rows: int) -> None:
    """Give a model's folder an embedding table of so many rows."""
    config, weights = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    torch.manual_seed(0)
    save_file(weights | {name: torch.randn(rows, weights[name].shape[1])}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": rows}))


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_load_classifier_of_a_fine_tuned_teacher_keeps_its_weights(
    model_folder: Callable[[str], Path], family: str
) -> None:
    folder = model_folder(family)
    loaded, plain = load_classifier(folder, ("x", "y", "z")), AutoModelForSequenceClassification.from_pretrained(folder)
    assert loaded.config.id2label == {0: "x", 1: "y", 2: "z"}
    assert loaded.config.label2id == {"x": 0, "y": 1, "z": 2}
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in plain.state_dict().items())


def test_load_classifier_of_an_encoder_gives_it_a_new_head(
    tiny_config: Callable[..., Any], tmp_path: Path
) -> None:
    encoder = BertModel(tiny_config("bert"))
    encoder.save_pretrained(tmp_path)
    loaded = load_classifier(tmp_path, tuple("abcde"))
    assert loaded.classifier.weight.shape == (5, 32)
    assert torch.equal(loaded.bert.embeddings.word_embeddings.weight, encoder.embeddings.word_embeddings.weight)


@pytest.mark.parametrize("damage", ["a prefix", "another width"])
def test_load_classifier_of_an_encoder_whose_weights_are_not_found_is_refused_instead_of_random(
    damage: str, tiny_config: Callable[..., Any], tmp_path: Path
) -> None:
    BertModel(tiny_config("bert")).save_pretrained(tmp_path)
    if damage == "a prefix":  # as some other tools store it
        weights = load_file(tmp_path / "model.safetensors")
        save_file({f"0.auto_model.{name}": value for name, value in weights.items()}, tmp_path / "model.safetensors", {"format": "pt"})
    else:
        config = json.loads((tmp_path / "config.json").read_text())
        (tmp_path / "config.json").write_text(json.dumps(config | {"intermediate_size": 2 * config["intermediate_size"]}))
    with pytest.raises(TeacherError, match=r"weights of its encoder, bert\..* are not in its files"):
        load_classifier(tmp_path, ("x", "y", "z"))


def test_load_classifier_of_an_encoder_without_a_pooler_is_taken(tiny_config: Callable[..., Any], tmp_path: Path) -> None:
    BertModel(tiny_config("bert"), add_pooling_layer=False).save_pretrained(tmp_path)
    assert load_classifier(tmp_path, ("x", "y", "z")).config.num_labels == 3


@pytest.mark.parametrize("damage", ["missing", "another size"])
def test_load_classifier_that_is_to_be_trained_already_without_a_head_is_refused(copied: Path, damage: str) -> None:
    weights = load_file(copied / "model.safetensors")
    head = weights.pop("classifier.weight")
    if damage == "another size":
        weights["classifier.weight"] = head[:2].clone()
    save_file(weights, copied / "model.safetensors", {"format": "pt"})
    with pytest.raises(TeacherError, match=r"weights lack classifier\.weight"):
        load_classifier(copied, ("x", "y", "z"), is_trained=True)
    assert load_classifier(copied, ("x", "y", "z")).classifier.weight.shape == (3, 32)


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_load_classifier_that_is_trained_already_is_taken(model_folder: Callable[[str], Path], family: str) -> None:
    assert load_classifier(model_folder(family), ("x", "y", "z"), is_trained=True).config.num_labels == 3


@pytest.mark.parametrize("damage", ["garbage", "cut short", "no file", "unknown type", "pickle"])
def test_load_classifier_of_a_damaged_folder_is_refused(copied: Path, damage: str) -> None:
    weights = copied / "model.safetensors"
    if damage == "garbage":
        weights.write_bytes(b"\xff" * 100)
    elif damage == "cut short":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif damage == "no file":
        weights.unlink()
    elif damage == "unknown type":
        (copied / "config.json").write_text('{"model_type": "no-such-thing"}')
    else:
        weights.unlink()
        torch.save({}, copied / "pytorch_model.bin")
    with pytest.raises(TeacherError, match="transformers makes no sequence classifier"):
        load_classifier(copied, ("x", "y", "z"))


def test_load_classifier_with_code_of_its_own_is_refused_and_the_code_is_not_run(copied: Path, tmp_path: Path) -> None:
    (copied / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: pass\nclass Model: pass\n")
    auto_map = {"AutoConfig": "evil.Config", "AutoModelForSequenceClassification": "evil.Model"}
    (copied / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": auto_map}))
    with pytest.raises(TeacherError, match="trust_remote_code"):
        load_classifier(copied, ("x", "y", "z"))
    assert not (tmp_path / "ran").exists()


def test_save_tokenizer_puts_the_truncation_into_tokenizer_json(copied: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    save_tokenizer(copied, out, max_tokens=9)
    assert json.loads((out / "tokenizer.json").read_text())["truncation"]["max_length"] == 9
    assert TextEncoder.load(out).encode(["please " * 30]).lengths.tolist() == [9]
    assert AutoTokenizer.from_pretrained(out).model_max_length == 9


def test_save_tokenizer_of_a_vocabulary_file_makes_tokenizer_json(
    copied: Path, vocabulary: dict[str, int], tmp_path: Path
) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (copied / name).unlink()
    (copied / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    out = tmp_path / "out"
    out.mkdir()
    save_tokenizer(copied, out, max_tokens=16)
    ids = TextEncoder.load(out).encode(["The Lamps"]).ids.tolist()
    assert ids == [vocabulary[token] for token in ("[CLS]", "the", "lamp", "##s", "[SEP]")]


@pytest.mark.parametrize("damage", ["no file", "cut short"])
def test_save_tokenizer_of_a_folder_without_a_whole_one_is_refused(copied: Path, tmp_path: Path, damage: str) -> None:
    path = copied / "tokenizer.json"
    if damage == "no file":
        path.unlink()
    else:
        path.write_text(path.read_text()[:500])
    with pytest.raises(TeacherError, match="tokenizer"):
        save_tokenizer(copied, tmp_path, max_tokens=16)


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_input_embeddings_are_those_of_the_model(model_folder: Callable[[str], Path], family: str) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(model_folder(family))
    np.testing.assert_array_equal(input_embeddings(model_folder(family)), model.get_input_embeddings().weight.detach().numpy())


def test_input_embeddings_of_a_model_with_as_many_positions_as_tokens_are_not_its_positions(
    make_classifier: Callable[..., Any], tmp_path: Path
) -> None:
    model = make_classifier("bert", max_position_embeddings=55, type_vocab_size=55)
    model.save_pretrained(tmp_path)
    np.testing.assert_array_equal(input_embeddings(tmp_path), model.bert.embeddings.word_embeddings.weight.detach().numpy())


def test_input_embeddings_of_weights_without_any_is_refused(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"vocab_size": 54}))
    with pytest.raises(TeacherError, match="54 rows"):
        input_embeddings(copied)


def test_word_vectors_are_of_whole_words_only(model_folder: Callable[[str], Path], vocabulary: dict[str, int]) -> None:
    found = word_vectors(model_folder("bert"))
    expected = sorted(token for token in vocabulary if token.isalpha() and len(token) > 1)
    assert list(found.words) == expected
    assert found.mask_token == "[MASK]"
    matrix = input_embeddings(model_folder("bert"))
    np.testing.assert_array_equal(found.vectors, matrix[[vocabulary[word] for word in expected]])


def test_word_vectors_of_byte_level_tokens_are_of_the_words_that_they_spell(copied: Path) -> None:
    texts = ["Привет мир", "café là", "the lamp"] * 9  # (its pre-tokenizer parts Hindi words before each vowel sign)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=300, show_progress=False))
    tokenizer.save(str(copied / "tokenizer.json"))
    rewrite_embeddings(copied, tokenizer.get_vocab_size())
    found = word_vectors(copied)
    assert {"Привет", "мир", "café", "là", "the", "lamp"} <= set(found.words)
    assert not {word for word in found.words if not set(word) <= set("".join(texts))}
    place = found.words.index("мир")
    np.testing.assert_array_equal(found.vectors[place], input_embeddings(copied)[tokenizer.encode("мир").ids[0]])


def test_word_vectors_of_byte_level_tokens_without_a_decoder_are_ascii(copied: Path) -> None:
    tokenizer = Tokenizer(models.BPE({"\u0120the": 0, "\u0120caf\u00c3\u00a9": 1, "the": 2}, []))
    tokenizer.save(str(copied / "tokenizer.json"))
    rewrite_embeddings(copied, 3)
    assert word_vectors(copied).words == ("the",)


def test_word_vectors_of_a_wordpiece_vocabulary_without_a_plural_s_are_of_its_words(copied: Path) -> None:
    content = json.loads((copied / "tokenizer.json").read_text())
    content["model"]["vocab"] = {{"##s": "##न", "lamp": "हिन्दी"}.get(t, t): i for t, i in content["model"]["vocab"].items()}
    (copied / "tokenizer.json").write_text(json.dumps(content))
    assert {"song", "हिन्दी"} <= set(word_vectors(copied).words)


def test_unspaced_word_vectors_are_of_whole_tokens_in_scripts_without_spaces(copied: Path, vocabulary: dict[str, int]) -> None:
    content = json.loads((copied / "tokenizer.json").read_text())
    renamed = {"lamp": "我", "song": "我们", "##s": "##我", "rain": "我a", "sun": "。"}
    content["model"]["vocab"] = {renamed.get(token, token): index for token, index in vocabulary.items()}
    (copied / "tokenizer.json").write_text(json.dumps(content))
    found = unspaced_word_vectors(copied)
    assert found.words == ("我", "我们")
    np.testing.assert_array_equal(found.vectors, input_embeddings(copied)[[vocabulary["lamp"], vocabulary["song"]]])


def test_label_texts_gives_each_text_its_own_logits_in_the_order_of_the_texts(
    model_folder: Callable[[str], Path], rows: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_model, "multiplies_bf16", lambda _: False)
    folder, texts = model_folder("bert"), rows(70, seed=6)[0]
    model, encoder = load_classifier(folder, ("x", "y", "z")), TextEncoder.load(folder)
    found = list(label_texts(model, encoder, iter([texts[:50], texts[50:69], texts[69:]]), tokens_per_batch=40))
    assert [part.logits.shape for part in found] == [(50, 3), (19, 3), (1, 3)]
    width = model.config.hidden_size
    assert [part.vectors.shape for part in found] == [(50, 3, width), (19, 3, width), (1, 3, width)]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        alone = [model.eval()(**tokenizer(text, return_tensors="pt", truncation=True), output_hidden_states=True)
                 for text in texts]
    expected = np.concatenate([answer.logits.numpy() for answer in alone])
    np.testing.assert_allclose(np.concatenate([part.logits for part in found]), expected, atol=1e-4)
    states = [tuple(state[0].numpy() for state in answer.hidden_states) for answer in alone]  # one text, no padding
    assert len(states[0]) == 3  # the embedding and two layers, of which the first is halfway up
    expected = np.stack([np.stack([last[0], last.mean(axis=0), middle.mean(axis=0)]) for _, middle, last in states])
    np.testing.assert_allclose(np.concatenate([part.vectors for part in found]), expected, atol=1e-4)


def test_sentence_vectors_when_padded_then_first_token_and_mean_of_the_real_ones() -> None:
    last = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [99.0, 99.0]], [[4.0, 0.0], [0.0, 2.0], [2.0, 4.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    expected = torch.tensor([[[1.0, 2.0], [2.0, 4.0], [-2.0, -4.0]], [[4.0, 0.0], [2.0, 2.0], [-2.0, -2.0]]])
    torch.testing.assert_close(sentence_vectors_of(SentenceStates(middle=-last, last=last), mask), expected)


@pytest.mark.parametrize(("layers", "middle"), [(1, 1), (2, 1), (3, 2), (4, 2), (6, 3), (12, 6)])
def test_sentence_states_are_those_of_the_last_layer_and_of_the_one_halfway_up(layers: int, middle: int) -> None:
    found = sentence_states_of([torch.full((1, 1, 1), float(layer)) for layer in range(layers + 1)])
    assert (found.middle.item(), found.last.item()) == (middle, layers)


def test_label_texts_in_bfloat16_stays_near_float32(
    model_folder: Callable[[str], Path], rows: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, texts = model_folder("bert"), rows(40, seed=6)[0]
    model, encoder = load_classifier(folder, ("x", "y", "z")), TextEncoder.load(folder)
    answers = []
    for has_bf16 in (True, False):
        monkeypatch.setattr(teacher_model, "multiplies_bf16", lambda _, has=has_bf16: has)
        answers.append(next(label_texts(model, encoder, iter([texts]))).logits)
    assert answers[0].dtype == np.float32
    assert np.abs(answers[0] - answers[1]).mean() < 0.1 * np.abs(answers[1]).mean()


def test_token_vectors_of_a_teacher_with_a_narrow_embedding_fill_its_view_with_zeros(
    write_tokenizer_files: Callable[[Path], None], tmp_path: Path
) -> None:
    write_tokenizer_files(tmp_path)
    config = ElectraConfig(vocab_size=55, embedding_size=16, hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
                           intermediate_size=32, max_position_embeddings=40)
    model = ElectraForSequenceClassification(config)
    found = token_vectors(model, TextEncoder.load(tmp_path)).astype(np.float32)
    table = model.get_input_embeddings().weight.detach().numpy()
    centred = table - table.mean(axis=0)
    assert found.shape == (55, 3 * 32)
    np.testing.assert_allclose(found[:, :16], centred / np.linalg.norm(centred, axis=1, keepdims=True), atol=1e-3)
    assert not found[:, 16:32].any()
    np.testing.assert_allclose(np.linalg.norm(found[:, 32:64], axis=1), 1, atol=1e-2)


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_token_vectors_are_what_the_teacher_makes_of_each_token_alone(
    model_folder: Callable[[str], Path], family: str
) -> None:
    model, encoder = load_classifier(model_folder(family), ("x", "y", "z")).eval(), TextEncoder.load(model_folder(family))
    found = token_vectors(model, encoder)
    assert found.shape == (55, 3 * 32)
    with torch.inference_mode():
        states = [model.base_model(input_ids=torch.tensor([[2, i, 3]]))[0][0].numpy() for i in range(55)]
    views = [model.get_input_embeddings().weight.detach().numpy(), np.stack([s[1] for s in states]), np.stack([s[0] for s in states])]
    for part, view in zip(np.split(found.astype(np.float32), 3, axis=1), views, strict=True):
        centred = view - view.mean(axis=0)
        expected = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        assert (part * expected).sum(axis=1).min() > 0.99  # cosine; a host with bfloat16 rounds


def test_label_texts_when_the_family_cannot_be_computed_in_bfloat16_then_in_float32(
    model_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = TextEncoder.load(model_folder("bert"))
    monkeypatch.setattr(teacher_model, "multiplies_bf16", lambda _: True)
    config = DebertaConfig(vocab_size=encoder.tokenizer.get_vocab_size(), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                           intermediate_size=16, relative_attention=True, pos_att_type=["c2p", "p2c"], num_labels=3)
    model = DebertaForSequenceClassification(config)
    found = next(label_texts(model, encoder, iter([["quick lamp", "cold radio song"]])))
    assert np.isfinite(found.logits).all()
    assert found.logits.shape == (2, 3)
