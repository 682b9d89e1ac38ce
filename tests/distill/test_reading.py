"""The proof on the test split: the ids of the student's tokenizer are those that the teacher's promise."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from edgedistill.distill.reading import READING, Inputs, Settings
from edgedistill.distill.vocabulary import choose_vocabulary, student_tokenizer_json
from edgedistill.errors import ArtifactError
from edgedistill.examples import write_examples
from edgedistill.manifest import GivenWarning
from edgedistill.stage import Done, Workspace
from edgedistill.tasks.registry import task_named

TEXTS = ["the lamp is bright", "turn the radio on", "quick rain"]


@pytest.fixture
def inputs(wordpiece_json: str, vocabulary: dict[str, int], tmp_path: Path) -> Inputs:
    """A teacher, its student with 30 of its 55 tokens, and three test texts without a label."""
    vectors = np.random.default_rng(0).normal(size=(len(vocabulary), 4)).astype(np.float32)
    chosen = choose_vocabulary(np.arange(len(vocabulary)), vectors, (0, 1, 2, 3, 4), size=30)
    paths = [tmp_path / name / "tokenizer.json" for name in ("teacher", "student")]
    for path, content in zip(paths, (wordpiece_json, student_tokenizer_json(wordpiece_json, chosen)), strict=True):
        path.parent.mkdir()
        path.write_text(content, encoding="utf-8")
    write_examples(tmp_path / "test.arrow", ["a", "b", "c"], TEXTS, [-1] * 3)
    return Inputs(*paths, tmp_path / "test.arrow")


def perform(inputs: Inputs, root: Path) -> Done:
    return Workspace(root).perform("prove-ids", READING, Settings(split="test"), inputs)


def test_reading_of_a_student_with_the_teachers_tokens_says_that_every_test_text_was_compared(inputs: Inputs, tmp_path: Path) -> None:
    decision, = perform(inputs, tmp_path / "stages").manifest.decisions
    assert "all 3 test texts, id for id" in decision.what
    assert decision.step == "prove-ids"


def test_reading_of_a_test_text_that_the_student_reads_otherwise_names_it(inputs: Inputs, tmp_path: Path) -> None:
    content = json.loads(inputs.student.read_text())
    content["normalizer"]["lowercase"] = False
    inputs.student.write_text(json.dumps(content))
    write_examples(inputs.data, ["a", "b"], ["the lamp", "turn the Radio on"], [-1] * 2)
    with pytest.raises(ArtifactError, match="turn the Radio on"):
        perform(inputs, tmp_path / "stages")


def test_reading_of_a_student_that_lost_its_aliases_is_refused(inputs: Inputs, tmp_path: Path) -> None:
    content = json.loads(inputs.student.read_text())
    del content["model"]["vocab"]["lamp"]
    inputs.student.write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match="has no 'lamp'"):
        perform(inputs, tmp_path / "stages")


def test_reading_of_a_student_with_a_vocabulary_of_its_own_says_that_nothing_was_compared(inputs: Inputs, tmp_path: Path) -> None:
    Tokenizer(models.BPE({"a": 0}, [])).save(str(inputs.teacher))
    decision, = perform(inputs, tmp_path / "stages").manifest.decisions
    assert "not compared" in decision.what
    # 9 words, of which the vocabulary of the fixture holds all
    assert "knows all but 0.00% of its tokens of the 3 test texts" in decision.what


def test_reading_of_a_student_that_knows_few_words_says_how_many_and_warns(
    inputs: Inputs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Tokenizer(models.BPE({"a": 0}, [])).save(str(inputs.teacher))
    write_examples(inputs.data, ["a", "b"], ["the lamp \u00df", "rain"], [-1] * 2)
    decision, = perform(inputs, tmp_path / "stages").manifest.decisions
    assert "all but 25.00% of its tokens of the 2 test texts" in decision.what
    assert "all but 25.00% of its tokens" in caplog.text
    assert isinstance(decision, GivenWarning)
    assert decision.why.endswith("what it does not know is [UNK], and lost")


def test_prove_reading_is_a_step_of_texts_on_the_test_split_and_none_of_pictures(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("teacher", "student", "data")}
    work = task_named("text-classification").prove_reading(**folders)
    assert work.inputs.data.name == "test.arrow"
    assert work.inputs.student == tmp_path / "student" / "tokenizer.json"
    assert task_named("image-classification").prove_reading(**folders) is None
