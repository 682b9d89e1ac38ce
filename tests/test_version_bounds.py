"""Bounds of versions: what pip would refuse is outside; what nobody can tell is not."""

import importlib.metadata

import pytest

from edgedistill import version_bounds
from edgedistill.version_bounds import Bounds, exceeded_bounds

ASKED = ["torch>=2.6", "neural-compressor[pt]<3.11,>=3.10", "Some_Thing==0.1.0; extra == 'demo'"]


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ASKED)
    version_bounds._requirements.cache_clear()
    yield
    version_bounds._requirements.cache_clear()


@pytest.mark.parametrize(("package", "version", "expected"), [
    ("torch", "2.6", None), ("torch", "2.6.0+cpu", None), ("torch", "2.10.0.dev20260101", None), ("torch", None, None),
    ("torch", "2.5.9", Bounds(">=2.6", "torch>=2.6")), ("torch", "2.6.0rc1", Bounds(">=2.6", "torch>=2.6")),
    ("torch", "git-abc", None), ("numpy", "0.1", None),
    ("neural-compressor", "3.10.1", None),
    ("neural-compressor", "3.11", Bounds(">=3.10,<3.11", "neural-compressor[pt]>=3.10,<3.11")),
    ("some-thing", "0.2", Bounds("==0.1.0", "some-thing==0.1.0")),
])
def test_exceeded_bounds_when_a_version_is_installed_then_as_pip_reads_them(
    package: str, version: str | None, expected: Bounds | None
) -> None:
    assert exceeded_bounds(package, version) == expected


@pytest.mark.parametrize("missing", ["packaging", "edgedistill"])
def test_exceeded_bounds_when_nobody_can_tell_then_none(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> list[str]:
        if name == missing:
            raise importlib.metadata.PackageNotFoundError(name)
        return ASKED

    monkeypatch.setattr(importlib.metadata, "version", refuse)
    monkeypatch.setattr(importlib.metadata, "requires", refuse)
    assert exceeded_bounds("torch", "1.0") is None
