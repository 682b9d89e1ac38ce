"""Train a student whose embedding table is a product of two thin ones; see `edgedistill.low_rank`."""

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import BertForSequenceClassification, PreTrainedModel

from edgedistill.low_rank import RANK_KEY, factorise


class LowRankEmbedding(torch.nn.Module):
    """Looks up rows of `rank` numbers and takes them to the model's width, by the stock modules that the graph has too."""

    def __init__(self, rows: torch.Tensor, basis: torch.Tensor, *, padding: int | None) -> None:
        """Take the two parts: shapes (tokens, rank) and (rank, width); the padding token's row is not trained."""
        super().__init__()
        (tokens, rank), (_, width) = rows.shape, basis.shape
        self.rows = torch.nn.Embedding(tokens, rank, padding_idx=padding, _weight=rows)
        self.basis = torch.nn.Linear(rank, width, bias=False)
        self.basis.weight.data = basis.T.contiguous()

    @property
    def weight(self) -> torch.Tensor:
        """The table that the parts make, shape (tokens, width)."""
        return self.rows.weight @ self.basis.weight.T

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of ids, shape (..., width)."""
        made: torch.Tensor = self.basis(self.rows(ids))
        return made


def round_to_rank(
    model: BertForSequenceClassification, rank: int, *, importance: NDArray[np.floating] | None = None
) -> None:
    """Replace the embedding table by the nearest one of that rank, in place; the model stays a stock one.

    Args:
        model: a student.
        rank: of the table.
        importance: how much each token counts, shape (tokens,); None: all alike.
    """
    table = model.bert.embeddings.word_embeddings.weight.data
    rows, basis = factorise(table.numpy(), rank, importance=importance)
    table.copy_(torch.from_numpy(rows @ basis))


def split_embedding(model: BertForSequenceClassification) -> None:
    """Let both parts of the embedding table be trained, in place, where the configuration says that it has two."""
    rank = getattr(model.config, RANK_KEY, None)
    if rank is None:
        return
    old = model.bert.embeddings.word_embeddings
    rows, basis = (torch.from_numpy(part).float() for part in factorise(old.weight.detach().numpy(), rank))
    model.bert.embeddings.word_embeddings = LowRankEmbedding(rows, basis, padding=old.padding_idx)


def merge_embedding(model: PreTrainedModel) -> None:
    """Make the embedding a stock table again, in place; a model that has no parts stays as it is."""
    embeddings = model.bert.embeddings
    parts = embeddings.word_embeddings
    if isinstance(parts, LowRankEmbedding):
        table = parts.weight.detach()
        tokens, width = table.shape
        embeddings.word_embeddings = torch.nn.Embedding(tokens, width, padding_idx=parts.rows.padding_idx, _weight=table)
