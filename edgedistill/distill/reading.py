"""The proof that the student that ships reads the test texts as its vocabulary promises; their labels are not looked at.

Train, transfer set and validation are proved where the student is made (`edgedistill.distill.work`). Test texts are read
once the student is chosen, so that nothing of them can reach a training or a choice.
"""

from dataclasses import dataclass
from pathlib import Path

from edgedistill.distill.vocabulary import prove_ids, read_student_ids
from edgedistill.document import Document, read_text
from edgedistill.errors import ArtifactError
from edgedistill.examples import read_examples
from edgedistill.manifest import Decision
from edgedistill.stage import Outcome, Stage
from edgedistill.tasks.text_classification.encoding import TextEncoder, is_wordpiece


class Settings(Document):
    """The name of the split, for the reader."""

    split: str


@dataclass(frozen=True)
class Inputs:
    """`teacher`, `student`: tokenizer.json in their model folders; `data`: examples."""

    teacher: Path
    student: Path
    data: Path


def _run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    source = read_text(inputs.teacher, error=ArtifactError)
    if not is_wordpiece(source):
        return Outcome(decisions=(Decision(
            step="prove-ids", what="the student's token ids were not compared with the teacher's",
            why="the teacher's tokenizer is no WordPiece, so the student has a vocabulary of its own",
        ),))
    student_id_of = read_student_ids(source, read_text(inputs.student, error=ArtifactError))
    teacher, student = TextEncoder.load(inputs.teacher.parent), TextEncoder.load(inputs.student.parent)
    examples = read_examples(inputs.data)
    for batch in examples.text_batches():
        prove_ids(teacher, student, student_id_of, batch)
    return Outcome(decisions=(Decision(
        step="prove-ids",
        what=f"the student's tokenizer reads all {len(examples)} {settings.split} texts, id for id, as the teacher's does, each "
             "token as itself or as the one that stands for it",
        why="a text may not lose a token that the teacher could read; the texts of train, transfer set and validation were "
            "compared before the training",
    ),))


READING = Stage(name="prove-ids", version=1, run=_run, tools=("tokenizers",))
