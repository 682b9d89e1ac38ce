import hashlib

import pytest

from edgedistill.errors import BundleError
from edgedistill.package.contents import name_problem, read_manifest


@pytest.mark.parametrize("name", ["model.onnx", "onnx/model.onnx", "a-b_c.d", "..a", "a..b"])
def test_name_when_plain_is_fine(name):
    assert name_problem(name) is None


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/..", "/a", "a\\b", "C:a", "a\0b"])
def test_name_when_it_could_leave_the_folder_has_a_problem(name):
    assert name_problem(name)


def test_seal_when_computed_by_hand_is_the_hash_with_the_seal_blanked(packed):
    text = (packed / "bundle" / "bundle.json").read_text()
    seal = read_manifest(packed / "bundle").seal

    assert text.count(seal) == 1
    assert hashlib.sha256(text.replace(seal, "0" * 64).encode()).hexdigest() == seal


def test_manifest_when_it_names_a_file_outside_is_refused(bundle):
    path = bundle / "bundle.json"
    path.write_text(path.read_text().replace('"golden.json"', '"../golden.json"'))

    with pytest.raises(BundleError, match="leaves the folder"):
        read_manifest(bundle)


def test_manifest_when_missing_says_that_it_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match="is no bundle"):
        read_manifest(tmp_path)
