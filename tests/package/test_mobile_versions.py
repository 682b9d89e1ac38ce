"""What the app modules ask for: a version a package, never one that a phone must not use, and always with its source."""

import re

import pytest

from edgedistill.catalog import load_target, target_ids
from edgedistill.package.mobile_versions import MOBILE_VERSIONS, version_values


def _phones(provider):
    return [target for target in map(load_target, target_ids()) if provider in target.runtime.execution_providers]


def _numbers(version):
    return [int(part) for part in version.split(".")]


@pytest.mark.parametrize(("name", "provider"), [
    ("onnxruntime_android", "NnapiExecutionProvider"), ("swift_package", "CoreMLExecutionProvider"),
])
def test_runtime_version_then_is_one_that_no_phone_denies_and_none_finds_too_old(name, provider):
    version, phones = MOBILE_VERSIONS[name].version, _phones(provider)

    assert len(phones) >= 2
    for phone in phones:
        assert phone.runtime.denial_of(version) is None
        assert _numbers(version) >= _numbers(phone.runtime.oldest)


def test_android_version_then_is_not_the_one_that_is_reported_to_answer_wrongly():
    """sherpa-onnx#3850."""
    assert MOBILE_VERSIONS["onnxruntime_android"].version != "1.27.0"


def test_versions_then_are_exact_and_name_a_page():
    for pinned in MOBILE_VERSIONS.values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", pinned.version)
        assert pinned.source.startswith("https://")


def test_values_then_are_what_the_templates_ask_for():
    assert version_values()["kotlin_version"] == MOBILE_VERSIONS["kotlin"].version
