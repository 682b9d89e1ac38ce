"""Student shapes: numbers counted by hand, and the parameters that transformers really builds."""

from pathlib import Path

import pytest

from edgedistill.catalog import data_folder
from edgedistill.errors import RecipeError
from edgedistill.shape import (
    FLOAT_GRAPH_BYTES,
    FLOAT_LAYER_BYTES,
    INT8_GRAPH_BYTES,
    INT8_LAYER_BYTES,
    StudentShape,
    macs_of,
    read_ladder,
    weigh,
)

SMALL = StudentShape(id="small", layers=1, hidden=8, heads=2, intermediate=16, vocabulary=100)
# SMALL with 10 positions and 3 classes, counted by hand:
EMBEDDING = 100 * 8 + 10 * 8 + 2 * 8  # words, positions, two segments
ENCODER = 4 * 8 * 8 + 8 * 16 + 16 * 8 + 8 * 8  # query, key, value, output; feed-forward in and out; pooler
HEAD = 3 * 8
VECTORS = 2 * 8 + 4 * 8 + 2 * 8 + 16 + 8 + 2 * 8 + 8 + 3  # norm; four biases; norm; two biases; norm; pooler; classes
COLUMNS = (3 * 8 + 8 + 16 + 8) + 8 + 3  # query, key and value; output; feed-forward in and out; pooler; classes


def test_weigh_when_small_then_as_counted_by_hand() -> None:
    weight = weigh(SMALL, classes=3, positions=10)
    assert (weight.embedding, weight.encoder, weight.head, weight.vectors) == (896, 576, 24, 115)
    assert (weight.embedding, weight.encoder, weight.head, weight.vectors) == (EMBEDDING, ENCODER, HEAD, VECTORS)
    assert weight.parameters == 1611


def test_weight_when_asked_for_bytes_then_one_a_matrix_number_four_a_vector_number_and_five_a_column() -> None:
    weight = weigh(SMALL, classes=3, positions=10)
    assert weight.int8_bytes - INT8_GRAPH_BYTES - INT8_LAYER_BYTES == 896 + 576 + 24 + 4 * 115 + 5 * COLUMNS
    assert weight.float_bytes - FLOAT_GRAPH_BYTES - FLOAT_LAYER_BYTES == 4 * 1611


@pytest.mark.parametrize(
    ("shape", "positions", "int8_bytes", "float_bytes"),
    [  # sizes of files that export and quantize wrote for 29 classes
        (StudentShape(id="bert-3x192", layers=3, hidden=192, heads=6, intermediate=512, vocabulary=8500), 64,
         2_785_334, 10_916_245),
        (StudentShape(id="MiniLM-L6", layers=6, hidden=384, heads=12, intermediate=1536, vocabulary=30_522), 512,
         22_946_982, 90_915_122),
    ],
)
def test_weight_when_compared_with_written_files_then_right_to_a_kilobyte(
    shape: StudentShape, positions: int, int8_bytes: int, float_bytes: int
) -> None:
    weight = weigh(shape, classes=29, positions=positions)
    assert weight.int8_bytes == pytest.approx(int8_bytes, abs=1000)
    assert weight.float_bytes == pytest.approx(float_bytes, abs=100)


def test_weigh_when_the_embedding_is_of_low_rank_then_a_thin_table_and_a_matrix() -> None:
    weight = weigh(SMALL.model_copy(update={"embedding_rank": 4}), classes=3, positions=10)
    assert weight.embedding == 100 * 4 + 4 * 8 + 10 * 8 + 2 * 8
    assert weight.columns == COLUMNS + 8
    full = macs_of(SMALL, tokens=5, classes=3).on_weights
    assert macs_of(SMALL.model_copy(update={"embedding_rank": 4}), tokens=5, classes=3).on_weights == full + 5 * 4 * 8


def test_shape_when_its_rank_saves_nothing_then_refused() -> None:
    with pytest.raises(ValueError, match="embedding_rank 8 saves nothing: it must be below hidden 8"):
        StudentShape(id="no", layers=1, hidden=8, heads=2, intermediate=16, vocabulary=100, embedding_rank=8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape",
    [
        StudentShape(id="a", layers=1, hidden=64, heads=2, intermediate=256, vocabulary=2000),
        StudentShape(id="c", layers=2, hidden=96, heads=3, intermediate=128, vocabulary=3000, embedding_rank=32),
        StudentShape(id="b", layers=4, hidden=96, heads=3, intermediate=200, vocabulary=700),
    ],
)
def test_weight_when_compared_with_files_made_now_then_within_two_percent(tmp_path: Path, shape: StudentShape) -> None:
    import onnx
    import onnxruntime
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from edgedistill.distill.low_rank_embedding import round_to_rank
    from edgedistill.export.exporter import export_classifier
    from edgedistill.export.graph import fuse
    from edgedistill.export.split_table import split_table
    from edgedistill.quantize.onnx_quantizer import quantize_weights

    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, num_hidden_layers=shape.layers, num_labels=7,
        num_attention_heads=shape.heads, intermediate_size=shape.intermediate, max_position_embeddings=32,
    ))
    for parameter in model.parameters():  # as trained: equal vectors would be stored once
        torch.nn.init.normal_(parameter, std=0.1)
    if shape.embedding_rank is not None:
        round_to_rank(model, shape.embedding_rank)
    model.save_pretrained(tmp_path)
    export_classifier(tmp_path, tmp_path / "raw.onnx")
    if shape.embedding_rank is not None:
        split_table(tmp_path / "raw.onnx", shape.embedding_rank)
    fuse(tmp_path / "raw.onnx", tmp_path / "fused.onnx", model_type="bert", heads=shape.heads, hidden=shape.hidden)
    quantize_weights(tmp_path / "fused.onnx", tmp_path / "int8.onnx", reduced_range=False, per_channel=True)
    weight = weigh(shape, classes=7, positions=32)
    assert weight.float_bytes == pytest.approx((tmp_path / "fused.onnx").stat().st_size, rel=0.02)
    assert weight.int8_bytes == pytest.approx((tmp_path / "int8.onnx").stat().st_size, rel=0.02)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "as_run.onnx")
    onnxruntime.InferenceSession(tmp_path / "int8.onnx", options, providers=["CPUExecutionProvider"])
    assert weight.nodes == len(onnx.load(tmp_path / "as_run.onnx").graph.node)


def test_weight_when_asked_by_part_then_as_counted_by_hand() -> None:
    weight = weigh(SMALL, classes=3, positions=10)
    assert list(weight.int8_bytes_by_part) == ["embedding", "encoder", "head", "vectors", "graph"]
    assert weight.float_bytes_by_part["vectors"] == 4 * VECTORS
    assert weight.int8_bytes_by_part["vectors"] == 4 * VECTORS + 5 * COLUMNS
    assert weight.float_bytes_by_part["encoder"] == 4 * ENCODER
    assert sum(weight.int8_bytes_by_part.values()) == weight.int8_bytes


@pytest.mark.parametrize(("layers", "nodes"), [(2, 24), (3, 32), (6, 56)])
def test_weigh_when_asked_for_nodes_then_as_many_as_the_runtime_ran(layers: int, nodes: int) -> None:
    """Counted in the graphs that onnxruntime 1.32.0 made of int8 students with these layers."""
    assert weigh(SMALL.model_copy(update={"layers": layers}), classes=3, positions=10).nodes == nodes


@pytest.mark.parametrize(
    ("shape", "classes", "positions"),
    [
        (SMALL, 3, 10),
        (StudentShape(id="wide", layers=3, hidden=48, heads=3, intermediate=40, vocabulary=333), 7, 21),
        (StudentShape(id="bert-2x64", layers=2, hidden=64, heads=2, intermediate=256, vocabulary=3000), 29, 64),
    ],
)
def test_weigh_when_compared_with_transformers_then_as_many_parameters(
    shape: StudentShape, classes: int, positions: int
) -> None:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=shape.vocabulary, hidden_size=shape.hidden, num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads, intermediate_size=shape.intermediate, max_position_embeddings=positions,
        num_labels=classes,
    )
    model = BertForSequenceClassification(config)
    weight = weigh(shape, classes=classes, positions=positions)
    assert weight.parameters == sum(p.numel() for p in model.parameters())
    assert weight.vectors == sum(p.numel() for p in model.parameters() if p.ndim == 1)


def test_macs_of_when_small_then_as_counted_by_hand() -> None:
    work = macs_of(SMALL, tokens=5, classes=3)
    assert work.on_weights == 5 * (4 * 8 * 8 + 2 * 8 * 16) + 8 * 8 + 3 * 8  # pooler and head see one token
    assert work.in_attention == 5 * 5 * 8 + 5 * 5 * 8  # scores, and the mix of values


def test_shipped_ladder_when_read_then_every_rung_is_larger_than_the_one_before() -> None:
    ladder = read_ladder(data_folder("models") / "students.yaml")
    assert ladder.family == "bert"
    sizes = [weigh(rung, classes=29, positions=64).int8_bytes for rung in ladder.rungs]
    assert sizes == sorted(set(sizes))
    assert all(rung.hidden // rung.heads == 32 for rung in ladder.rungs)


@pytest.mark.parametrize(
    ("rungs", "says"),
    [
        ("[]", "rungs: Tuple should have at least 1 item"),
        ("[{id: a, layers: 2, hidden: 64, heads: 3, intermediate: 64, vocabulary: 999}]",
         "rungs.0 (a): hidden 64 is not a multiple of heads 3"),
        ("[{id: a, layers: 0, hidden: 64, heads: 2, intermediate: 64, vocabulary: 999}]", "rungs.0 (a).layers: "),
        ("[{id: a, layers: 2, hidden: 64, heads: 2, intermediate: 64, vocab: 999, vocabulary: 999}]",
         "rungs.0 (a).vocab: unknown key; did you mean 'vocabulary'?"),
        ("[{id: a, layers: 2, hidden: 64, heads: 2, intermediate: 64, vocabulary: 999},"
         " {id: a, layers: 1, hidden: 64, heads: 2, intermediate: 64, vocabulary: 999}]", "rung a stands twice"),
    ],
)
def test_read_ladder_when_a_rung_is_impossible_then_refused(tmp_path: Path, rungs: str, says: str) -> None:
    path = tmp_path / "students.yaml"
    path.write_text(f"family: bert\nrungs: {rungs}\n")
    with pytest.raises(RecipeError) as caught:
        read_ladder(path)
    assert says in caught.value.message
    assert caught.value.message.startswith(str(path))


def test_read_ladder_when_missing_then_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        read_ladder(tmp_path / "nowhere.yaml")
