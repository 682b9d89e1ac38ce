"""The built-in digits: every picture is one of scikit-learn's, under the same label, in one split only."""

from collections import Counter

import numpy as np
from sklearn.datasets import load_digits

from edgedistill.catalog import data_folder, load_recipe
from edgedistill.tasks.registry import task_named

FOLDER = data_folder("models") / "handwritten-digits"


def test_digits_when_compared_with_scikit_learn_then_each_once_and_in_one_split() -> None:
    source = load_digits()
    theirs = Counter(
        (np.rint(image * 255 / 16).astype(np.uint8).tobytes(), int(label))
        for image, label in zip(source.images, source.target, strict=True)
    )
    ours: Counter[tuple[bytes, int]] = Counter()
    sizes = {}
    for split in ("train", "validation", "test"):
        with np.load(FOLDER / "data" / f"{split}.npz", allow_pickle=False) as stored:
            sizes[split] = len(stored["label"])
            ours.update((image.tobytes(), int(label)) for image, label in zip(stored["image"], stored["label"], strict=True))
    assert ours == theirs
    assert sizes == {"train": 1167, "validation": 270, "test": 360}


def test_recipe_when_read_then_it_suits_its_task() -> None:
    recipe = load_recipe("handwritten-digits").recipe
    task_named(recipe.task).check(recipe, None)
    assert recipe.budgets.model_bytes == 60_000
