"""Decoders and encoder-decoders are refused as teachers, and the list of decoders is transformers'."""

import json
from pathlib import Path

import pytest

from edgedistill.errors import TeacherError
from edgedistill.teach.decoders import DECODERS, require_encoder


def test_require_encoder_when_the_teacher_is_a_decoder_then_says_what_to_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2"}))
    with pytest.raises(TeacherError, match="a qwen2 reads texts from left to right") as refused:
        require_encoder(tmp_path)
    assert "BERT" in (refused.value.hint or "")


@pytest.mark.parametrize("config", [
    {"model_type": "bart", "is_encoder_decoder": True}, {"model_type": "marian", "is_encoder_decoder": True},
    *({"model_type": family} for family in ("bart", "mbart", "t5", "mt5", "umt5", "led", "mvp", "plbart")),
    {"is_encoder_decoder": True},
])
def test_require_encoder_when_it_is_an_encoder_decoder_then_says_what_to_name(config: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(TeacherError, match=f"{config.get('model_type', 'this model')} is an encoder-decoder") as refused:
        require_encoder(tmp_path)
    assert "BERT" in (refused.value.hint or "")


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert", "deberta-v2", "mpnet"])
def test_require_encoder_when_it_is_an_encoder_then_nothing_is_said(family: str, tmp_path: Path) -> None:
    for config in ({"model_type": family}, {"model_type": family, "is_encoder_decoder": False}):
        (tmp_path / "config.json").write_text(json.dumps(config))
        require_encoder(tmp_path)


def test_decoders_are_the_families_that_classify_and_generate_and_fill_in_no_masks() -> None:
    from transformers.models.auto import modeling_auto as auto

    generate, fill, classify = (set(names) for names in (
        auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES))
    assert (generate - fill) & classify <= DECODERS
    assert not DECODERS & fill
