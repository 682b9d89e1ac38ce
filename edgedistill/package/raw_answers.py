"""Whether a model puts out logits: a bundle makes probabilities of what it puts out, and must not do so twice."""

from pathlib import Path

import numpy as np

from edgedistill.decisions import are_shares, require_logits
from edgedistill.errors import ArtifactError
from edgedistill.evaluate.predictor import open_predictor
from edgedistill.problem_type import ONE_LABEL, ProblemType
from edgedistill.tasks.encoding import Encoded

ASKED_ROWS = 8
"""Rows whose answers are looked at."""


def require_raw_answers(model: Path, encoded: Encoded, problem: ProblemType = ONE_LABEL) -> None:
    """Refuse a model that puts out probabilities.

    Args:
        model: an .onnx file.
        encoded: rows; the first `ASKED_ROWS` are answered.
        problem: may a row have several labels?

    Raises:
        ArtifactError: its answers are shares of 1, as behind a Softmax, or of several labels all within 0 and 1; or it does not
            run.
    """
    predictor = open_predictor(model)
    answers = np.concatenate([predictor.logits(encoded.batch([row])) for row in range(min(ASKED_ROWS, len(encoded)))])
    require_logits(answers, problem, place=str(model))
    if problem == ONE_LABEL and are_shares(answers):
        raise ArtifactError(f"{model}: its answers to a row are shares that sum to 1: these are probabilities, and an app would "
                            "take the softmax of them once more",
                            hint="let the graph put out logits, without the Softmax, and quantize it again")
