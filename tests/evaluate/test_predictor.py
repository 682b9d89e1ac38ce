"""predict: every row once and in order, also where long texts make a batch too large."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgedistill.evaluate.predictor import predict
from edgedistill.tasks.text_classification.encoding import EncodedTexts


class FirstTokens:
    """Answers with the first token of each text, and keeps how large the batches were."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def logits(self, batch: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        self.shapes.append(batch["input_ids"].shape)
        return batch["input_ids"][:, :1].astype(np.float32)


@pytest.mark.parametrize(("tokens", "shapes"), [(64, [(32, 64), (8, 64)]), (512, [(8, 512)] * 5)])
def test_predict_when_texts_are_long_then_fewer_at_a_time_and_in_their_order(tokens: int, shapes: list[tuple[int, int]]) -> None:
    ids = np.repeat(np.random.default_rng(0).permutation(40), tokens).astype(np.int32)
    encoded = EncodedTexts(ids, np.arange(41) * tokens, 0)
    model = FirstTokens()
    assert predict(model, encoded, batch_size=32)[:, 0].tolist() == ids[::tokens].tolist()
    assert model.shapes == shapes
