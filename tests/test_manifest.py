"""Manifests: they come back as written, and one that does not hold is none."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from edgedistill.artifact import describe
from edgedistill.host import this_host
from edgedistill.manifest import MANIFEST_FILE, Decision, GivenWarning, Manifest, read_valid_manifest, warned


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """The folder of a finished step with two outputs."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "model.bin").write_bytes(b"weights")
    (tmp_path / "sub" / "log.txt").write_text("log")
    manifest = Manifest(
        step="export-student", stage="export", stage_version=2, key="0123", settings_json="{}", inputs={"model": "ab"},
        outputs=tuple(describe(tmp_path / name, root=tmp_path) for name in ("model.bin", "sub/log.txt")),
        decisions=(Decision(step="export", what="did it", why="because"),), tools={"onnx": "1.18"}, host=this_host(),
        started=datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC), duration_s=1.5,
    )
    (tmp_path / MANIFEST_FILE).write_text(manifest.to_json())
    return tmp_path


def test_manifest_when_a_decision_was_a_warning_then_it_is_one_again_and_the_others_are_none(finished: Path) -> None:
    manifest = read_valid_manifest(finished)
    assert manifest is not None
    told = warned(manifest.decisions[0])
    (again,) = Manifest.model_validate_json(manifest.model_copy(update={"decisions": (told,)}).to_json()).decisions
    assert again == told
    assert [type(decision) for decision in (again, *manifest.decisions)] == [GivenWarning, Decision]


def test_read_valid_manifest_when_all_hashes_hold_then_the_manifest(finished: Path) -> None:
    manifest = read_valid_manifest(finished)
    assert manifest is not None
    assert (manifest.step, manifest.stage, manifest.stage_version) == ("export-student", "export", 2)
    assert manifest.started == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert [output.path for output in manifest.outputs] == ["model.bin", "sub/log.txt"]
    assert Manifest.read_json(finished / MANIFEST_FILE) == manifest


@pytest.mark.parametrize("damage", ["no manifest", "cut", "not JSON", "not UTF-8", "another kind", "unknown key",
                                    "output gone", "output longer", "same length, another byte", "output a folder"])
def test_read_valid_manifest_when_anything_is_wrong_then_none(finished: Path, damage: str) -> None:
    path, output = finished / MANIFEST_FILE, finished / "model.bin"
    text = path.read_text()
    if damage == "no manifest":
        path.unlink()
    elif damage == "cut":
        path.write_text(text[: len(text) // 2])
    elif damage == "not JSON":
        path.write_text("hello")
    elif damage == "not UTF-8":
        path.write_bytes(b"\xff\xfe")
    elif damage == "another kind":
        path.write_text('{"name": "a web app"}')
    elif damage == "unknown key":
        path.write_text(text.replace('"step"', '"more": 1, "step"', 1))
    elif damage == "output gone":
        output.unlink()
    elif damage == "output longer":
        output.write_bytes(b"weights!")
    elif damage == "same length, another byte":
        output.write_bytes(b"weightz")
    else:
        output.unlink()
        output.mkdir()
    assert read_valid_manifest(finished) is None


def test_read_valid_manifest_when_the_folder_is_missing_then_none(tmp_path: Path) -> None:
    assert read_valid_manifest(tmp_path / "nowhere") is None
