"""A published bundle that somebody has changed: kept where it is, or under another name, and never deleted."""

import logging
import shutil
from pathlib import Path

import pytest

from edgedistill.errors import ArtifactError, StorageError
from edgedistill.package.published import changed_in, make_way, require_own_labels, require_unchanged
from edgedistill.results import Labels


@pytest.fixture
def published(packed: Path, tmp_path: Path) -> Path:
    shutil.copytree(packed / "bundle", tmp_path / "bundle")
    return tmp_path / "bundle"


def test_changed_in_names_what_was_edited_or_added_and_no_build(published: Path) -> None:
    assert changed_in(published) == []
    (published / "android" / "build").mkdir(parents=True, exist_ok=True)
    (published / "android" / "build" / "a.apk").write_text("built")
    assert changed_in(published) == []
    (published / "README.md").write_text("mine")
    (published / "notes.txt").write_text("mine")
    assert changed_in(published) == ["README.md", "notes.txt"]
    (published / "labels.json").unlink()  # a copy that was cut short is no edit
    assert changed_in(published) == ["README.md", "notes.txt"]
    (published / "bundle.json").write_text("{")
    assert changed_in(published) == ["bundle.json"]
    assert changed_in(published.parent / "nowhere") == []


def test_require_unchanged_when_somebody_wrote_in_it_then_refused_by_name(published: Path) -> None:
    require_unchanged(published)
    require_unchanged(published.parent / "nowhere")
    (published / "android" / "MyActivity.kt").write_text("mine")
    with pytest.raises(StorageError, match=r"was changed since it was written: android/MyActivity\.kt") as refused:
        require_unchanged(published)
    assert "-o" in refused.value.hint


def test_make_way_when_the_same_bundle_was_changed_then_left_as_it_is(
    published: Path, packed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert make_way(published, packed / "bundle")
    (published / "README.md").write_text("mine")
    with caplog.at_level(logging.WARNING):
        assert not make_way(published, packed / "bundle")
    assert "left as it is, changed since it was written: README.md" in caplog.text


@pytest.mark.parametrize("is_replaced", [True, False])
def test_make_way_when_another_bundle_or_none_comes_then_the_changed_one_gets_another_name(
    published: Path, packed: Path, tmp_path: Path, is_replaced: bool
) -> None:
    shutil.copytree(packed / "bundle", tmp_path / "made")
    (tmp_path / "made" / "bundle.json").write_text("{}")
    for number in (1, 2):
        if not published.exists():
            shutil.copytree(packed / "bundle", published)
        (published / "README.md").write_text(f"mine {number}")
        assert make_way(published, tmp_path / "made" if is_replaced else None)
        assert not published.exists()
        assert (tmp_path / f"bundle.changed-{number}" / "README.md").read_text() == f"mine {number}"


def test_require_own_labels_when_a_bundle_has_other_classes_than_the_data_then_refused(tmp_path: Path) -> None:
    own, data = tmp_path / "own.json", tmp_path / "data.json"
    data.write_text(Labels(labels=("neg", "pos")).to_json(), encoding="utf-8")
    require_own_labels(own, data)  # no bundle
    own.write_text(Labels(labels=("neg", "pos")).to_json(), encoding="utf-8")
    require_own_labels(own, data)
    for labels, said in ((("pos", "neg"), "class 0 is 'pos' in "), (("neg", "pos", "so"), "class 2 is 'so' in .*, none in ")):
        own.write_text(Labels(labels=labels).to_json(), encoding="utf-8")
        with pytest.raises(ArtifactError, match=said):
            require_own_labels(own, data)
