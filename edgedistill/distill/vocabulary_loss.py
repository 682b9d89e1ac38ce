"""What a smaller vocabulary loses by itself: the teacher, fed with the stand-ins of the tokens that were left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel

from edgedistill.distill.fit import compare
from edgedistill.distill.vocabulary import StudentVocabulary
from edgedistill.problem_type import problem_of
from edgedistill.processes import ALONE, working_in
from edgedistill.results import FitOn
from edgedistill.tasks.text_classification.encoding import EncodedTexts, TextEncoder
from edgedistill.teach.teacher_model import label_texts


@dataclass(frozen=True)
class StandInEncoder:
    """Encodes texts as the teacher does, each token that the student has no row for replaced by the one that stands for it."""

    teacher: TextEncoder
    vocabulary: StudentVocabulary

    def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Return the teacher's ids after the replacement."""
        encoded = self.teacher.encode(texts)
        stand_in = self.vocabulary.kept[self.vocabulary.student_id_of]
        return replace(encoded, ids=stand_in[encoded.ids].astype(encoded.ids.dtype))


def measure_vocabulary(
    model: PreTrainedModel, encoder: StandInEncoder, texts: Sequence[str], *, expected: NDArray[np.float32]
) -> FitOn:
    """Compare the teacher's answers to texts with its answers to the same texts written in the student's tokens.

    A student can learn some of it back, as it is trained on the stand-ins; a student far nearer to its teacher than this
    is not to be expected.

    Args:
        model: the fine-tuned teacher.
        encoder: of the student's vocabulary.
        texts: n of them, n >= 1.
        expected: the teacher's raw logits on them, shape (n, classes).
    """
    with working_in(ALONE):  # the main process does it while others wait, so it must not deal batches out to them
        answers = list(label_texts(model, encoder, iter([list(texts)])))
    return compare(expected, np.concatenate([answer.logits for answer in answers]), problem_of(model.config))
