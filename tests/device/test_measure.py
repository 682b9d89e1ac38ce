"""Measuring on a device that is a folder: the same answers as here, and one result however often the connection breaks."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgedistill.benchmark.statistics import pooled
from edgedistill.device.measure import observe, write_rows
from edgedistill.device.runner import rows_of
from edgedistill.device.session import Device, Session, Work, find_device
from edgedistill.errors import TargetUnreachableError
from edgedistill.evaluate.predictor import open_predictor, predict
from edgedistill.examples import Examples, read_examples, write_examples
from edgedistill.recipe import BenchmarkProtocol
from edgedistill.tasks.registry import open_encoder
from edgedistill.tasks.text_classification.encoding import TextEncoder

from .conftest import FolderTransport
from .picture_model import SIZE, make_picture_folder, write_some_pictures

PROTOCOL = BenchmarkProtocol(warmup_runs=1, min_runs=10, min_duration_s=0.001, rounds=2)
PROBE, PUSH_MODEL, ANSWERS, ROUND_0, ROUND_1, CLEAN = 3, 7, 11, 12, 13, 14
TEXTS = ["turn the lights off", "turn the lights on", "please turn off", "lights"]


@pytest.fixture
def examples(tmp_path: Path) -> Examples:
    write_examples(tmp_path / "rows.arrow", [str(i) for i in range(4)], TEXTS, [0, 1, 0, 2])
    return read_examples(tmp_path / "rows.arrow")


def _open(device: Device, work: Work) -> Session:
    return Session(device, work, (0.0,), sleep=lambda seconds: None)


def test_observe_when_the_device_is_this_machine_then_answers_are_the_same_bits(
    home: Path, model: Path, examples: Examples
) -> None:
    found = observe(find_device(FolderTransport(home)), model, examples, protocol=PROTOCOL, open_session=_open)
    here = predict(open_predictor(model), TextEncoder.load(model.parent).encode(TEXTS))
    np.testing.assert_array_equal(found.logits, here)
    assert found.sequence_tokens == 4  # 4, 4, 3 and 1 words: the median is 3.5, of equally near lengths the longer
    assert len(found.rounds) == 2
    assert len(pooled([r.samples_s for r in found.rounds])) >= 10
    assert all(r.peak_rss_bytes > r.baseline_rss_bytes > 2**20 for r in found.rounds)
    assert found.reconnections == 0
    assert not list(home.rglob("*.onnx"))


def test_observe_when_not_to_be_pinned_then_no_core_is_named(home: Path, model: Path, examples: Examples) -> None:
    free = PROTOCOL.model_copy(update={"pinned": False})
    found = observe(find_device(FolderTransport(home)), model, examples, protocol=free, open_session=_open)
    assert [r.cpus for r in found.rounds] == [()] * len(found.rounds)
    kept = observe(find_device(FolderTransport(home)), model, examples, protocol=PROTOCOL, open_session=_open)
    assert all(len(r.cpus) == 1 for r in kept.rounds)


def test_observe_when_timing_then_each_round_says_how_long_the_rest_takes(
    home: Path, model: Path, examples: Examples, caplog: pytest.LogCaptureFixture
) -> None:
    device = find_device(FolderTransport(home))
    with caplog.at_level("INFO", logger="edgedistill"):
        observe(device, model, examples, protocol=PROTOCOL, open_session=_open)
    name = device.transport.name
    told = [line for record in caplog.records if (line := record.getMessage()).startswith(f"{name}: ")]
    assert told[:2] == [f"{name}: answers rows 1 to 4 of 4, time left not known yet", f"{name}: round 1 of 2, time left not known yet"]
    assert re.fullmatch(rf"{re.escape(name)}: round 2 of 2, about \d+ s left", told[2])


@pytest.mark.parametrize("cut", [PUSH_MODEL, ANSWERS, ROUND_1], ids=["pushing", "answering", "timing"])
def test_observe_when_the_connection_is_cut_once_then_the_result_is_whole(
    home: Path, model: Path, examples: Examples, cut: int
) -> None:
    transport = FolderTransport(home, cuts={cut})
    found = observe(find_device(transport), model, examples, protocol=PROTOCOL, open_session=_open)
    assert found.logits.shape == (4, 3)
    assert len(found.rounds) == 2
    assert found.reconnections == 1


@pytest.mark.parametrize("cut", [PUSH_MODEL, ANSWERS, ROUND_1], ids=["pushing", "answering", "timing"])
def test_observe_when_the_connection_stays_away_then_the_next_attempt_goes_on(
    home: Path, model: Path, examples: Examples, cut: int
) -> None:
    with pytest.raises(TargetUnreachableError):
        observe(find_device(FolderTransport(home, cuts={cut, cut + 1})), model, examples, protocol=PROTOCOL, open_session=_open)
    kept = {p.name: p.read_bytes() for p in home.rglob("parts/*")}
    assert ("round-0" in kept) == (cut == ROUND_1)
    transport = FolderTransport(home)
    found = observe(find_device(transport), model, examples, protocol=PROTOCOL, open_session=_open)
    assert len(found.rounds) == 2
    if "round-0" in kept:
        assert f'"load_s": {found.rounds[0].load_s}' in kept["round-0"].decode()
        assert not any("push" in command and "model" in command for command in transport.commands)


def test_observe_when_only_cleaning_fails_then_the_result_is_kept(home: Path, model: Path, examples: Examples) -> None:
    found = observe(find_device(FolderTransport(home, cuts={CLEAN, CLEAN + 1}, is_done_there=False)), model, examples,
                    protocol=PROTOCOL, open_session=_open)
    assert len(found.rounds) == 2
    assert list(home.rglob("model.onnx"))


def test_observe_when_emulated_then_answers_and_is_not_timed(
    home: Path, model: Path, examples: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEDISTILL_EMULATED", "1")
    transport = FolderTransport(home)
    found = observe(find_device(transport), model, examples, protocol=PROTOCOL, open_session=_open)
    assert found.rounds == ()
    assert found.logits.shape == (4, 3)
    assert not any("part round-" in command for command in transport.commands)


def test_observe_when_the_scores_are_not_the_first_output_then_answers_are_those_of_the_host(
    home: Path, model: Path, examples: Examples
) -> None:
    whole = onnx.load(model)
    whole.graph.node.append(onnx.helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0))
    scores = whole.graph.output.pop()
    whole.graph.output.extend([onnx.helper.make_tensor_value_info("label", onnx.TensorProto.INT64, ["batch"]), scores])
    onnx.save(whole, model)
    found = observe(find_device(FolderTransport(home)), model, examples, protocol=PROTOCOL, open_session=_open)
    assert found.logits.shape == (4, 3)
    np.testing.assert_array_equal(found.logits, predict(open_predictor(model), TextEncoder.load(model.parent).encode(TEXTS)))


@pytest.fixture
def model(make_model_folder: Callable[[str], Path]) -> Path:
    return make_model_folder("student") / "model.onnx"


@pytest.mark.parametrize("side", [SIZE.side, 9], ids=["as the model takes them", "to be resized"])
def test_observe_when_the_model_reads_pictures_then_answers_are_the_same_bits(home: Path, tmp_path: Path, side: int) -> None:
    model = make_picture_folder(tmp_path / "student") / "model.onnx"
    pictures = write_some_pictures(tmp_path / "rows.arrow", side=side)
    found = observe(find_device(FolderTransport(home)), model, pictures, protocol=PROTOCOL, open_session=_open)
    here = predict(open_predictor(model), open_encoder(model.parent).encode_examples(pictures))
    np.testing.assert_array_equal(found.logits, here)
    assert len(np.unique(found.logits[:, 0])) == 5
    assert found.sequence_tokens == side**2
    assert len(found.rounds) == 2
    assert all(r.peak_rss_bytes > r.baseline_rss_bytes > 2**20 for r in found.rounds)
    assert not list(home.rglob("*.onnx"))


def test_runner_when_rows_are_pictures_then_feeds_what_the_encoder_gives(tmp_path: Path) -> None:
    encoder = open_encoder(make_picture_folder(tmp_path / "student"))
    pictures = write_some_pictures(tmp_path / "rows.arrow")
    write_rows(tmp_path / "rows.npz", encoder.pack(pictures))
    expected = encoder.encode_examples(pictures)
    for index, row in enumerate(rows_of(str(tmp_path / "rows.npz"))):
        assert row["pixel_values"].dtype == np.float32
        np.testing.assert_array_equal(row["pixel_values"], expected.batch([index])["pixel_values"])
    assert index == 4
