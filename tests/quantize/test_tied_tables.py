"""A table that is looked up and multiplied is stored once, or it is said why not."""

import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgedistill.quantize.candidates import Candidate, make_candidate
from edgedistill.quantize.coverage import measure_coverage
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.tied_tables import turn_tied_tables

SPEC = importlib.util.spec_from_file_location("small_graphs", Path(__file__).with_name("small_graphs.py"))
graphs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(graphs)

DYNAMIC = ("dynamic_wi8_afp32", "dynamic_wi8_afp32_per_channel", "dynamic_wi8_afp32_per_channel_reduced_range",
           "dynamic_wu8_afp32", "dynamic_wu8_afp32_per_channel")
VOCABULARY, WIDTH = 40, 16
make = helper.make_node


def save(path: Path, form: str, *, ids: tuple[str, ...] = ("b", "s"), extra: tuple[onnx.NodeProto, ...] = ()) -> Path:
    """A look-up, a layer, and the logits of the table's own words: through a Transpose, a Gemm with transB, or as it stands."""
    random = np.random.default_rng(0)
    constants = {"table": (random.normal(size=(VOCABULARY, WIDTH)) + 0.3).astype(np.float32),
                 "mix": (random.normal(size=(WIDTH, WIDTH)) / 4).astype(np.float32),
                 "wide": (random.normal(size=(WIDTH, VOCABULARY)) / 4).astype(np.float32)}
    nodes = [make("Gather", ["table", "ids"], ["e"], "look_up"), make("MatMul", ["e", "mix"], ["m"], "mix"),
             make("Tanh", ["m"], ["t"], "tanh")]
    nodes += {
        "transpose": [make("Transpose", ["table"], ["turned"], "turn", perm=[1, 0]), make("MatMul", ["t", "turned"], ["y"], "head")],
        "gemm": [make("Gemm", ["t", "table"], ["y"], "head", transB=1)],
        "direct": [make("MatMul", ["t", "wide"], ["w"], "wide"), make("MatMul", ["w", "table"], ["y"], "head")],
    }[form]
    used = {name for node in (*nodes, *extra) for name in node.input}
    return graphs.save_graph(path, [*nodes, *extra], {k: v for k, v in constants.items() if k in used},
                             inputs={"ids": (TensorProto.INT64, ["n"] if form == "gemm" else list(ids))})


def rows_for(form: str) -> list[dict[str, np.ndarray]]:
    return [{"ids": np.random.default_rng(i).integers(0, VOCABULARY, (5,) if form == "gemm" else (2, 5))} for i in range(6)]


def made(source: Path, scheme: str, form: str, **how: tuple[str, ...]) -> Path:
    out = source.with_name("q.onnx")
    make_candidate(source, out, Candidate(parse_scheme(scheme), **how), calibration=lambda: iter(rows_for(form)))
    return out


def tables(path: Path) -> dict[str, int]:
    """Types of the matrices of the table's size."""
    return {i.name: i.data_type for i in onnx.load(path).graph.initializer if sorted(i.dims) == [WIDTH, VOCABULARY] and i.name != "wide_quantized"}


@pytest.mark.parametrize("form", ["transpose", "gemm", "direct"])
@pytest.mark.parametrize("scheme", DYNAMIC)
def test_dynamic_stores_a_tied_table_once_and_keeps_the_answers(tmp_path: Path, scheme: str, form: str) -> None:
    source = save(tmp_path / "m.onnx", form)
    out = made(source, scheme, form)
    found, kinds = measure_coverage(out), tables(out)
    before, after = graphs.run(source, rows_for(form)), graphs.run(out, rows_for(form))
    assert list(kinds.values()) == [TensorProto.UINT8 if "wu8" in scheme else TensorProto.INT8]
    assert (found.weight_bytes_share, found.nodes_share, found.stored_twice) == (1.0, 1.0, ())
    assert np.abs(after - before).max() < 0.05 * np.abs(before).max()


def test_the_table_has_a_scale_for_each_word_where_the_product_has_one(tmp_path: Path) -> None:
    source = save(tmp_path / "m.onnx", "transpose")
    model = onnx.load(source)
    table = next(i for i in model.graph.initializer if i.name == "table")
    words = onnx.numpy_helper.to_array(table).copy()
    words[7] *= 200
    table.CopyFrom(onnx.numpy_helper.from_array(words, "table"))
    onnx.save(model, source)
    row = [{"ids": np.array([[1, 2, 3]])}]
    error = {scheme: np.abs(graphs.run(made(source, scheme, "transpose"), row) - graphs.run(source, row))[..., :7].max()
             for scheme in DYNAMIC[:2]}
    assert error[DYNAMIC[1]] < error[DYNAMIC[0]] / 20


def test_a_fused_embedding_on_a_tied_table_is_taken_apart_and_shares_it(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    constants = {"table": random.normal(size=(VOCABULARY, WIDTH)), "places": random.normal(size=(12, WIDTH)),
                 "gain": np.ones(WIDTH), "beta": np.zeros(WIDTH)}
    nodes = [make("EmbedLayerNormalization", ["ids", "", "table", "places", "", "gain", "beta"], ["e", ""], "fused", domain="com.microsoft"),
             make("Transpose", ["table"], ["turned"], "turn"), make("MatMul", ["e", "turned"], ["y"], "head")]
    source = graphs.save_graph(tmp_path / "m.onnx", nodes, {k: v.astype(np.float32) for k, v in constants.items()},
                               inputs={"ids": (TensorProto.INT32, ["b", "s"])})
    out = made(source, DYNAMIC[1], "transpose")
    rows = [{"ids": row["ids"].astype(np.int32)} for row in rows_for("transpose")]
    before, after = graphs.run(source, rows), graphs.run(out, rows)
    assert list(tables(out).values()) == [TensorProto.INT8]
    assert np.abs(after - before).max() < 0.05 * np.abs(before).max()


def test_a_weight_that_is_transposed_for_one_product_becomes_int8_in_every_scheme(tmp_path: Path) -> None:
    nodes = [make("Transpose", ["w"], ["turned"], "turn"), make("MatMul", ["x", "turned"], ["y"], "head")]
    weight = np.random.default_rng(0).normal(size=(24, WIDTH)).astype(np.float32)
    source = graphs.save_graph(tmp_path / "m.onnx", nodes, {"w": weight}, inputs={"x": (TensorProto.FLOAT, ["n", WIDTH])})
    rows = [{"x": np.random.default_rng(i).normal(size=(3, WIDTH)).astype(np.float32)} for i in range(6)]
    for scheme in ("dynamic_wi8_afp32", "static_wi8_au8_per_channel", "weight_only_wi8_afp32"):
        out = tmp_path / f"{scheme}.onnx"
        make_candidate(source, out, Candidate(parse_scheme(scheme)), calibration=lambda: iter(rows))
        graph = onnx.load(out).graph
        assert "Transpose" not in {node.op_type for node in graph.node}
        assert {i.data_type for i in graph.initializer if len(i.dims) == 2} == {TensorProto.INT8}
        assert np.abs(graphs.run(out, rows) - graphs.run(source, rows)).max() < 0.05 * np.abs(graphs.run(source, rows)).max()


@pytest.mark.parametrize(("scheme", "how", "why"), [
    (DYNAMIC[0], {"excluded": ("look_up",)}, "one of the two stays float"),
    ("static_wi8_ai8", {}, "the product reads it transposed"), ("weight_only_wi8_afp32", {}, "the product reads it transposed"),
])
def test_a_table_that_is_stored_twice_is_named_with_the_reason(tmp_path: Path, scheme: str, how: dict, why: str) -> None:
    found = measure_coverage(made(save(tmp_path / "m.onnx", "transpose"), scheme, "transpose", **how))
    assert [line.startswith("stored twice: table") and line.endswith(f"({why})") for line in found.stored_twice] == [True]


def test_weight_only_stores_a_table_once_where_the_integers_are_the_same_and_says_it_where_they_are_not(tmp_path: Path) -> None:
    source = save(tmp_path / "m.onnx", "gemm")
    out = made(source, "weight_only_wi8_afp32", "gemm")
    assert (list(tables(out).values()), measure_coverage(out).stored_twice) == ([TensorProto.INT8], ())
    found = measure_coverage(made(source, "weight_only_wi8_afp32_per_channel", "gemm")).stored_twice
    assert [line.endswith("(their scales are not the same)") for line in found] == [True]


def test_an_excluded_product_leaves_one_float_table_and_both_nodes_are_named(tmp_path: Path) -> None:
    out = made(save(tmp_path / "m.onnx", "transpose"), DYNAMIC[0], "transpose", excluded=("head",))
    found = measure_coverage(out)
    assert list(tables(out).values()) == [TensorProto.FLOAT]
    assert (set(found.float_nodes), found.stored_twice) == ({"head", "look_up"}, ())


def test_a_table_with_another_reader_keeps_that_readers_copy_and_it_is_said(tmp_path: Path) -> None:
    extra = (make("ReduceMean", ["table"], ["mean"], "reader", keepdims=0),)
    out = made(save(tmp_path / "m.onnx", "transpose", extra=extra), DYNAMIC[0], "transpose")
    found = measure_coverage(out)
    assert "head" not in found.float_nodes
    assert len(found.stored_twice) == 1


@pytest.mark.parametrize("save_it", ["save_attention", "save_cnn"])
@pytest.mark.parametrize("kind", ["dynamic", "static", "weight_only"])
def test_a_graph_without_a_transposed_weight_is_left_as_it_is(tmp_path: Path, save_it: str, kind: str) -> None:
    model = onnx.load(getattr(graphs, save_it)(tmp_path / "m.onnx"))
    before = model.SerializeToString()
    turn_tied_tables(model, kind)
    assert model.SerializeToString() == before
