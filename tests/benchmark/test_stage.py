"""The stage end to end on two tiny models, and what it refuses before any process starts."""

import dataclasses

import psutil
import pytest

from edgedistill.artifact import sha256_of_file
from edgedistill.benchmark.stage import MEASUREMENTS_FILE, STAGE, Inputs, Measurements, Settings, given_warnings
from edgedistill.errors import ArtifactError, DataError, UsageError
from edgedistill.examples import write_examples
from edgedistill.host import this_host
from edgedistill.manifest import GivenWarning
from edgedistill.stage import Workspace, input_paths

TEXTS = ["lights", "turn the lights off", "turn the lights on", "please turn the lights off please", "lights on"]


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "test.arrow"
    write_examples(path, list("abcde"), TEXTS, [0] * 5)
    return path


@pytest.fixture
def settings(short_protocol):
    return Settings(protocol=short_protocol, host=this_host(), variants=("teacher", "student_int8"), seed=13)


@pytest.fixture
def inputs(make_model_folder, data):
    models = {name: make_model_folder(name) / "model.onnx" for name in ("teacher", "student_int8")}
    return Inputs(models=models, data=data)


def test_stage_when_performed_writes_raw_samples_of_every_variant(tmp_path, settings, inputs):
    done = Workspace(tmp_path / ".stages").perform("benchmark", STAGE, settings, inputs)
    assert [a.path for a in done.manifest.outputs] == [MEASUREMENTS_FILE]
    result = Measurements.read_json(done.folder / MEASUREMENTS_FILE)
    assert result.sequence_tokens == 4
    assert [m.variant for m in result.measurements] == ["teacher", "student_int8"]
    for measurement in result.measurements:
        assert measurement.model_sha256 == sha256_of_file(inputs.models[measurement.variant])
        assert measurement.host == settings.host
        assert measurement.protocol == settings.protocol
        assert measurement.sequence_tokens == 4
        assert sum(map(len, measurement.rounds_s)) >= settings.protocol.min_runs
        assert min(map(min, measurement.rounds_s)) > 0
        assert len(measurement.warmup_s) == settings.protocol.warmup_runs
        assert measurement.is_noisy == bool(measurement.warnings)
    assert not [p for p in psutil.Process().children() if p.status() != psutil.STATUS_ZOMBIE]


def test_stage_when_more_threads_than_cores_are_asked_warns_and_does_so_again_when_found_done(tmp_path, settings, inputs, caplog):
    host = settings.host.model_copy(update={"cores": 1})
    crowded = settings.model_copy(
        update={"host": host, "protocol": settings.protocol.model_copy(update={"threads": 2})}
    )
    for was_skipped in (False, True):
        caplog.clear()
        done = Workspace(tmp_path / ".stages").perform("benchmark", STAGE, crowded, inputs)
        assert done.was_skipped == was_skipped
        assert "benchmark: teacher, student_int8: 2 threads share 1 cores" in caplog.text
    assert all(isinstance(decision, GivenWarning) for decision in done.manifest.decisions[1:])
    (first, _) = Measurements.read_json(done.folder / MEASUREMENTS_FILE).measurements
    assert "2 threads share 1 cores" in first.warnings[-1]


def test_warnings_when_there_are_too_few_processes_to_compare_then_that_is_one_of_them(make_measurement, caplog):
    (warning,) = given_warnings([make_measurement([[1.0]] * 4, variant=name, processes=2) for name in ("teacher", "student")])
    assert warning.what == "2 processes a model are too few to say which of two is faster"
    assert "at least 8: benchmark.processes" in warning.why
    assert warning.what in caplog.text


def test_inputs_when_made_put_the_tokenizers_into_the_key(inputs):
    paths = input_paths(inputs)
    assert paths["tokenizers.teacher"] == inputs.models["teacher"].parent / "tokenizer.json"
    assert set(paths) == {f"{kind}.{name}" for kind in ("models", "tokenizers") for name in inputs.models} | {"data"}


def test_requires_when_models_and_variants_differ_refuses(settings, inputs):
    one = dataclasses.replace(inputs, models={"teacher": inputs.models["teacher"]})
    with pytest.raises(UsageError, match="student_int8"):
        STAGE.requires(settings, one)


def test_requires_when_a_model_is_missing_names_it(settings, inputs):
    inputs.models["student_int8"].unlink()
    with pytest.raises(ArtifactError, match=r"student_int8/model\.onnx"):
        STAGE.requires(settings, inputs)


def test_requires_when_a_tokenizer_is_missing_names_it(settings, inputs):
    inputs.tokenizers["teacher"].unlink()
    with pytest.raises(ArtifactError, match=r"teacher/tokenizer\.json"):
        STAGE.requires(settings, inputs)


def test_requires_when_there_is_no_example_refuses(tmp_path, settings, inputs):
    write_examples(tmp_path / "empty.arrow", [], [], [])
    with pytest.raises(DataError, match="no examples"):
        STAGE.requires(settings, dataclasses.replace(inputs, data=tmp_path / "empty.arrow"))


def test_ensures_when_runs_are_missing_refuses(tmp_path, settings, inputs):
    STAGE.run(settings, inputs, tmp_path)
    path = tmp_path / MEASUREMENTS_FILE
    result = Measurements.read_json(path)
    first = result.measurements[0]
    cut = first.model_copy(update={"rounds_s": (first.rounds_s[0][:3], first.rounds_s[1][:3])})
    path.write_text(result.model_copy(update={"measurements": (cut,)}).to_json())
    with pytest.raises(ArtifactError, match="teacher has 6 runs in 2 rounds"):
        STAGE.ensures(tmp_path)
