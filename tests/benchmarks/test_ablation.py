"""An ablation is a name and settings; what does not exist is refused before any work."""

from pathlib import Path
from typing import get_args

import ablation as script
import pytest
from resumable_rows import key_of
from student_line import Line
from suite_files import Ablation, AblationSuite, StudentsSuite, read_suite_file

from edgedistill.errors import RecipeError, UsageError
from edgedistill.recipe import Distillation, LossName, TransferSet


@pytest.fixture(scope="module")
def students() -> StudentsSuite:
    return read_suite_file(StudentsSuite, "students")


def _suite(*ablations: Ablation) -> AblationSuite:
    return AblationSuite(kind="data-sets", description="x", size="1/80", tasks=("trec6",), seeds=(1, 2), ablations=ablations)


def test_jobs_then_go_seed_by_seed(students: StudentsSuite) -> None:
    suite = _suite(Ablation(name="all of it"), Ablation(name="less", overrides=("distillation.alpha=1",)))
    jobs = list(script.jobs_of(suite, students, seeds=None, names=None))
    assert [(job.seed, job.ablation.name) for job in jobs] == [(1, "all of it"), (1, "less"), (2, "all of it"), (2, "less")]
    with pytest.raises(UsageError, match="no ablation 'more'"):
        list(script.jobs_of(suite, students, seeds=None, names=("more",)))


def test_settings_then_differ_by_what_the_ablation_sets(students: StudentsSuite, tmp_path: Path) -> None:
    line = Line(students, "trec6", tmp_path, tmp_path)
    suite = _suite(Ablation(name="all of it"), Ablation(name="less", overrides=("distillation.alpha=1",)))
    whole, less = (script.job_settings(line, job) for job in script.jobs_of(suite, students, seeds=(1,), names=None))
    assert key_of(whole) != key_of(less)
    assert {name for name in whole if whole[name] != less[name]} == {"name", "distillation"}
    assert less["distillation"]["alpha"] == 1


def test_settings_when_recipe_has_no_such_key_then_refused(students: StudentsSuite, tmp_path: Path) -> None:
    line = Line(students, "trec6", tmp_path, tmp_path)
    suite = _suite(Ablation(name="unheard of", overrides=("distillation.magic=1",)))
    (job,) = script.jobs_of(suite, students, seeds=(1,), names=None)
    with pytest.raises(RecipeError, match="unknown key"):
        script.job_settings(line, job)


def _recipes(students: StudentsSuite) -> dict[str, Distillation]:
    suite = read_suite_file(AblationSuite, "ablation")
    line = Line(students, "trec6", Path(), Path(), suite.overrides)
    return {ablation.name: line.recipe(*ablation.overrides).distillation for ablation in suite.ablations}


def test_suite_then_has_a_row_for_each_kind_of_the_transfer_set_by_itself(students: StudentsSuite) -> None:
    recipes = _recipes(students)
    base = recipes["all of it"].transfer_set
    changed = [
        {name for name in TransferSet.model_fields if getattr(recipe.transfer_set, name) != getattr(base, name)}
        for recipe in recipes.values()
    ]
    for kind in set(TransferSet.model_fields) - {"rows", "words", "copies"}:
        assert {kind} in changed


def test_suite_then_has_a_row_for_each_loss(students: StudentsSuite) -> None:
    losses = {name: {term.name for term in recipe.losses} for name, recipe in _recipes(students).items()}
    for loss in get_args(LossName):
        assert any((loss in names) != (loss in losses["all of it"]) for names in losses.values()), loss
    assert losses["soft labels alone"] == losses["hard labels alone"] == set()
