"""Paths that a user names: a prepared folder whose labels mean other classes to a model is refused."""

import json
from pathlib import Path

import pytest

from edgedistill.errors import ArtifactError
from edgedistill.results import Labels
from edgedistill.user_paths import open_calibration, open_examples


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "labels.json").write_text(Labels(labels=("no", "yes")).to_json())
    for split in ("train", "validation", "test"):
        (folder / f"{split}.arrow").touch()
    return folder


def model_of(tmp_path: Path, *names: str) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"id2label": dict(enumerate(names))} if names else {"model_type": "bert"}))
    return folder


@pytest.mark.parametrize(("names", "told"), [
    (("yes", "no"), "its class 0 is 'yes', that of"), (("no", "maybe"), "its class 1 is 'maybe', that of"),
    (("no",) * 2, "its class 1 is 'no', that of"), (("LABEL_1", "LABEL_0"), "its class 0 is 'LABEL_1'"),
])
def test_open_examples_when_the_labels_mean_other_classes_to_the_model_then_refused(
    names: tuple[str, ...], told: str, prepared: Path, tmp_path: Path
) -> None:
    model = model_of(tmp_path, *names)
    for opened in (open_examples(prepared, "test", like=model), open_calibration(prepared, model)):
        with pytest.raises(ArtifactError, match=told) as refused, opened:
            pass
        assert "matched by name" in (refused.value.hint or "")


@pytest.mark.parametrize("names", [("no", "yes"), ("no", "yes", "maybe"), ("LABEL_0", "LABEL_1"), ("LABEL_0", "LABEL_1", "LABEL_2"), ()])
def test_open_examples_when_the_classes_are_the_same_and_perhaps_more_or_have_no_names_then_opened(
    names: tuple[str, ...], prepared: Path, tmp_path: Path
) -> None:
    with open_examples(prepared, "test", like=model_of(tmp_path, *names)) as path:
        assert path == prepared / "test.arrow"


def test_open_examples_when_only_the_texts_are_read_then_the_classes_do_not_matter(prepared: Path, tmp_path: Path) -> None:
    with open_examples(prepared, "test", like=model_of(tmp_path, "yes", "no"), are_labels_read=False) as path:
        assert path == prepared / "test.arrow"
