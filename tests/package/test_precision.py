import pytest

from edgedistill.errors import UsageError
from edgedistill.package.precision import precision_of


@pytest.mark.parametrize(("scheme", "file", "tags"), [
    ("dynamic_wi8_afp32_per_channel", "int8", ("int8",)),
    ("static_wi8_ai8", "int8", ("int8",)),
    ("weight_only_wi8_afp32", "int8 weights", ("int8",)),
    ("float", "float", ()),
    (None, "", ()),
])
def test_precision_when_a_scheme_is_told_then_names_file_and_tags_by_it(scheme, file, tags):
    assert (precision_of(scheme).file, precision_of(scheme).tags) == (file, tags)


@pytest.mark.parametrize("scheme", ["static_wi8_ai8", "weight_only_wi8_afp32", "float", None])
def test_precision_when_no_activation_has_a_scale_of_its_own_per_call_then_says_nothing_of_one(scheme):
    assert "activations" not in precision_of(scheme).one_call


def test_precision_when_no_such_scheme_exists_then_refused():
    with pytest.raises(UsageError, match="no int8 scheme 'int4'"):
        precision_of("int4")
