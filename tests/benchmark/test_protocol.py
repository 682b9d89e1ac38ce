"""The protocol keeps its promises on counts and order, and leaves no process behind."""

import numpy as np
import psutil
import pytest

from edgedistill.benchmark.protocol import Candidate, Share, measure, order_of_round, share_of_round
from edgedistill.errors import EdgedistillError
from edgedistill.recipe import BenchmarkProtocol


def _workers() -> list[psutil.Process]:
    return [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]


def test_share_when_runs_do_not_divide_is_rounded_up():
    protocol = BenchmarkProtocol(min_runs=100, min_duration_s=1.0, rounds=3)
    assert share_of_round(protocol) == Share(runs=34, duration_ns=333_333_334)


def test_order_when_there_are_as_many_rounds_as_variants_puts_each_first_once_and_last_once():
    names = ["a", "b", "c", "d"]
    orders = [order_of_round(names, i, seed=5) for i in range(4)]
    assert all(sorted(order) == names for order in orders)
    assert sorted(order[0] for order in orders) == names
    assert sorted(order[-1] for order in orders) == names


def test_order_when_a_round_is_odd_goes_backwards():
    first, second = (order_of_round(["a", "b", "c"], i, seed=5) for i in range(2))
    assert second == [first[1], first[0], first[2]]


def test_order_when_the_seed_is_the_same_is_the_same():
    names = ["a", "b", "c", "d", "e"]
    assert [order_of_round(names, i, seed=3) for i in range(6)] == [order_of_round(names, i, seed=3) for i in range(6)]


def test_measure_when_two_models_are_given_traces_both_and_leaves_no_process(
    make_model_folder, input_file, short_protocol
):
    before = {p.pid for p in _workers()}
    candidates = [
        Candidate(name, "onnx", make_model_folder(name) / "model.onnx", input_file, 4)
        for name in ("teacher", "student_int8")
    ]
    traces = measure(candidates, short_protocol, seed=1)
    assert list(traces) == ["teacher", "student_int8"]
    for trace in traces.values():
        samples = np.concatenate(trace.rounds_s)
        assert len(trace.rounds_s) == short_protocol.rounds
        assert len(samples) >= short_protocol.min_runs
        assert samples.sum() >= short_protocol.min_duration_s * (1 - 1e-9)
        assert samples.min() > 0
        assert len(trace.warmup_s) == short_protocol.warmup_runs
        assert min(trace.load_s, trace.first_run_s, *trace.warmup_s) > 0
        assert trace.peak_rss_bytes > 2**20
        assert trace.baseline_rss_bytes > 2**20
        assert trace.runtime.startswith("onnxruntime ")
    assert traces["teacher"].baseline_rss_bytes == traces["student_int8"].baseline_rss_bytes
    assert {p.pid for p in _workers()} <= before


def test_measure_when_one_model_is_broken_leaves_no_process(make_model_folder, input_file, short_protocol, tmp_path):
    before = {p.pid for p in _workers()}
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\0" * 16)
    candidates = [
        Candidate("teacher", "onnx", make_model_folder("teacher") / "model.onnx", input_file, 4),
        Candidate("student_int8", "onnx", broken, input_file, 4),
    ]
    with pytest.raises(EdgedistillError, match=r"student_int8.*broken\.onnx"):
        measure(candidates, short_protocol, seed=1)
    assert {p.pid for p in _workers()} <= before


@pytest.mark.slow
def test_measure_when_the_model_is_torch_names_torch(tmp_path, input_file, short_protocol):
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, num_labels=3
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path / "student")
    traces = measure([Candidate("student", "torch", tmp_path / "student", input_file, 4)], short_protocol, seed=1)
    assert traces["student"].runtime.startswith("torch ")
    assert sum(map(len, traces["student"].rounds_s)) >= short_protocol.min_runs
