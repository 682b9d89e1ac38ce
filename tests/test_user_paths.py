"""Paths that a user names: a prepared folder whose labels mean other classes to a model is refused."""

import json
from pathlib import Path

import pytest

from edgedistill.errors import ArtifactError
from edgedistill.problem_type import SEVERAL_LABELS, ProblemType
from edgedistill.results import Labels
from edgedistill.user_paths import named_classes, open_calibration, open_examples


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


@pytest.mark.parametrize(("names", "problem"), [(("yes", "no"), "single_label_classification"), (("no", "yes"), SEVERAL_LABELS)])
def test_open_examples_when_the_labels_mean_other_classes_to_a_bundle_then_refused(
    names: tuple[str, ...], problem: ProblemType, prepared: Path, tmp_path: Path
) -> None:
    (bundle := tmp_path / "bundle").mkdir()
    (bundle / "labels.json").write_text(Labels(labels=names, problem_type=problem).to_json())
    with pytest.raises(ArtifactError, match="its class 0 is 'yes'|its problem_type is multi"), open_examples(prepared, "test", like=bundle):
        pass


def test_named_classes_then_those_with_names_alone(tmp_path: Path) -> None:
    (bundle := tmp_path / "bundle").mkdir()
    assert named_classes(bundle) is None
    (bundle / "labels.json").write_text(Labels(labels=("no", "yes")).to_json())
    assert named_classes(bundle) == ("no", "yes")
    assert named_classes(model_of(tmp_path, "LABEL_0", "LABEL_1")) is None


def test_open_examples_when_only_the_texts_are_read_then_the_classes_do_not_matter(prepared: Path, tmp_path: Path) -> None:
    with open_examples(prepared, "test", like=model_of(tmp_path, "yes", "no"), are_labels_read=False) as path:
        assert path == prepared / "test.arrow"
