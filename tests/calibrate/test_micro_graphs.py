"""The micro-graphs: forty operators and six encoders, valid graphs, the same bytes each time, work counted by hand, and they run."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from edgedistill.calibrate.micro_graphs import MicroGraph, chain, encoder, glue, int8_product, micro_graphs

GRAPHS = micro_graphs()


def test_micro_graphs_when_built_twice_then_forty_and_six_and_the_same_bytes() -> None:
    assert len([g for g in GRAPHS if not g.is_whole]) == 40
    assert len([g for g in GRAPHS if g.is_whole]) == 6
    assert len({g.name for g in GRAPHS}) == 46
    assert [g.model for g in GRAPHS] == [g.model for g in micro_graphs()]
    assert [g.model for g in GRAPHS] != [g.model for g in micro_graphs(seed=14)]


def test_micro_graphs_when_read_then_what_the_oldest_runtime_reads() -> None:
    for graph in GRAPHS:
        model = onnx.load_from_string(graph.model)
        assert model.ir_version == 9
        assert {o.domain: o.version for o in model.opset_import}[""] == 20


def test_micro_graphs_when_looked_at_then_every_class_of_work_is_large_in_one_of_them() -> None:
    for name in ("int8_macs", "float_macs", "glue_elements", "gathered_bytes", "weight_bytes", "nodes"):
        assert max(getattr(g.work, name) for g in GRAPHS) >= 64


@pytest.mark.parametrize("build", [partial(glue, 4, 64), partial(chain, 3), partial(encoder, (2, 64, 128), 5)])
def test_graphs_when_norms_are_apart_then_the_same_work_and_answers_without_a_fused_norm(
    build: Callable[..., MicroGraph], tmp_path: Path
) -> None:
    fused, apart = (build(np.random.default_rng(0), norms) for norms in ("fused", "apart"))
    assert (fused.work, fused.name) == (apart.work, apart.name)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "as_run.onnx")
    expected, found = (onnxruntime.InferenceSession(graph.model, options, providers=["CPUExecutionProvider"]).run(None, graph.feeds)
                       for graph in (fused, apart))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4 if build.func is glue else 0.02)
    kinds = {node.op_type for node in onnx.load(tmp_path / "as_run.onnx").graph.node}
    assert "LayerNormalization" in kinds
    assert "SkipLayerNormalization" not in kinds


def test_int8_product_when_run_then_the_product_to_the_step_of_the_quantizer() -> None:
    graph = int8_product(4, 32, 8, np.random.default_rng(0))
    weights = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load_from_string(graph.model).graph.initializer}
    (answer,) = onnxruntime.InferenceSession(graph.model, providers=["CPUExecutionProvider"]).run(None, graph.feeds)
    expected = graph.feeds["x"] @ (weights["y_w"].astype(np.float32) * 0.01)
    assert np.abs(answer - expected).max() < 0.02 * np.abs(expected).max()
    assert graph.work.int8_macs == 4 * 32 * 8


def test_glue_when_counted_then_as_by_hand() -> None:
    work = glue(4, 64, np.random.default_rng(0)).work
    assert work.glue_elements == 4 * 4 * 64 + 2 * 4 * 256 + 2 * 2 * 16  # two norms; GELU of 256; softmax of two heads
    assert work.nodes == 4


def test_chain_when_run_then_works_and_has_four_nodes_a_link() -> None:
    graph = chain(3, np.random.default_rng(0))
    (answer,) = onnxruntime.InferenceSession(graph.model, providers=["CPUExecutionProvider"]).run(None, graph.feeds)
    assert answer.shape == (1, 1, 8)
    assert graph.work.nodes == 12


def test_encoder_when_run_then_has_the_nodes_and_the_work_of_a_student_without_embedding_and_head(tmp_path: Path) -> None:
    graph = encoder((2, 64, 128), 5, np.random.default_rng(0))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "as_run.onnx")
    session = onnxruntime.InferenceSession(graph.model, options, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, graph.feeds)
    assert answer.shape == (1, 5, 64)
    assert answer.std() == pytest.approx(1.0, rel=0.1)  # it ends in a norm
    assert len(onnx.load(tmp_path / "as_run.onnx").graph.node) == graph.work.nodes == 16
    assert graph.work.weight_bytes == 2 * (4 * 64 * 64 + 2 * 64 * 128)
    assert graph.work.int8_macs == 5 * graph.work.weight_bytes
    assert graph.work.float_macs == 2 * 2 * 5 * 5 * 64  # scores and their mix, two layers
