"""The planted slow-down: real work beside the model, and the same answers."""

import ab_power
import numpy as np
import onnx
import onnxruntime

from tests.benchmark.conftest import make_model_folder

__all__ = ["make_model_folder"]


def _logits(path, ids):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]


def test_plant_when_links_are_added_then_answers_stay_and_the_work_grows(make_model_folder, tmp_path):
    model = make_model_folder("student") / "model.onnx"
    short, long = (ab_power.plant(model, tmp_path / f"{n}.onnx", links=n) for n in (0, 7))
    ids = np.array([[2, 3, 4, 5], [7, 6, 5, 4]], np.int64)
    np.testing.assert_allclose(_logits(long, ids), _logits(model, ids), atol=1e-6)
    np.testing.assert_allclose(_logits(short, ids), _logits(model, ids), atol=1e-6)
    kinds = [[node.op_type for node in onnx.load(path).graph.node].count("MatMul") for path in (short, long)]
    assert kinds[1] - kinds[0] == 7


def test_by_process_when_grouped_then_the_rounds_of_a_process_stay_together():
    assert ab_power._by_process(((1.0,), (2.0,), (3.0,), (4.0,))) == [((1.0,), (2.0,)), ((3.0,), (4.0,))]
