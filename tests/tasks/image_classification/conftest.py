"""Folders of small pictures: two classes that differ in their colours."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeFolder = Callable[..., Path]


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Make a folder with a folder of `rows` pictures for each class, every picture another one."""

    def make(name: str = "photos", rows: int = 12, classes: tuple[str, ...] = ("dark", "light"), side: int = 20) -> Path:
        rng = np.random.default_rng(list(name.encode()))
        for number, label in enumerate(classes):
            (tmp_path / name / label).mkdir(parents=True)
            for row in range(rows):
                pixels = rng.integers(120 * number, 120 * number + 120, (side, side + 3, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / name / label / f"{row:02d}.png")
        return tmp_path / name

    return make
