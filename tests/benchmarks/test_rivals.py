"""Rivals get the bytes that the size allows, and the plain loss is the one of the papers."""

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import rivals as script
from plain_student import fitting_vocabulary, shape_of_plain
from resumable_rows import RowFile
from student_line import Line
from students import teacher_settings
from suite_files import PlainStudent, RivalsSuite, StudentsSuite, read_suite_file

from edgedistill.shape import weigh

_TINY = PlainStudent(name="bert-tiny", layers=2, hidden=128, heads=2, intermediate=512, vocabulary="fit", size="1/80")


def test_fitting_vocabulary_then_is_the_largest_within_the_bytes() -> None:
    def size_of(vocabulary: int) -> int:
        return weigh(shape_of_plain(_TINY, vocabulary), classes=6, positions=64).int8_bytes

    fitted = fitting_vocabulary(_TINY, limit_bytes=1_135_000, classes=6, positions=64, most=30_000)
    assert size_of(fitted) <= 1_135_000 < size_of(fitted + 1)
    assert fitting_vocabulary(_TINY, limit_bytes=90e6, classes=6, positions=64, most=30_000) == 30_000


def test_rivals_then_static_embeddings_have_one_seed_and_students_all() -> None:
    suite = read_suite_file(RivalsSuite, "rivals")
    found = script.rivals_of(suite, (13, 14), names=None)
    assert {rival.seed for rival in found if rival.name == "model2vec"} == {13}
    assert sum(rival.name == "bert-mini" for rival in found) == 2
    assert {rival.name for rival in script.rivals_of(suite, (13,), names=("bert-mini",))} == {"bert-mini"}


def test_is_made_when_teacher_and_row_are_there_then_true(tmp_path: Path) -> None:
    line = Line(read_suite_file(StudentsSuite, "students"), "trec6", tmp_path, tmp_path)
    suite, rows = read_suite_file(RivalsSuite, "rivals"), RowFile(tmp_path / "rows.json")
    rival = script.rivals_of(suite, (13,), names=("bert-tiny",))[0]
    assert not script.is_made(line, rows, rival, suite)
    rows.add(teacher_settings(line, 13), {"fp32_bytes": 90_000_000}, command="c")
    assert not script.is_made(line, rows, rival, suite)
    rows.add(script.rival_settings(line, rival, suite, 3_000_000), {}, command="c")
    assert script.is_made(line, rows, rival, suite)


def test_settings_when_our_distillation_changes_then_a_rival_stays_unless_it_sees_other_rows(tmp_path: Path) -> None:
    students, suite = read_suite_file(StudentsSuite, "students"), read_suite_file(RivalsSuite, "rivals")
    rival = script.rivals_of(suite, (13,), names=("bert-tiny",))[0]
    base, alpha, longer = (
        script.rival_settings(Line(students, "trec6", tmp_path, tmp_path, overrides), rival, suite, 1)
        for overrides in ((), ("distillation.alpha=1",), ("distillation.rows_seen=7",))
    )
    assert base == alpha
    assert base != longer


def test_settings_when_the_teacher_is_tuned_otherwise_then_static_embeddings_of_its_encoder_stay(tmp_path: Path) -> None:
    students, suite = read_suite_file(StudentsSuite, "students"), read_suite_file(RivalsSuite, "rivals")
    line = Line(students, "trec6", tmp_path, tmp_path)
    static, plain = (script.rival_settings(line, script.rivals_of(suite, (13,), names=(name,))[0], suite, 1)["teacher"]
                     for name in ("model2vec", "bert-tiny"))
    assert plain == {**static, "tried_rates": "by width"}


def test_current_base_then_is_that_of_todays_settings_whatever_the_seed(tmp_path: Path) -> None:
    students, suite = read_suite_file(StudentsSuite, "students"), read_suite_file(RivalsSuite, "rivals")
    line = Line(students, "trec6", tmp_path, tmp_path)
    current = script.current_base(suite, students)
    first, second = (script.rivals_of(suite, (seed,), names=("bert-mini",))[0] for seed in (13, 14))
    row = {"task": "trec6", "name": "bert-mini", "size": first.size}
    assert script.rival_base(line, first, suite) == script.rival_base(line, second, suite) == current(row)
    other = suite.model_copy(update={"plain": suite.plain.model_copy(update={"alpha": 0.1})})
    assert script.rival_base(line, first, other) != current(row)
    assert current({**row, "name": "taken out of the suite"}) is None


def test_settings_when_int8_is_made_otherwise_then_a_plain_rival_is_another_row(tmp_path: Path) -> None:
    students, suite = read_suite_file(StudentsSuite, "students"), read_suite_file(RivalsSuite, "rivals")
    line = Line(students, "trec6", tmp_path, tmp_path)
    settings = script.rival_settings(line, script.rivals_of(suite, (13,), names=("bert-tiny",))[0], suite, 1)
    assert {"soft_labels", "quantize"} <= set(settings["stages"])


def test_plain_loss_when_teacher_and_student_are_known_then_equals_the_sum_by_hand() -> None:
    import torch
    from plain_distillation import PlainSchedule, PlainTrainer

    schedule = PlainSchedule(steps=1, batch_size=1, learning_rate=1e-3, warmup_share=0, evaluations=0, temperature=2.0,
                             alpha=0.75, seed=0)
    trainer = PlainTrainer.__new__(PlainTrainer)
    trainer._teacher, trainer._schedule = None, schedule

    class Model:
        training = True

        def __call__(self, **_: object) -> SimpleNamespace:
            return SimpleNamespace(logits=torch.tensor([[0.0, 0.0]]))

    inputs = {"input_ids": None, "labels": torch.tensor([1]), "soft_labels": torch.tensor([[2 * math.log(3), 0.0]])}
    loss = trainer.compute_loss(Model(), inputs)
    # teacher at T = 2: (3/4, 1/4); student (1/2, 1/2); KL = 3/4 ln 1.5 + 1/4 ln 0.5; CE = ln 2
    by_hand = 0.75 * 4 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5)) + 0.25 * math.log(2)
    assert float(loss) == pytest.approx(by_hand, rel=1e-5)
