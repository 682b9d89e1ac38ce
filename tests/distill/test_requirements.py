"""Losses that look inside a teacher: which teachers they are refused with, before any work."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgedistill.distill.requirements import require_fitting_losses, require_one_target, require_same_length, require_views
from edgedistill.errors import ArtifactError, RecipeError, TeacherError
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS
from edgedistill.recipe import LossTerm

INNER = ("hidden-states", "attentions", "minilm-v1", "minilm-v2")
LOGITS = (LossTerm(name="decoupled-kd"),)


@pytest.fixture
def teacher(tmp_path: Path, wordpiece_json: str) -> Path:
    """A folder with the two files that are looked at."""
    (tmp_path / "tokenizer.json").write_text(wordpiece_json)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    return tmp_path


def with_byte_pairs(teacher: Path) -> Path:
    (teacher / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {}}}))
    return teacher


def with_config(teacher: Path, **config: Any) -> Path:
    (teacher / "config.json").write_text(json.dumps(config))
    return teacher


def test_require_fitting_losses_with_a_wordpiece_bert_accepts_all(teacher: Path) -> None:
    assert require_fitting_losses([LossTerm(name=name) for name in INNER] + list(LOGITS), teacher) is None


@pytest.mark.parametrize("name", INNER)
def test_require_fitting_losses_with_a_byte_pair_teacher_refuses_what_pairs_tokens(name: str, teacher: Path) -> None:
    with pytest.raises(RecipeError, match=rf"distillation.losses: {name} .*no WordPiece") as refused:
        require_fitting_losses([*LOGITS, LossTerm(name=name)], with_byte_pairs(teacher))
    assert "decoupled-kd" in refused.value.hint


def test_require_fitting_losses_with_a_byte_pair_teacher_accepts_losses_on_logits(teacher: Path) -> None:
    assert require_fitting_losses(LOGITS, with_byte_pairs(teacher)) is None
    assert require_fitting_losses((), with_byte_pairs(teacher)) is None


@pytest.mark.parametrize(("config", "says"), [
    ({"model_type": "mobilebert"}, "mobilebert"),
    ({"model_type": "bert", "position_embedding_type": "relative_key"}, "'bert' with 'relative_key' ones"),
    ({"model_type": "bert", "pruned_heads": {"1": [0, 2]}}, "some heads were pruned from this teacher"),
])
def test_require_fitting_losses_on_attention_that_is_not_known_is_refused(config: dict[str, Any], says: str, teacher: Path) -> None:
    with_config(teacher, **config)
    with pytest.raises(RecipeError, match=says):
        require_fitting_losses([LossTerm(name="minilm-v2")], teacher)
    require_fitting_losses([LossTerm(name="hidden-states")], teacher)


def test_require_fitting_losses_before_there_is_a_tokenizer_file_judges_the_family(teacher: Path) -> None:
    (teacher / "tokenizer.json").unlink()
    require_fitting_losses([LossTerm(name="minilm-v2")], teacher)
    with pytest.raises(RecipeError, match="roberta"):
        require_fitting_losses([LossTerm(name="minilm-v2")], with_config(teacher, model_type="roberta"))


def test_require_fitting_losses_with_a_damaged_config_says_which_file(teacher: Path) -> None:
    (teacher / "config.json").write_text("{")
    with pytest.raises(TeacherError, match=r"config.json:1"):
        require_fitting_losses([LossTerm(name="minilm-v2")], teacher)


def test_sentence_vectors_of_an_earlier_version_are_refused_where_a_loss_compares_them(tmp_path: Path) -> None:
    np.save(tmp_path / "old.npy", np.zeros((7, 2, 5), np.float16))
    assert require_views(LOGITS, tmp_path / "old.npy") is None
    with pytest.raises(ArtifactError, match=r"old.npy: is of shape \(7, 2, 5\), where 3 vectors a text") as refused:
        require_views([*LOGITS, LossTerm(name="sentence-vectors")], tmp_path / "old.npy")
    assert "edgedistill teach" in str(refused.value.hint)


@pytest.mark.parametrize(("content", "says"), [
    (None, "no such file"), (b"", "cannot be read"), (b"no array", "cannot be read"), (b"\x93NUMPY\x01\x00v\x00{'descr'", "cannot be read"),
])
def test_sentence_vectors_that_are_missing_or_damaged_are_refused(content: bytes | None, says: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "damaged.npy").write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"damaged.npy: {says}") as refused:
        require_views([LossTerm(name="sentence-vectors")], tmp_path / "damaged.npy")
    assert "edgedistill teach" in str(refused.value.hint)


def test_sentence_vectors_of_this_version_are_taken(tmp_path: Path) -> None:
    np.save(tmp_path / "new.npy", np.zeros((7, 3, 5), np.float16))
    assert require_views([LossTerm(name="sentence-vectors")], tmp_path / "new.npy") is None


@pytest.mark.parametrize("wanted", [32, 128])
def test_require_same_length_when_the_teacher_answered_texts_of_another_length_then_refused(wanted: int, teacher: Path) -> None:
    content = json.loads((teacher / "tokenizer.json").read_text())
    content["truncation"] = {"max_length": 64, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    (teacher / "tokenizer.json").write_text(json.dumps(content))
    require_same_length(64, teacher)
    with pytest.raises(RecipeError, match=f"max_tokens is {wanted}, but the teacher answered texts of 64") as refused:
        require_same_length(wanted, teacher)
    assert "--set teacher.max_tokens=64" in (refused.value.hint or "")


def test_require_one_target_when_texts_have_several_labels_then_refuses_decoupled_kd_alone() -> None:
    losses = [LossTerm(name="sentence-vectors"), LossTerm(name="decoupled-kd")]
    require_one_target(losses, ONE_LABEL)
    require_one_target(losses[:1], SEVERAL_LABELS)
    with pytest.raises(RecipeError, match="decoupled-kd tells the one target class"):
        require_one_target(losses, SEVERAL_LABELS)
