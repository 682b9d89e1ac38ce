"""A BERT in a RoBERTa computes the same on the same embeddings; its rows are others than those of the BERT."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ablation
import other_family as script
import pytest
from resumable_rows import key_of
from roberta_of_bert import learn_tokenizer, roberta_of
from student_line import Line
from students import teacher_settings
from suite_files import AblationSuite, StudentsSuite, read_suite_file


def test_roberta_of_when_a_token_is_one_piece_then_answers_as_the_bert(tiny_config: Callable[..., Any]) -> None:
    import torch
    from transformers import BertModel

    torch.manual_seed(0)
    bert = BertModel(tiny_config("bert"), add_pooling_layer=False).eval()
    roberta = roberta_of(bert, [[0], [0], [7], [8, 9], []]).eval()
    ids = torch.tensor([[2, 2, 2]])
    with torch.no_grad():
        ours = roberta(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        theirs = bert(torch.full_like(ids, 7), attention_mask=torch.ones_like(ids)).last_hidden_state
    torch.testing.assert_close(ours, theirs)  # positions are counted from padding id + 1, and still the same ones
    words, old = roberta.embeddings.word_embeddings.weight, bert.embeddings.word_embeddings.weight
    torch.testing.assert_close(words[3], (old[8] + old[9]) / 2)
    torch.testing.assert_close(words[4], old.mean(0))


def test_learn_tokenizer_then_reads_any_text_without_an_unknown_token() -> None:
    tokenizer = learn_tokenizer(["play a song", "play another one"] * 3, size=300)
    ids = tokenizer("Play größe")["input_ids"]
    assert (ids[0], ids[-1]) == (0, 2)
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == "play größe"
    assert [tokenizer.pad_token_id, tokenizer.mask_token_id] == [1, 4]


def test_settings_then_are_not_those_of_the_bert(tmp_path: Path) -> None:
    students, suite = read_suite_file(StudentsSuite, "students"), read_suite_file(AblationSuite, "other_family")
    bert, roberta = (kind(students, "trec6", tmp_path, tmp_path, suite.overrides) for kind in (Line, script.OtherFamilyLine))
    job = next(ablation.jobs_of(suite, students, seeds=(13,), names=None))
    assert key_of(ablation.job_settings(bert, job)) != key_of(ablation.job_settings(roberta, job))
    assert key_of(teacher_settings(bert, 13)) != key_of(teacher_settings(roberta, 13))
    assert script.base_keys(students, suite.overrides)["trec6"] == roberta.base_key() != bert.base_key()


def test_settings_when_the_suites_own_teacher_keeps_the_first_rate_then_the_roberta_still_says_that_two_are_tried(tmp_path: Path) -> None:
    students = read_suite_file(StudentsSuite, "students")
    bert, roberta = (kind(students, "clinc150", tmp_path, tmp_path) for kind in (Line, script.OtherFamilyLine))
    told = [line.base_settings(line.recipe(), teacher_seed=13)["teacher"].get("tried_rates") for line in (bert, roberta)]
    assert told == [None, "by width"]


@pytest.mark.slow
def test_line_then_trains_a_student_of_its_own_tokens_from_contextual_embeddings(
    tmp_path: Path, tiny: Any, tiny_suite: Callable[[], StudentsSuite]
) -> None:
    tiny.write_data(tmp_path)
    (tmp_path / "teacher").mkdir()
    tiny.write_teacher(tmp_path / "teacher")
    suite = tiny_suite()
    line = script.OtherFamilyLine(suite, "tiny", tmp_path, tmp_path / "work")
    recipe, shape = line.recipe("student.initialisation=contextual"), ablation.shape_of(suite.rungs[0])
    decisions = [f"{d.what} ({d.why})" for d in line.student(recipe, shape, 4).manifest.decisions]
    assert any("contextual output (the recipe says so)" in decision for decision in decisions), decisions
    assert '"model_type": "roberta"' in (line.teacher(3).folder / "config.json").read_text(encoding="utf-8")
