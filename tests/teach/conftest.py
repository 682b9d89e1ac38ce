"""Prepared data for the teach stages."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgedistill.examples import write_examples
from edgedistill.results import Labels


@pytest.fixture(scope="session")
def data(rows: Callable[..., Any], labels: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `prepare` leaves, of a few texts. Not to be changed."""
    folder = tmp_path_factory.mktemp("data")
    for name, n, seed in (("train", 48, 1), ("validation", 20, 2)):
        texts, classes = rows(n, seed=seed)
        write_examples(folder / f"{name}.arrow", [f"{name}-{i}" for i in range(n)], texts, classes)
    write_examples(folder / "unlabelled.arrow", [], [], [])
    (folder / "labels.json").write_text(Labels(labels=labels).to_json())
    return folder
