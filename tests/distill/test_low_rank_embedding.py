"""Embeddings of two parts: the same answers as the stock table, both parts learn, and a stock model comes out."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from edgedistill.distill.low_rank_embedding import LowRankEmbedding, merge_embedding, round_to_rank, split_embedding
from edgedistill.low_rank import RANK_KEY

IDS = torch.tensor([[2, 7, 9, 3, 0]])


@pytest.fixture
def model() -> BertForSequenceClassification:
    torch.manual_seed(0)
    config = BertConfig(vocab_size=60, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
                        max_position_embeddings=8, num_labels=3, pad_token_id=0, **{RANK_KEY: 5})
    made = BertForSequenceClassification(config).eval()
    round_to_rank(made, 5)
    return made


def table_of(model: BertForSequenceClassification) -> torch.Tensor:
    return model.bert.embeddings.word_embeddings.weight.detach().clone()


def test_round_to_rank_when_done_then_a_stock_table_of_that_rank(model: BertForSequenceClassification) -> None:
    assert type(model.bert.embeddings.word_embeddings) is torch.nn.Embedding
    assert torch.linalg.matrix_rank(table_of(model), atol=1e-5) == 5


def test_split_embedding_when_the_configuration_has_no_rank_then_nothing_changes(model: BertForSequenceClassification) -> None:
    delattr(model.config, RANK_KEY)
    split_embedding(model)
    assert type(model.bert.embeddings.word_embeddings) is torch.nn.Embedding


def test_split_and_merge_when_nothing_is_learned_then_the_same_answers(model: BertForSequenceClassification) -> None:
    expected, table = model(input_ids=IDS).logits.detach(), table_of(model)
    split_embedding(model)
    assert isinstance(model.bert.embeddings.word_embeddings, LowRankEmbedding)
    torch.testing.assert_close(model(input_ids=IDS).logits.detach(), expected, atol=1e-5, rtol=0)
    merge_embedding(model)
    assert type(model.bert.embeddings.word_embeddings) is torch.nn.Embedding
    assert model.bert.embeddings.word_embeddings.padding_idx == 0
    torch.testing.assert_close(table_of(model), table, atol=1e-6, rtol=0)


def test_low_rank_embedding_when_trained_then_both_parts_learn_and_padding_does_not(model: BertForSequenceClassification) -> None:
    split_embedding(model)
    model(input_ids=IDS).logits.square().sum().backward()
    parts = model.bert.embeddings.word_embeddings
    assert parts.basis.weight.grad.abs().max() > 0
    assert sorted(parts.rows.weight.grad.abs().sum(1).nonzero().flatten().tolist()) == [2, 3, 7, 9]


def test_merged_model_when_saved_then_loads_as_a_stock_one_and_still_knows_its_rank(
    model: BertForSequenceClassification, tmp_path: Path
) -> None:
    split_embedding(model)
    merge_embedding(model)
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(again(input_ids=IDS).logits, model(input_ids=IDS).logits)
    assert getattr(again.config, RANK_KEY) == 5
