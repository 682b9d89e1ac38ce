"""A bundle makes probabilities of logits: a model that puts out probabilities is refused before anything is made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgedistill.errors import ArtifactError
from edgedistill.package.raw_answers import require_raw_answers
from edgedistill.package.stage import requires
from edgedistill.problem_type import SEVERAL_LABELS


class _Rows:
    """Eight rows of numbers for a graph with the input x."""

    def __len__(self) -> int:
        return 8

    def batch(self, rows: list[int]) -> dict[str, np.ndarray]:
        return {"x": np.random.default_rng(rows[0]).normal(size=(1, 4)).astype(np.float32)}


def save(path: Path, operator: str) -> Path:
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(operator, ["x"], ["y"])], "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 4])],
    )
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)]), path)
    return path


def test_require_raw_answers_when_logits_then_passes(tmp_path: Path) -> None:
    for problem in ("single_label_classification", SEVERAL_LABELS):
        require_raw_answers(save(tmp_path / "m.onnx", "Identity"), _Rows(), problem)


@pytest.mark.parametrize(("operator", "problem"), [("Softmax", "single_label_classification"), ("Sigmoid", SEVERAL_LABELS)])
def test_require_raw_answers_when_probabilities_then_refused(tmp_path: Path, operator: str, problem: str) -> None:
    with pytest.raises(ArtifactError, match="these are probabilities") as refused:
        require_raw_answers(save(tmp_path / "m.onnx", operator), _Rows(), problem)
    assert f"without the {operator}" in (refused.value.hint or "")


def test_requires_when_the_text_model_ends_in_softmax_then_refused(settings, inputs, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in inputs.model.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    model = onnx.load(folder / "model.onnx")
    model.graph.node[-1].output[0] = "raw"
    model.graph.node.append(onnx.helper.make_node("Softmax", ["raw"], ["logits"], axis=-1))
    onnx.save(model, folder / "model.onnx")
    with pytest.raises(ArtifactError, match="would take the softmax of them once more"):
        requires(settings, replace(inputs, model=folder))
