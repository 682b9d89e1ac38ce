import io
import stat
import zipfile

import pytest

from edgedistill.errors import BundleError
from edgedistill.package import archive
from edgedistill.package.archive import opened_bundle, zip_bytes


def _zip(path, *entries):
    with zipfile.ZipFile(path, "w") as target:
        for entry, content in entries:
            target.writestr(entry, content)
    return path


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:evil", "a/./b", "\\evil"])
def test_zip_when_a_name_leaves_the_folder_is_refused(tmp_path, name):
    (tmp_path / "in").mkdir()
    path = _zip(tmp_path / "in" / "b.zip", (name, b"x"))

    with pytest.raises(BundleError, match="refused"), opened_bundle(path):
        pass
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "b.zip"]


def test_zip_when_the_bundle_lies_in_one_folder_then_that_is_the_bundle(tmp_path):
    path = _zip(tmp_path / "b.zip", ("bundle/bundle.json", b"{}"), ("bundle/android/x.kt", b""), ("__MACOSX/._bundle", b""))
    with opened_bundle(path) as folder:
        assert sorted(p.name for p in folder.iterdir()) == ["android", "bundle.json"]


@pytest.mark.parametrize(("names", "told"), [(("a/model.onnx",), "no bundle.json"), (("a/bundle.json", "b/bundle.json"), "several bundle.json")])
def test_zip_when_it_is_none_of_one_bundle_then_refused_by_its_own_name(tmp_path, names, told):
    path = _zip(tmp_path / "b.zip", *((name, b"{}") for name in names))
    with pytest.raises(BundleError, match=rf"b\.zip: is no bundle, it has {told}"), opened_bundle(path):
        pass


def test_zip_when_it_holds_a_link_is_refused(tmp_path):
    entry = zipfile.ZipInfo("model.onnx")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16

    path = _zip(tmp_path / "b.zip", (entry, "/etc/hostname"))

    with pytest.raises(BundleError, match="is a link"), opened_bundle(path):
        pass


def test_zip_when_a_name_stands_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = _zip(tmp_path / "b.zip", ("a", b"1"), ("a", b"2"))

    with pytest.raises(BundleError, match="stands in it twice"), opened_bundle(path):
        pass


def test_zip_when_a_file_stands_where_a_folder_is_needed_is_refused(tmp_path):
    path = _zip(tmp_path / "b.zip", ("a", b"1"), ("a/b", b"2"))

    with pytest.raises(BundleError, match="no sound zip"), opened_bundle(path):
        pass


def test_zip_when_it_would_unpack_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("zeros", b"\0" * 100_000)

    with pytest.raises(BundleError, match="100,000 bytes"), opened_bundle(tmp_path / "b.zip"):
        pass


def test_zip_when_it_has_too_many_files_is_refused(tmp_path):
    with pytest.raises(BundleError, match="257 files"), opened_bundle(
        _zip(tmp_path / "b.zip", *((str(i), b"") for i in range(257)))
    ):
        pass


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 cut off"])
def test_zip_when_it_is_none_is_refused(tmp_path, content):
    (tmp_path / "b.zip").write_bytes(content)

    with pytest.raises(BundleError, match="no sound zip"), opened_bundle(tmp_path / "b.zip"):
        pass


def test_bundle_when_missing_is_refused(tmp_path):
    with pytest.raises(BundleError, match="no such bundle"), opened_bundle(tmp_path / "nowhere"):
        pass


def test_zip_when_opened_gives_a_folder_that_is_gone_afterwards(tmp_path):
    (tmp_path / "b.zip").write_bytes(zip_bytes({"bundle.json": b"2", "a": b"1"}))

    with opened_bundle(tmp_path / "b.zip") as folder:
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == {"a": b"1", "bundle.json": b"2"}
    assert not folder.exists()


def test_zip_bytes_when_given_in_another_order_are_the_same():
    assert zip_bytes({"a": b"1", "b": b"2"}) == zip_bytes({"b": b"2", "a": b"1"})
    assert zipfile.ZipFile(io.BytesIO(zip_bytes({"a": b"1"}))).testzip() is None
