"""The suites over data sets read, name rungs, tasks and settings that exist, and refuse data that are not theirs."""

import hashlib
from pathlib import Path

import pytest
from student_line import recipe_of
from suite_files import (
    AblationSuite,
    DataFile,
    RivalsSuite,
    SpeedSuite,
    StudentsSuite,
    SuiteRung,
    TaskData,
    check_data,
    read_suite_file,
    shape_of,
)

from edgedistill.catalog import load_target, suite_ids
from edgedistill.errors import DataError, RecipeError, UsageError
from edgedistill.shape import weigh

_CLASSES = {"trec6": 6, "sst2_sentence": 2, "clinc150": 150, "snips": 7, "agnews_10k": 4, "sst2_glue": 2}
_TEACHER_BYTES = 90_868_376  # of its model.safetensors


@pytest.fixture(scope="module")
def students() -> StudentsSuite:
    return read_suite_file(StudentsSuite, "students")


def test_students_suite_then_names_the_six_data_sets_and_enough_sizes(students: StudentsSuite) -> None:
    assert set(students.tasks) == set(_CLASSES)
    assert len(students.rungs) >= 5
    assert {rung.size: rung.goal for rung in students.rungs if rung.is_judged} == {"1/30": 0.99, "1/80": 0.98}
    assert len(students.seeds) == 3
    assert load_target(students.target).id == "raspberry-pi"


def test_students_suite_when_task_has_no_test_then_dev_is_the_test(students: StudentsSuite) -> None:
    assert students.tasks["sst2_glue"].test.file.endswith("dev.tsv.gz")
    assert students.seeds_of("sst2_glue") == (13,)
    assert {name for name, task in students.tasks.items() if task.validation} == {"sst2_sentence", "clinc150"}


def test_students_suite_then_its_rungs_exist_and_judged_ones_are_within_their_bytes(students: StudentsSuite) -> None:
    for rung in students.rungs:
        shape = shape_of(rung)
        for classes in _CLASSES.values():
            size = weigh(shape, classes=classes, positions=64).int8_bytes
            assert rung.divisor is None or size <= _TEACHER_BYTES / rung.divisor, (rung.size, classes)


def test_shape_of_when_rung_is_unknown_then_says_which_there_are() -> None:
    with pytest.raises(UsageError, match="no rung 'bert-1x1' in models/students.yaml"):
        shape_of(SuiteRung(size="tiny", rung="bert-1x1"))


@pytest.mark.parametrize("name", ["ablation", "other_family"])
def test_every_setting_of_the_suites_then_is_one_of_the_recipe(students: StudentsSuite, name: str) -> None:
    suite = read_suite_file(AblationSuite, name)
    for task in students.tasks:
        recipe_of(students, task)
    for ablation in suite.ablations:
        recipe_of(students, "trec6", (*suite.overrides, *ablation.overrides))
    assert name == "other_family" or suite.ablations[0].overrides == ()
    assert set(suite.tasks) <= set(students.tasks)
    students.rung_of(suite.size)


def test_recipe_of_when_a_setting_does_not_exist_then_refused(students: StudentsSuite) -> None:
    with pytest.raises(RecipeError, match="unknown key"):
        recipe_of(students, "trec6", ("distillation.temprature=2",))


def test_rivals_and_speed_suites_then_name_sizes_that_exist(students: StudentsSuite) -> None:
    rivals, speed = read_suite_file(RivalsSuite, "rivals"), read_suite_file(SpeedSuite, "training_speed")
    for size in (*rivals.model2vec.sizes, *(student.size for student in rivals.students), speed.size):
        students.rung_of(size)
    assert speed.task in students.tasks


def test_rung_of_when_size_is_unknown_then_says_which_there_are(students: StudentsSuite) -> None:
    with pytest.raises(UsageError, match="no size '1/31'"):
        students.rung_of("1/31")


def test_catalog_then_does_not_take_them_for_suites_of_a_recipe() -> None:
    assert not {"students", "ablation", "other_family", "rivals", "training_speed"} & set(suite_ids())


def test_check_data_when_file_is_another_then_refused(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("label\ttext\n", encoding="utf-8")
    right = DataFile(file="train.tsv", sha256=hashlib.sha256(b"label\ttext\n").hexdigest())
    check_data(TaskData(train=right, test=right), tmp_path)
    with pytest.raises(DataError, match=r"train\.tsv: sha256 .* the suite means 000000000000"):
        check_data(TaskData(train=right, test=right.model_copy(update={"sha256": "0" * 64})), tmp_path)
    with pytest.raises(DataError, match=r"other\.tsv: no such file"):
        check_data(TaskData(train=right, test=right.model_copy(update={"file": "other.tsv"})), tmp_path)
