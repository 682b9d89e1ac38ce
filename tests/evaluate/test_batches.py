"""How many examples a call a model is evaluated with."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import edgedistill
from edgedistill.errors import ArtifactError
from edgedistill.evaluate.batches import batch_size_of


def change(place, *, batch: int | str = "batch", has_mask: bool = True) -> None:
    """Fix the first axis of the tiny model, or let it take the mean of all words, padding too."""
    file = place.inputs.model / "model.onnx"
    model = onnx.load(file)
    shape, kept = [batch, "length"], ("input_ids", "attention_mask") if has_mask else ("input_ids",)
    del model.graph.input[:]
    model.graph.input.extend(helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in kept)
    if not has_mask:
        nodes = [helper.make_node("Gather", ["table", "input_ids"], ["words"]),
                 helper.make_node("ReduceMean", ["words"], ["sum"], axes=[1], keepdims=0), *list(model.graph.node)[-2:]]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    onnx.save(model, file)


@pytest.mark.parametrize(("how", "expected"), [({}, 32), ({"batch": 1}, 1), ({"has_mask": False}, 1)])
def test_batch_size_when_padding_would_be_read_or_the_axis_is_fixed_then_is_one(place, how: dict, expected: int) -> None:
    change(place, **how)
    assert batch_size_of(place.inputs.model) == expected


def test_batch_size_of_a_torch_model_then_is_the_largest(tmp_path) -> None:
    assert batch_size_of(tmp_path) == 32


def test_batch_size_when_the_axis_is_fixed_above_one_then_refused(place) -> None:
    change(place, batch=4)
    with pytest.raises(ArtifactError, match="takes 4 examples a call") as refused:
        batch_size_of(place.inputs.model)
    assert "free first axis" in (refused.value.hint or "")


def test_evaluate_when_the_graph_takes_no_mask_then_answers_as_one_at_a_time(place) -> None:
    place.write_tiny(place.folder / "other", table=np.array([(9, 0, 0), (0, 0, 0), (2, 0, 0), (0, 2, 0), (0, 0, 2), (0, 0, 0)]))
    place.inputs = type(place.inputs)(place.folder / "other", place.inputs.data, place.inputs.labels, None)
    change(place, has_mask=False)
    assert edgedistill.evaluate(place.inputs.model, place.inputs.data).accuracy.value == 6 / 8


def test_evaluate_when_the_batch_is_fixed_at_one_then_answers(place) -> None:
    change(place, batch=1)
    assert edgedistill.evaluate(place.inputs.model, place.inputs.data).accuracy.value == 6 / 8
