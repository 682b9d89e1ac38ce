"""Can a teacher be exported: its family, and the size of its float file."""

import json
import struct
from pathlib import Path

import pytest

from edgedistill.errors import TeacherError
from edgedistill.export.requirements import require_exporter, require_float_file_fits


def write_weights(path: Path, dtype: str, *shapes: tuple[str, tuple[int, int]]) -> None:
    """Write a sparse safetensors file: a header, and zeros that take no room on the disk."""
    size, end, header = {"F16": 2, "F32": 4, "I64": 8}[dtype], 0, {}
    for name, shape in shapes:
        begin, end = end, end + size * shape[0] * shape[1]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + end)


def test_require_float_file_fits_when_half_precision_becomes_too_large_in_float32_then_refused(tmp_path: Path) -> None:
    write_weights(tmp_path / "model.safetensors", "F16", ("bert.embeddings", (250_002, 2400)))
    with pytest.raises(TeacherError, match=r"would be 2\.24 GiB.* takes 2 GiB at most") as caught:
        require_float_file_fits(tmp_path)
    assert "smaller teacher" in caught.value.hint


def test_require_float_file_fits_when_the_rest_is_of_other_heads_or_no_floats_then_nothing(tmp_path: Path) -> None:
    write_weights(tmp_path / "model.safetensors", "F32", ("bert.embeddings", (250_002, 1024)), ("lm_head.decoder", (250_002, 1536)))
    require_float_file_fits(tmp_path)
    write_weights(tmp_path / "model.safetensors", "I64", ("bert.numbers", (250_002, 2048)))
    require_float_file_fits(tmp_path)


def test_require_float_file_fits_when_weights_are_in_several_files_then_their_sum_counts(tmp_path: Path) -> None:
    for number in (1, 2):
        write_weights(tmp_path / f"model-0000{number}-of-00002.safetensors", "F32", ("bert.embeddings", (250_002, 1200)))
    with pytest.raises(TeacherError, match=r"2\.24 GiB"):
        require_float_file_fits(tmp_path)


def test_require_float_file_fits_when_a_large_file_is_damaged_then_refused(tmp_path: Path) -> None:
    with (tmp_path / "model.safetensors").open("wb") as stream:
        stream.truncate(2**31)
    with pytest.raises(TeacherError, match="not a whole safetensors file"):
        require_float_file_fits(tmp_path)


@pytest.mark.parametrize(("family", "task"), [("xlnet", "text-classification"), ("bert", "image-classification")])
def test_require_exporter_of_a_family_that_optimum_does_not_export_names_it(family: str, task: str) -> None:
    with pytest.raises(TeacherError, match=f"family '{family}' cannot be exported for {task}"):
        require_exporter(family, task)


@pytest.mark.parametrize(("family", "task"), [("electra", "text-classification"), ("resnet", "image-classification")])
def test_require_exporter_of_a_known_family_says_nothing(family: str, task: str) -> None:
    require_exporter(family, task)
