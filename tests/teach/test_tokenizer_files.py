"""Which packages a teacher's tokenizer needs."""

from pathlib import Path

import pytest

from edgedistill.errors import MissingDependencyError
from edgedistill.teach import tokenizer_files
from edgedistill.teach.tokenizer_files import require_tokenizer_packages


@pytest.fixture
def without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokenizer_files, "_is_installed", lambda module: module != "sentencepiece")


@pytest.mark.usefixtures("without_packages")
def test_require_tokenizer_packages_of_a_sentencepiece_file_alone_names_the_package(tmp_path: Path) -> None:
    (tmp_path / "spiece.model").write_bytes(b"")
    with pytest.raises(MissingDependencyError, match=r"spiece\.model alone.* sentencepiece is not installed") as caught:
        require_tokenizer_packages(tmp_path)
    assert caught.value.exit_code == 6
    assert "pip install sentencepiece" in caught.value.hint


@pytest.mark.usefixtures("without_packages")
@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt"])
def test_require_tokenizer_packages_of_a_folder_with_another_file_needs_none(tmp_path: Path, name: str) -> None:
    for file in ("spiece.model", name):
        (tmp_path / file).write_bytes(b"")
    require_tokenizer_packages(tmp_path)


def test_is_installed_when_the_parent_is_missing_then_no() -> None:
    assert not tokenizer_files._is_installed("no_such_parent.module")
    assert tokenizer_files._is_installed("importlib.util")
