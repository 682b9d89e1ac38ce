"""What a vocabulary loses: the teacher against itself, with other tokens in the place of some."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgedistill.distill.vocabulary import StudentVocabulary
from edgedistill.distill.vocabulary_loss import StandInEncoder, measure_vocabulary
from edgedistill.processes import Group, working_in
from edgedistill.tasks.text_classification.encoding import TextEncoder
from edgedistill.teach.teacher_model import load_classifier


class OneOfTwo(Group):
    """The main process of two; the other one never answers."""

    size = 2

    def merge(self, rows: Any) -> Any:
        raise AssertionError("waits for a process that does something else")


@pytest.fixture
def teacher(model_folder: Callable[[str], Path]) -> tuple[Any, TextEncoder]:
    folder = model_folder("bert")
    return load_classifier(folder, ("x", "y", "z")).eval(), TextEncoder.load(folder)


def answers(model: Any, ids: list[list[int]]) -> np.ndarray:
    with torch.inference_mode():
        return np.concatenate([model(input_ids=torch.tensor([row])).logits.float().numpy() for row in ids])


def whole(encoder: TextEncoder) -> StudentVocabulary:
    every = np.arange(encoder.tokenizer.get_vocab_size())
    return StudentVocabulary(every, every)


def test_stand_ins_when_a_token_is_left_out_then_the_one_whose_row_it_shares(teacher: tuple[Any, TextEncoder], rows: Callable[..., Any]) -> None:
    _, encoder = teacher
    texts = rows(6, seed=2)[0]
    plain = encoder.encode(texts)
    lost, heir = int(plain.ids[1]), int(plain.ids[2])
    assert lost != heir
    kept = np.delete(np.arange(encoder.tokenizer.get_vocab_size()), lost)
    student_id_of = np.searchsorted(kept, np.where(np.arange(len(kept) + 1) == lost, heir, np.arange(len(kept) + 1)))
    found = StandInEncoder(encoder, StudentVocabulary(kept, student_id_of)).encode(texts)
    assert found.ids.tolist() == [heir if i == lost else i for i in plain.ids.tolist()]
    assert found.offsets.tolist() == plain.offsets.tolist()


def test_measure_vocabulary_when_nothing_is_left_out_then_nothing_is_lost(teacher: tuple[Any, TextEncoder], rows: Callable[..., Any]) -> None:
    model, encoder = teacher
    texts = rows(12, seed=3)[0]
    expected = answers(model, [encoder.tokenizer.encode(text).ids for text in texts])
    found = measure_vocabulary(model, StandInEncoder(encoder, whole(encoder)), texts, expected=expected)
    assert (found.rows, found.agreement) == (12, 1.0)
    assert found.kl_nats < 1e-3


def test_measure_vocabulary_when_all_tokens_become_one_then_what_the_teacher_says_of_that(
    teacher: tuple[Any, TextEncoder], rows: Callable[..., Any]
) -> None:
    model, encoder = teacher
    texts = rows(12, seed=3)[0]
    ids = [encoder.tokenizer.encode(text).ids for text in texts]
    first, other = (torch.log_softmax(torch.from_numpy(answers(model, given)), 1) for given in (ids, [[7] * len(row) for row in ids]))
    vocabulary = StudentVocabulary(np.array([7]), np.zeros(encoder.tokenizer.get_vocab_size(), np.int64))
    found = measure_vocabulary(model, StandInEncoder(encoder, vocabulary), texts, expected=answers(model, ids))
    assert found.kl_nats == pytest.approx(float((first.exp() * (first - other)).sum(1).mean()), rel=0.05)


def test_measure_vocabulary_when_other_processes_wait_then_asks_nothing_of_them(
    teacher: tuple[Any, TextEncoder], rows: Callable[..., Any]
) -> None:
    model, encoder = teacher
    texts = rows(3, seed=3)[0]
    with working_in(OneOfTwo()):
        assert measure_vocabulary(model, StandInEncoder(encoder, whole(encoder)), texts, expected=np.zeros((3, 3), np.float32)).rows == 3
