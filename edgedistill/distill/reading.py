"""The proof that the student that ships reads the test texts as its vocabulary promises; their labels are not looked at.

Train, transfer set and validation are proved where the student is made (`edgedistill.distill.work`). Test texts are read
once the student is chosen, so that nothing of them can reach a training or a choice.
"""

from dataclasses import dataclass
from pathlib import Path

from edgedistill.distill.own_tokenizer import MANY_UNKNOWN, unknown_share
from edgedistill.distill.vocabulary import prove_ids, read_student_ids
from edgedistill.document import Document, read_text
from edgedistill.errors import ArtifactError
from edgedistill.examples import Examples, read_examples
from edgedistill.manifest import Decision, warned
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
    student, examples = TextEncoder.load(inputs.student.parent), read_examples(inputs.data)
    if not is_wordpiece(source):
        return Outcome(decisions=(_unknown_decision(student, examples, settings.split),))
    student_id_of = read_student_ids(source, read_text(inputs.student, error=ArtifactError))
    teacher = TextEncoder.load(inputs.teacher.parent)
    for batch in examples.text_batches():
        prove_ids(teacher, student, student_id_of, batch)
    return Outcome(decisions=(Decision(
        step="prove-ids",
        what=f"the student's tokenizer reads all {len(examples)} {settings.split} texts, id for id, as the teacher's does, each "
             "token as itself or as the one that stands for it",
        why="a text may not lose a token that the teacher could read; the texts of train, transfer set and validation were "
            "compared before the training",
    ),))


def _unknown_decision(student: TextEncoder, examples: Examples, split: str) -> Decision:
    """Say how much of a split a vocabulary of the student's own cannot read; warn where it is much."""
    share = unknown_share(student, examples.text_batches())
    is_much = share > MANY_UNKNOWN
    decision = Decision(
        step="prove-ids",
        what=f"the student's token ids were not compared with the teacher's; it knows all but {share:.2%} of its tokens of the "
             f"{len(examples)} {split} texts",
        why="the teacher's tokenizer is no WordPiece, so the student has a vocabulary of its own"
            + ("; what it does not know is [UNK], and lost" if is_much else ""),
    )
    return warned(decision) if is_much else decision


READING = Stage(name="prove-ids", version=2, run=_run, tools=("tokenizers",))
