"""Artifacts: hashes as sha256sum has them, and files that are not what they were."""

import hashlib
import os
from pathlib import Path

import pytest

from edgedistill.artifact import Artifact, check, describe, files_below, sha256_of_file, sha256_of_path
from edgedistill.errors import ArtifactError

# FIPS 180-2, appendix B: the digests of "abc" and of a million times "a"
SHA256_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
SHA256_MILLION_A = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"


def test_sha256_of_file_when_known_text_then_the_published_digest(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    (tmp_path / "a").write_bytes(b"a" * 1_000_000)
    assert sha256_of_file(tmp_path / "abc") == sha256_of_path(tmp_path / "abc") == SHA256_ABC
    assert sha256_of_file(tmp_path / "a") == SHA256_MILLION_A


def test_sha256_of_file_when_longer_than_a_chunk_then_every_byte_counts(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.write_bytes(bytes(3 << 20))
    before = sha256_of_file(path)
    with path.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\1")
    assert sha256_of_file(path) != before


def test_sha256_of_a_folder_when_a_folder_in_it_is_a_link_then_its_files_count(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "cats").symlink_to(tmp_path / "cats")
    (tmp_path / "cats" / "round").symlink_to(tmp_path / "set")  # a loop: it ends where it comes back to
    (tmp_path / "set" / "up").symlink_to(tmp_path)
    (tmp_path / "set" / "self").symlink_to(tmp_path / "set" / "self")
    found = []
    for number in range(2):
        (tmp_path / "cats" / f"{number}.png").write_bytes(b"x")
        found.append(sha256_of_path(tmp_path / "set"))
    assert found[0] != found[1]
    assert [p.name for p in files_below(tmp_path / "set")] == ["0.png", "1.png"]


def test_sha256_when_missing_then_one_error_with_a_hint(tmp_path: Path) -> None:
    for function in (sha256_of_file, sha256_of_path):
        with pytest.raises(ArtifactError, match="no such file") as caught:
            function(tmp_path / "nowhere")
        assert caught.value.hint


def make_folder(folder: Path, order: tuple[str, ...] = ("a", "b/c", "b.txt")) -> Path:
    for name in order:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def test_sha256_of_path_when_folder_then_order_of_making_and_place_do_not_count(tmp_path: Path) -> None:
    first = sha256_of_path(make_folder(tmp_path / "one"))
    assert sha256_of_path(make_folder(tmp_path / "two", ("b.txt", "b/c", "a"))) == first


@pytest.mark.parametrize("change", ["content", "name", "more", "less", "swap"])
def test_sha256_of_path_when_a_folder_changes_then_another(tmp_path: Path, change: str) -> None:
    folder = make_folder(tmp_path / "f")
    before = sha256_of_path(folder)
    if change == "content":
        (folder / "b" / "c").write_text("x")
    elif change == "name":
        (folder / "a").rename(folder / "aa")
    elif change == "more":
        (folder / "empty").touch()
    elif change == "less":
        (folder / "a").unlink()
    else:
        (folder / "a").write_text("b.txt")
        (folder / "b.txt").write_text("a")
    assert sha256_of_path(folder) != before


def test_sha256_of_path_when_only_the_manifest_differs_then_the_same(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "f")
    before = sha256_of_path(folder)
    (folder / "manifest.json").write_text("{}")
    assert sha256_of_path(folder) == before
    (folder / "b" / "manifest.json").write_text("{}")
    assert sha256_of_path(folder) != before


def test_sha256_of_path_when_a_name_is_not_utf8_then_its_bytes_count(tmp_path: Path) -> None:
    for folder, name in (("a", b"\xe9"), ("b", b"\xe8"), ("c", "\xe9".encode())):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / os.fsdecode(name)).write_bytes(b"abc")
    assert len({sha256_of_path(tmp_path / folder) for folder in "abc"}) == 3
    expected = hashlib.sha256(b"\xe9\0" + SHA256_ABC.encode() + b"\n").hexdigest()
    assert sha256_of_path(tmp_path / "a") == expected


def test_files_below_when_nested_then_sorted_by_relative_path(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "f")
    assert [str(p.relative_to(folder)) for p in files_below(folder)] == ["a", "b.txt", "b/c"]


def test_describe_when_below_root_then_relative_path_hash_and_size(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "abc").write_bytes(b"abc")
    artifact = describe(tmp_path / "sub" / "abc", root=tmp_path)
    assert artifact == Artifact(path="sub/abc", sha256=SHA256_ABC, size_bytes=3)
    check(artifact, root=tmp_path)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "is missing"), (b"abd", "does not match"), (b"ab", "does not match")]
)
def test_check_when_the_file_is_another_then_refused_by_name(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "abc").write_bytes(content)
    with pytest.raises(ArtifactError, match=message) as caught:
        check(Artifact(path="abc", sha256=SHA256_ABC, size_bytes=3), root=tmp_path)
    assert str(tmp_path / "abc") in caught.value.message
    assert caught.value.hint


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the administrator may read everything")
def test_sha256_of_file_when_not_permitted_then_says_so(tmp_path: Path) -> None:
    (tmp_path / "locked").touch(mode=0o000)
    with pytest.raises(ArtifactError, match="may not be read"):
        sha256_of_file(tmp_path / "locked")
