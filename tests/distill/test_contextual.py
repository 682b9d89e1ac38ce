"""First embeddings from the teacher's contextual output: shape, spread, likeness kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgedistill.distill import contextual
from edgedistill.distill.contextual import contextual_embeddings
from edgedistill.tasks.text_classification.encoding import TextEncoder

TOKENS = ("lamp", "light", "song", "rain", "##s", "please", "the", "kitchen")


@pytest.fixture(scope="module")
def teacher(make_classifier: Callable[..., Any]) -> Any:
    return make_classifier("distilbert")


@pytest.fixture(scope="module")
def encoder(model_folder: Callable[[str], Path]) -> TextEncoder:
    return TextEncoder.load(model_folder("distilbert"))


def states(teacher: Any, encoder: TextEncoder) -> np.ndarray:
    """The mean last hidden state of each token read alone, one at a time, by hand."""
    with torch.inference_mode():
        rows = [teacher.base_model(input_ids=torch.from_numpy(encoder.encode([token.removeprefix("##")]).ids[None].astype(np.int64)))[0][0]
                for token in TOKENS]
    return np.stack([row.mean(dim=0).numpy() for row in rows])


def test_contextual_embeddings_as_wide_as_the_teacher_keep_all_distances(teacher: Any, encoder: TextEncoder) -> None:
    found = contextual_embeddings(teacher, encoder, TOKENS, width=32, positions_std=0.02).numpy()
    wanted = states(teacher, encoder)
    distances = [np.linalg.norm(rows[:, None] - rows[None], axis=2) for rows in (found, wanted)]
    ratio = distances[0][distances[1] > 0] / distances[1][distances[1] > 0]
    assert ratio.std() / ratio.mean() < 1e-3


def test_contextual_embeddings_when_many_tokens_then_say_how_far(
    teacher: Any, encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(contextual, "_BATCH", 3)
    monkeypatch.setattr("edgedistill.progress._LINE_EVERY_S", 0.0)
    with caplog.at_level("INFO", logger="edgedistill"):
        contextual_embeddings(teacher, encoder, TOKENS, width=4, positions_std=0.02)
    told = [record.getMessage().rpartition(", about ")[0] for record in caplog.records]
    assert told == ["first embeddings: 3 of 8 tokens", "first embeddings: 6 of 8 tokens"]


@pytest.mark.parametrize("width", [4, 32, 48])
def test_contextual_embeddings_have_the_students_width_and_the_usual_spread(
    teacher: Any, encoder: TextEncoder, width: int
) -> None:
    found = contextual_embeddings(teacher, encoder, TOKENS, width=width, positions_std=0.02)
    assert found.shape == (len(TOKENS), width)
    assert float(found.std()) == pytest.approx(0.05, rel=1e-3)
    assert torch.allclose(found.mean(dim=0), torch.zeros(width), atol=1e-5)


def test_contextual_embeddings_of_less_width_keep_the_principal_components(teacher: Any, encoder: TextEncoder) -> None:
    found = contextual_embeddings(teacher, encoder, TOKENS, width=3, positions_std=0.02).numpy()
    wanted = states(teacher, encoder)
    left = np.linalg.svd(wanted - wanted.mean(axis=0), full_matrices=False)[0][:, :3]
    assert np.linalg.norm(left.T @ found) == pytest.approx(np.linalg.norm(found), rel=1e-3)  # nothing lies outside their span
