"""What the numbers that a model puts out are, and the logits that they stand for: the court compares decisions, not numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from edgedistill.decisions import LEAST_SHARE, are_shares, logits_of_shares
from edgedistill.errors import ArtifactError
from edgedistill.examples import NO_LABEL
from edgedistill.problem_type import ONE_LABEL, SEVERAL_LABELS, ProblemType

AnswerForm = Literal["logits", "probabilities", "binary logit", "binary probability", "independent probabilities"]
"""logits or probabilities of two or more classes; or one number a row, of the second of two classes; or, where a row may have
several labels, the probability of each class by itself."""

_PASSES_ON = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Cast"})


def form_of(
    model: Path, answers: NDArray[np.float32], labels: NDArray[np.int64] | None, *, problem: ProblemType = ONE_LABEL
) -> AnswerForm:
    """Say what a float model's answers are.

    Args:
        model: its file.
        answers: shape (n, columns), as it gives them.
        labels: classes of the rows, `NO_LABEL` where there is none; None where nobody labelled anything.
        problem: may a row have several labels?

    Raises:
        ArtifactError: it answers with one number a row, and nothing says that this is one of two classes.
    """
    is_share = bool(np.all((answers >= 0) & (answers <= 1)))
    if problem == SEVERAL_LABELS:
        return "independent probabilities" if is_share else "logits"
    if answers.shape[1] > 1:
        return "probabilities" if are_shares(answers) else "logits"
    told = _by_sigmoid(onnx.load(model, load_external_data=False).graph)
    if told is not None:
        return told
    known = set() if labels is None else set(np.unique(labels[labels != NO_LABEL]).tolist())
    if known and known <= {0, 1}:
        return "binary probability" if is_share else "binary logit"
    raise ArtifactError(
        f"{model.name}: answers with one number a row, and whether that is a class cannot be told; int8 is judged by the classes "
        "that a model finds, so a regression cannot be judged",
        hint="of two classes: give labels of 0 and 1 with the rows, or let the graph end in a Sigmoid",
    )


def as_logits(answers: NDArray[np.float32], form: AnswerForm) -> NDArray[np.float32]:
    """Return the logits that answers stand for, shape (n, classes); of one number z or p a row (0, z) or (0, ln p/(1-p))."""
    if form == "logits":
        return answers
    if form == "binary logit":
        return np.concatenate([np.zeros_like(answers), answers], axis=1)
    if form == "probabilities":
        return logits_of_shares(answers)
    share = np.clip(answers.astype(np.float64), LEAST_SHARE, 1 - LEAST_SHARE) + np.where(np.isfinite(answers), 0.0, np.nan)
    odds = np.log(share) - np.log1p(-share)
    if form == "independent probabilities":
        return np.asarray(odds, np.float32)
    return np.asarray(np.concatenate([np.zeros_like(odds), odds], axis=1), np.float32)


def _by_sigmoid(graph: onnx.GraphProto) -> AnswerForm | None:
    """Say what the one number is that is judged, the first output of float numbers; None where no Sigmoid tells.

    It is a probability where a Sigmoid makes it, if need be behind nodes that change its form alone, and a logit where a Sigmoid
    makes another output of it.
    """
    makers: Mapping[str, onnx.NodeProto] = {name: node for node in graph.node for name in node.output}
    outputs = [item.name for item in graph.output if item.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]
    if not outputs:
        return None
    judged, *others = (_source(name, makers) for name in outputs)
    if _is_sigmoid(judged, makers):
        return "binary probability"
    read = [_source(makers[name].input[0], makers) for name in others if _is_sigmoid(name, makers)]
    return "binary logit" if judged in read else None


def _is_sigmoid(name: str, makers: Mapping[str, onnx.NodeProto]) -> bool:
    return name in makers and makers[name].op_type == "Sigmoid"


def _source(name: str, makers: Mapping[str, onnx.NodeProto]) -> str:
    """Return the value that another one is, but for its form."""
    while name in makers and makers[name].op_type in _PASSES_ON:
        name = makers[name].input[0]
    return name
