"""Calibration rows of an Arrow file: read when they are asked for, the same as all at once, and memory does not grow with them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgedistill.errors import ArtifactError
from edgedistill.examples import map_examples, write_examples
from edgedistill.int8_settings import Calibration
from edgedistill.plan import PictureSize
from edgedistill.quantize.calibration_rows import draw_rows
from edgedistill.quantize.rows import each, read_rows
from edgedistill.tasks.image_classification.encoding import PREPROCESSOR_FILE
from edgedistill.tasks.image_classification.pictures import Rows, write_pictures
from edgedistill.tasks.image_classification.preprocessing import Preprocessing

_PEAK = """
import sys
from pathlib import Path
from edgedistill.benchmark.worker import peak_rss_bytes
from edgedistill.int8_settings import Calibration
from edgedistill.quantize.calibration_rows import draw_rows
from edgedistill.quantize.rows import each
train, model, n = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
rows = draw_rows(train, model, Calibration(rows=n), seed=1, soft_labels=None)
assert sum(1 for row in each(rows)) == n
print(peak_rss_bytes())
"""


@pytest.fixture(scope="module")
def texts(rows: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "train.arrow"
    found, classes = rows(600, seed=4)
    write_examples(path, [f"t{i}" for i in range(600)], found, classes)
    return path


def test_draw_rows_when_read_one_by_one_then_as_all_at_once(texts: Path, model_folder: Callable[[str], Path]) -> None:
    model = model_folder("bert")
    drawn = draw_rows(texts, model, Calibration(rows=500), seed=3, soft_labels=None)
    whole = read_rows(texts, model)
    chosen = np.sort(np.random.default_rng(3).permutation(600)[:500])
    assert len(drawn) == 500
    assert whole.labels is not None
    np.testing.assert_array_equal(drawn.labels, whole.labels[chosen])
    for _ in range(2):  # a calibration goes over them more than once
        for index, row in zip(chosen, each(drawn), strict=True):
            for name, array in whole.row(int(index)).items():
                np.testing.assert_array_equal(row[name], array)


def test_map_examples_when_the_file_has_gone_then_says_so(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such file"):
        map_examples(tmp_path / "train.arrow")


def peak(train: Path, model: Path, rows: int) -> int:
    done = subprocess.run([sys.executable, "-c", _PEAK, str(train), str(model), str(rows)], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_10000_texts_take_no_more_memory_than_100(model_folder: Callable[[str], Path], tmp_path: Path) -> None:
    words = np.random.default_rng(0).integers(0, 50, (12_000, 60))
    found = [" ".join(f"word{word}" for word in row) for row in words]
    write_examples(tmp_path / "train.arrow", [f"t{i}" for i in range(len(found))], found, [i % 3 for i in range(len(found))])
    few, many = (peak(tmp_path / "train.arrow", model_folder("bert"), rows) for rows in (100, 10_000))
    assert many < 1.1 * few


def test_10000_pictures_take_no_more_memory_than_100(tmp_path: Path) -> None:
    size, count = PictureSize(48, 3), 12_000
    names = [str(number) for number in range(count)]
    batches = (np.full((1000, 48, 48, 3), part, np.uint8) for part in range(count // 1000))
    write_pictures(tmp_path / "train.arrow", Rows(names, names, [0] * count), batches, size=size)  # 83 MB
    (tmp_path / PREPROCESSOR_FILE).write_text(Preprocessing(size, (0.5,) * 3, (0.25,) * 3).to_json(), encoding="utf-8")
    few, many = (peak(tmp_path / "train.arrow", tmp_path, rows) for rows in (100, 10_000))
    assert many < 1.1 * few
