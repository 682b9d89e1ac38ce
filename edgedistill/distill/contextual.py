"""First embeddings for a student that cannot be cut out of its teacher: what the teacher makes of each token."""

import unicodedata
from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from edgedistill.progress import counted
from edgedistill.tasks.encoding import inputs_of
from edgedistill.tasks.text_classification.encoding import TextEncoder

_OVER_POSITIONS = 2.5
"""Standard deviation of the embeddings over that of the positions', which start random: a token outweighs its position, as in a
trained BERT (0.05 to 0.02)."""

_BATCH = 512
_PREFIX = "##"


@torch.inference_mode()
def contextual_embeddings(
    teacher: PreTrainedModel, encoder: TextEncoder, tokens: Sequence[str], *, width: int, positions_std: float
) -> torch.Tensor:
    """Return first embeddings of a student's tokens: the teacher's last hidden states, reduced by PCA.

    Each token is read by the teacher as a text of its own; its vector is the mean of the last layer's outputs over that
    text. The idea is model2vec's (Tulkens and van Dongen 2024), with the fine-tuned teacher in place of a general encoder.

    Args:
        teacher: any encoder with a classifier.
        encoder: the teacher's tokenizer.
        tokens: the student's n tokens; the pieces inside of words begin with "##".
        width: of the student.
        positions_std: standard deviation of the student's first position embeddings.

    Returns:
        shape (n, width), centred, standard deviation 2.5 times that of the positions. A student wider than the teacher gets zeros
        in the rest.
    """
    teacher.eval()
    names = inputs_of(teacher.forward)
    # a vocabulary may hold Hangul as single letters, which a teacher knows as syllables
    encoded = encoder.encode([unicodedata.normalize("NFC", token.removeprefix(_PREFIX)) for token in tokens])
    order = np.argsort(encoded.lengths, kind="stable")
    found = torch.empty(len(tokens), teacher.config.hidden_size)
    batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
    for rows in counted(batches, what="first embeddings", total=len(order), unit="tokens", size=len):
        batch = {name: torch.from_numpy(values) for name, values in encoded.batch(rows).items() if name in names}
        mask = batch["attention_mask"].unsqueeze(-1).to(torch.float32)
        states = teacher.base_model(**{name: values.to(teacher.device) for name, values in batch.items()})[0].float().cpu()
        found[torch.from_numpy(rows)] = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp_min(1.0)
    return _reduce(found, width, std=_OVER_POSITIONS * positions_std)


def _reduce(vectors: torch.Tensor, width: int, *, std: float) -> torch.Tensor:
    """Project on the first principal components and scale."""
    centred = (vectors - vectors.mean(dim=0)).double()
    _, directions = torch.linalg.eigh(centred.T @ centred)
    kept = min(width, centred.shape[1])
    reduced = (centred @ directions.flip(1)[:, :kept]).float()
    padded = torch.nn.functional.pad(reduced, (0, width - kept))
    return padded * (std / padded.std().clamp_min(1e-9))
