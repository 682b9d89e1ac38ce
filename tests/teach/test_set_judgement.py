"""Is a teacher of several labels a text any good? Its answers as sets."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgedistill.errors import TeacherError
from edgedistill.teach.set_judgement import judge_taken_sets

NAMES = ("a", "b", "c", "d")
TRUTH = (np.random.default_rng(1).random((200, 4)) < [0.5, 0.4, 0.3, 0.2]).astype(np.int32)


def teacher(folder: Path, names: tuple[str, ...]) -> Path:
    config = {"architectures": ["BertForSequenceClassification"], "problem_type": "multi_label_classification",
              "id2label": dict(enumerate(names))}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def logits_of(sets: np.ndarray) -> np.ndarray:
    return np.where(sets == 1, 2.0, -2.0).astype(np.float32)


def test_judge_taken_sets_when_the_teacher_is_right_then_nothing_is_said(tmp_path: Path) -> None:
    assert judge_taken_sets(teacher(tmp_path, NAMES), logits_of(TRUTH), TRUTH, NAMES) == ()


def test_judge_taken_sets_when_numbered_classes_stand_in_another_order_then_refused_with_that_order(tmp_path: Path) -> None:
    numbered = teacher(tmp_path, tuple(f"LABEL_{i}" for i in range(4)))
    shuffled = TRUTH[:, [2, 0, 1, 3]]  # its first class is the data's third
    with pytest.raises(TeacherError, match="by number alone") as caught:
        judge_taken_sets(numbered, logits_of(shuffled), TRUTH, NAMES)
    assert '"id2label": {"0": "c", "1": "a", "2": "b", "3": "d"}' in caught.value.hint


def test_judge_taken_sets_when_numbered_classes_are_in_order_or_answered_at_random_then_no_order_is_made_up(tmp_path: Path) -> None:
    numbered = teacher(tmp_path, tuple(f"LABEL_{i}" for i in range(4)))
    assert judge_taken_sets(numbered, logits_of(TRUTH), TRUTH, NAMES) == ()
    random = (np.random.default_rng(2).random(TRUTH.shape) < 0.35).astype(np.int32)
    (warning,) = judge_taken_sets(numbered, logits_of(random), TRUTH, NAMES)
    assert "no better than the most frequent set of labels" in warning.what


def test_judge_taken_sets_when_an_answer_is_no_number_then_refused(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="NaN"):
        judge_taken_sets(teacher(tmp_path, NAMES), np.full((2, 4), np.nan, np.float32), TRUTH[:2], NAMES)
