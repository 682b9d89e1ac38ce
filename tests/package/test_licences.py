import pytest

from edgedistill.errors import UsageError
from edgedistill.package.licences import require_allowed


@pytest.mark.parametrize(("licence", "denied"), [
    ("GPL-3.0-only", ["GPL-3.0-only"]),
    ("gpl-3.0-ONLY", ["GPL-3.0-only"]),
    ("GPL-3.0-or-later", ["GPL-*"]),
    ("CC-BY-NC-4.0", ["MIT", "CC-BY-NC*"]),
    ("MIT AND GPL-3.0-only", ["GPL-3.0-only"]),
    ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only"]),
    ("GPL-3.0-only OR AGPL-3.0-only", ["GPL-3.0-only", "AGPL*"]),
    ("MIT AND (GPL-3.0-only OR Apache-2.0)", ["GPL-3.0-only"]),
    ("unknown", ["unknown"]),
    ("(MIT OR GPL-3.0-only) AND (GPL-3.0-only OR MIT)", ["GPL-*"]),
])
def test_licence_when_denied_is_refused_with_its_name(licence, denied):
    with pytest.raises(UsageError, match="the data of x is under") as caught:
        require_allowed({"the teacher t": "Apache-2.0", "the data of x": licence}, denied)
    assert licence in caught.value.message
    assert "the teacher" not in caught.value.message


@pytest.mark.parametrize(("licence", "denied"), [
    ("MIT", []),
    ("MIT", ["GPL-*"]),
    ("(MIT OR GPL-3.0-only)", ["GPL-*"]),
    ("((GPL-3.0-only OR MIT))", ["GPL-*"]),
    ("LGPL-3.0-only", ["GPL-*"]),
    ("MIT OR GPL-3.0-only", ["GPL-3.0-only"]),
    ("unknown", ["GPL-*"]),
])
def test_licence_when_one_choice_is_allowed_passes(licence, denied):
    require_allowed({"the data": licence}, denied)
