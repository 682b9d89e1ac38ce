"""Which test pictures become golden ones."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgedistill.examples import read_examples
from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification.encoding import Preprocessing
from edgedistill.tasks.image_classification.golden import GoldenRule, covered_words, make_golden_pictures
from edgedistill.tasks.image_classification.pictures import Rows, write_pictures


@pytest.mark.parametrize(("classes", "said"), [
    (3, "they cover the classes in turn"), (40, "they are of the first 29 of 40 classes, one of each, as a bundle has so few")])
def test_golden_when_classes_are_more_than_places_then_the_words_say_which_are_there(classes: int, said: str, tmp_path: Path) -> None:
    size, file = PictureSize(8, 1), tmp_path / "test.arrow"
    names = [f"{row} of class {row % classes:02d}" for row in range(80)]
    rows = Rows([f"id{row}" for row in range(80)], names, [row % classes for row in range(80)])
    write_pictures(file, rows, [np.zeros((80, 8, 8, 1), np.uint8)], size=size)
    model = SimpleNamespace(logits=lambda inputs: np.eye(1, classes, dtype=np.float32) * 9)
    golden = make_golden_pictures(
        read_examples(file), Preprocessing(size, (0.5,), (0.5,)), model=model, labels=[str(label) for label in range(classes)],
        rule=GoldenRule(0.25, {}, 1),
    )
    shown = [int(vector.text.rpartition(" ")[2]) for vector in golden.vectors]
    assert len(shown) == 29
    assert set(shown) == set(range(min(29, classes)))
    assert covered_words(len(shown), classes=classes) == said
