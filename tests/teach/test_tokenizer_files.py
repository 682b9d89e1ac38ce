"""Which packages a teacher's tokenizer needs, and which tokens its model must know."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgedistill.errors import MissingDependencyError, TeacherError
from edgedistill.teach import tokenizer_files
from edgedistill.teach.tokenizer_files import require_known_tokens, require_tokenizer_packages


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


@pytest.mark.parametrize(("vocabulary", "added", "beyond"), [
    ({"a": 0, "b": 4}, [], None), ({"a": 0, "b": 5}, [], "'b' has the id 5"),
    ({"a": 0}, [{"content": "[NEW]", "id": 4}], None), ({"a": 0}, [{"content": "[NEW]", "id": 7}], "'[NEW]' has the id 7"),
    ([["a", 0.0], ["b", -1.0]], None, None), ([[str(i), 0.0] for i in range(6)], None, "'5' has the id 5"),
])
def test_require_known_tokens_when_the_embedding_lacks_a_row_then_refused_and_with_rows_to_spare_not(
    vocabulary: Any, added: Any, beyond: str | None, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": 5}))
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}, "added_tokens": added}))
    if beyond is None:
        require_known_tokens(tmp_path)
        return
    with pytest.raises(TeacherError) as caught:
        require_known_tokens(tmp_path)
    assert f"the token {beyond}, and the teacher's embedding has 5 rows" in caught.value.message
    assert "model.resize_token_embeddings(len(tokenizer))" in caught.value.hint


def test_require_known_tokens_when_there_is_nothing_to_compare_then_not_judged(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    require_known_tokens(tmp_path)
    (tmp_path / "tokenizer.json").write_text("[]")
    require_known_tokens(tmp_path)  # no vocab_size
    (tmp_path / "config.json").write_text('{"vocab_size": 5}')
    with pytest.raises(TeacherError, match="not a tokenizer"):
        require_known_tokens(tmp_path)
