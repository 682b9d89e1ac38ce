"""Predicted times before the court: int8 that is slower than float on the target is not taken."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgedistill.catalog import load_target
from edgedistill.int8_settings import PostTraining
from edgedistill.latency.constants import fitted_constants
from edgedistill.latency.rates import float_rates_of, rates_of
from edgedistill.latency.workload import Workload, workload_of
from edgedistill.quantize import stage
from edgedistill.quantize.forecast import Forecast, forecast
from edgedistill.quantize.rows import read_rows
from edgedistill.quantize.schemes import SchemeChoice
from edgedistill.quantize.stage import STAGE, Inputs, Settings, settings_for
from edgedistill.quantize.timing import Speed, Times
from edgedistill.results import Interval, QuantizationVerdict
from edgedistill.shape import StudentShape
from edgedistill.stage import Workspace
from edgedistill.target import Figure, LatencyModel, Target
from edgedistill.tasks.image_classification.configured_shape import configured_shape as picture_shape
from edgedistill.tasks.registry import task_named
from edgedistill.tasks.text_classification.configured_shape import configured_shape

WORK = Workload(int8_macs=8e6, float_macs=1e6, glue_elements=0, gathered_bytes=0, weight_bytes=4e6, nodes=10)
BERT = {"model_type": "bert", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128,
        "vocab_size": 500}
SCHEMES = SchemeChoice(("dynamic_wi8_afp32",), "the test says so")


def figure(value: float) -> Figure:
    return Figure(value=value, source="a test says", how="assumed")


def with_rates(*, int8: float, floating: float) -> Target:
    """A Pi whose profile says multiply-accumulates per second and 10 % of spread."""
    latency = LatencyModel(int8_macs_per_s=figure(int8), float_macs_per_s=figure(floating), read_bytes_per_s=figure(1e13),
                           node_overhead_s=figure(1e-9), spread=figure(1.1))
    return load_target("raspberry-pi").model_copy(update={"latency": latency})


def test_forecast_counts_the_nodes_that_stay_float_as_float() -> None:
    target = with_rates(int8=4e9, floating=1e9)
    found = [forecast(WORK, int8_share=share, int8=rates_of(target), floating=float_rates_of(target)) for share in (1.0, 0.5, 0.0)]
    assert [each.p50_s for each in found] == pytest.approx([3e-3, 6e-3, 9e-3], rel=1e-3)
    assert {each.float_p50_s for each in found} == {found[2].p50_s}


def test_float_rates_of_when_fitted_then_without_what_int8_graphs_take_over_float_ones() -> None:
    pi = load_target("raspberry-pi")
    assert rates_of(pi).float_mac_s / float_rates_of(pi).float_mac_s == pytest.approx(fitted_constants().int8)


@pytest.mark.parametrize(("low", "expected"), [(0.9e-3, False), (1.1e-3, True)])
def test_a_forecast_is_slower_only_beyond_the_interval(low: float, expected: bool) -> None:
    assert Forecast(1.2e-3, (low, 2e-3), 1e-3).is_slower == expected


def test_what_was_measured_goes_before_what_was_predicted() -> None:
    slow = Forecast(3e-3, (2e-3, 4e-3), 1e-3)
    assert Times({}, {"a": slow}).allowed(("a", "b")) == {"b"}
    speed = Speed(Interval(value=1.0, low=1.0, high=1.0), Interval(value=2.0, low=2.0, high=2.0))
    assert Times({"a": speed}, {"a": slow}).allowed(("a",)) == {"a"}


def test_a_text_model_costs_what_its_config_says() -> None:
    shape = StudentShape(id="bert", layers=2, hidden=64, heads=4, intermediate=128, vocabulary=500)
    assert configured_shape(BERT) == shape
    distil = {"model_type": "distilbert", "n_layers": 2, "dim": 64, "n_heads": 4, "hidden_dim": 128, "vocab_size": 500}
    thin = BERT | {"model_type": "electra", "embedding_size": 16}
    assert workload_of(configured_shape(distil), tokens=9, classes=3) == workload_of(shape, tokens=9, classes=3)
    assert configured_shape(thin).embedding_rank == 16


@pytest.mark.parametrize("config", [{}, {"model_type": "gpt2"}, BERT | {"hidden_size": None}])
def test_a_model_of_no_known_shape_has_no_prediction(config: dict[str, Any]) -> None:
    assert configured_shape(config) is None
    assert picture_shape(config) is None


@pytest.mark.parametrize("config", [
    {"model_type": "resnet", "layer_type": "basic", "embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
    {"model_type": "mobilenet_v2", "depth_multiplier": 0.35},
    {"model_type": "vit", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "patch_size": 4},
])
def test_a_picture_model_costs_what_its_config_says(tmp_path: Path, config: dict[str, Any]) -> None:
    import json

    (tmp_path / "config.json").write_text(json.dumps(config))
    found = task_named("image-classification").work_of(tmp_path, {"pixel_values": np.zeros((1, 3, 32, 32))}, classes=10)
    assert found is not None
    assert found.int8_macs > 1e5


@pytest.fixture(scope="module")
def exported(make_classifier: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    from edgedistill.export import stage as export

    folder = tmp_path_factory.mktemp("bert")
    make_classifier("bert").save_pretrained(folder / "model")
    (folder / "model" / "tokenizer.json").write_text("{}")
    done = Workspace(folder / "stages").perform(
        "export", export.STAGE, export.Settings(max_ir_version=9, max_opset=20), export.Inputs(folder / "model")
    )
    ids = np.random.default_rng(1).integers(5, 40, (30, 6))
    np.savez(folder / "rows.npz", input_ids=ids, attention_mask=np.ones_like(ids), token_type_ids=np.zeros_like(ids))
    return Inputs(done.folder, folder / "rows.npz")


def verdict_of(tmp_path: Path, inputs: Inputs, target: Target | None) -> QuantizationVerdict:
    wanted: Settings = settings_for(SCHEMES, min_agreement=0.0, host_saturates=False, target=target,
                                    wanted=PostTraining(timing=False, trials=0))
    done = Workspace(tmp_path / "stages").perform("quantize", STAGE, wanted, inputs)
    return QuantizationVerdict.read_json(done.folder / "verdict.json")


def test_int8_that_is_predicted_slower_than_float_on_the_target_is_not_shipped(exported: Inputs, tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, exported, with_rates(int8=1e9, floating=4e9))
    assert verdict.scheme == "float"
    assert "predicted slower than the float model on raspberry-pi; speed predicted, not measured" in verdict.decision
    assert (verdict.speed_source, verdict.table[0].outcome) == ("predicted", "kept")
    assert "predicted slower than float on raspberry-pi" in verdict.table[0].reason
    assert verdict.table[0].predicted_p50_s > 2 * verdict.float_predicted_p50_s


@pytest.mark.parametrize("rates", [{"int8": 4e9, "floating": 1e9}, {"int8": 1e9, "floating": 1.05e9}])
def test_int8_that_is_not_slower_beyond_the_interval_is_shipped_and_the_verdict_says_what_it_goes_by(
    exported: Inputs, tmp_path: Path, rates: dict[str, float]
) -> None:
    verdict = verdict_of(tmp_path, exported, with_rates(**rates))
    assert verdict.scheme == "dynamic_wi8_afp32"
    assert "speed predicted, not measured: p50 of" in verdict.decision
    low, high = verdict.table[0].predicted_interval_s
    assert low < verdict.table[0].predicted_p50_s < high


@pytest.mark.parametrize("is_timed", [False, True])
def test_float_p50_when_no_candidate_may_be_shipped_or_times_are_measured_then_it_is_predicted_all_the_same(
    exported: Inputs, monkeypatch: pytest.MonkeyPatch, is_timed: bool
) -> None:
    monkeypatch.setattr(stage, "shares_path", lambda *given, **named: is_timed)
    wanted = settings_for(SCHEMES, min_agreement=0.95, host_saturates=False, target=with_rates(int8=4e9, floating=1e9))
    assert (wanted.timed_on is not None) == is_timed
    rows = read_rows(exported.validation, exported.model, limit=30)
    found = stage._time(wanted, exported, SimpleNamespace(rows=rows, own=np.zeros((30, 3)), goal=None), [])
    work = task_named("text-classification").work_of(exported.model, {"input_ids": np.zeros((1, 6))}, classes=3)
    # at 1e9 multiply-accumulates a second; reading takes next to nothing, and each of its nodes a nanosecond
    expected = (work.int8_macs + work.float_macs) / 1e9 + work.nodes * 1e-9
    assert found == Times({}, {}, "raspberry-pi", pytest.approx(expected, rel=1e-3))


def test_where_nothing_is_known_of_the_speed_the_verdict_says_so(exported: Inputs, tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, exported, None)
    assert (verdict.scheme, verdict.speed_source, verdict.float_predicted_p50_s) == ("dynamic_wi8_afp32", None, None)
    assert "speed not checked" in verdict.decision
