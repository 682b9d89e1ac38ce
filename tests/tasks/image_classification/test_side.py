"""The side of the pictures: the largest that the budgets allow, none larger than the pictures are worth."""

import json
from pathlib import Path

import pytest

import edgedistill
from edgedistill import pipeline
from edgedistill.catalog import LocatedRecipe, data_folder
from edgedistill.cli.app import run_command_line
from edgedistill.plan import DataFacts, PictureSize, make_plan
from edgedistill.recipe import Recipe
from edgedistill.target import Target
from edgedistill.tasks.image_classification.shape import read_image_ladder
from edgedistill.tasks.image_classification.side import choose_side

from .conftest import MakeFolder

RUNGS = read_image_ladder(data_folder("models") / "image-students.yaml").rungs
RECIPE = {
    "id": "photos", "task": "image-classification", "data": {"train": "photos"},
    "teacher": {"name": "tiny", "configuration": {"model_type": "resnet", "layer_type": "basic"}},
}


@pytest.fixture
def target() -> Target:
    return edgedistill.load_target("raspberry-pi-zero-2w")


def facts(side: int) -> DataFacts:
    return DataFacts(10, 1000, side**2, picture=PictureSize(side, 3))


def recipe(**changes: object) -> Recipe:
    return Recipe.model_validate(RECIPE | changes)


def p50_s(target: Target, rung: str, side: int) -> float:
    """What the plan itself predicts of a rung at a side."""
    ledger = make_plan(recipe(student={"rung": rung}), target, facts(side), RUNGS).ledger
    return next(row.latency_p50_s for row in ledger if row.rung == rung)


def recipe_between_sides(folder: Path, target: Target) -> Path:
    """Write a recipe whose rung is within its latency at 48 pixels a side, and over it at 64."""
    limit = (p50_s(target, "resnet-32-64-128", 48) + p50_s(target, "resnet-32-64-128", 64)) / 2
    return write_recipe(folder, student={"rung": "resnet-32-64-128"}, budgets={"latency_p50_s": limit})


@pytest.mark.parametrize("natural", [32, 64, 96])
def test_choose_side_when_every_student_fits_then_the_pictures_keep_theirs(target: Target, natural: int) -> None:
    roomy = recipe(budgets={"latency_p50_s": 100.0, "model_bytes": 1e9, "peak_memory_bytes": 1e9})
    choice = choose_side(roomy, [target], facts(natural), RUNGS)
    assert choice.side == natural
    assert "it holds the median picture" in choice.decision.why


def test_choose_side_when_a_rung_is_named_then_is_the_largest_at_which_it_fits(target: Target) -> None:
    times = {side: p50_s(target, "resnet-32-64-128", side) for side in (32, 48, 64, 96)}
    assert sorted(times.values()) == list(times.values())
    for side, larger in ((32, 48), (48, 64), (64, 96)):
        limit = (times[side] + times[larger]) / 2
        wanted = recipe(student={"rung": "resnet-32-64-128"}, budgets={"latency_p50_s": limit})
        choice = choose_side(wanted, [target], facts(96), RUNGS)
        assert choice.side == side
        assert f"at {larger} x {larger} resnet-32-64-128 does not fit raspberry-pi-zero-2w: latency_p50_s" in choice.decision.why


def test_choose_side_when_time_is_short_then_half_the_width_may_pay_for_twice_the_side(target: Target) -> None:
    """resnet-16-32-64 has 79,962 weights, a little more than a quarter of the 312,490 of resnet-32-64-128."""
    wide, half = "resnet-32-64-128", "resnet-16-32-64"
    limit = 1.01 * max(p50_s(target, wide, 32), p50_s(target, half, 64))
    assert limit < min(p50_s(target, wide, 64), p50_s(target, half, 96))
    wanted = recipe(budgets={"latency_p50_s": limit})
    rungs = [rung for rung in RUNGS if rung.id in (wide, half, "resnet-8-16")]
    choice = choose_side(wanted, [target], facts(96), rungs)
    assert choice.side == 64
    assert "no larger student than resnet-8-16 fits raspberry-pi-zero-2w, with less than a quarter" in choice.decision.why


def test_choose_side_when_only_a_tiny_student_fits_a_larger_side_then_the_side_stays(target: Target) -> None:
    wide = "resnet-32-64-128"
    limit = 1.01 * p50_s(target, wide, 32)
    assert p50_s(target, "resnet-8-16", 64) < limit < p50_s(target, wide, 48)
    wanted = recipe(budgets={"latency_p50_s": limit})
    rungs = [rung for rung in RUNGS if rung.id in (wide, "resnet-8-16")]
    assert choose_side(wanted, [target], facts(96), rungs).side == 32


def test_choose_side_when_nothing_fits_then_is_the_smallest_and_the_plan_says_why(target: Target) -> None:
    wanted = recipe(budgets={"latency_p50_s": 1e-9})
    choice = choose_side(wanted, [target], facts(96), RUNGS)
    assert choice.side == 32
    assert "the nearest, resnet-8-16, latency_p50_s" in choice.decision.why


def test_choose_side_when_a_run_has_two_targets_then_is_the_smaller_of_theirs(target: Target) -> None:
    fast = edgedistill.load_target("laptop-vnni")
    rung = "resnet-64-128-256x2"
    limit = (p50_s(target, rung, 32) + p50_s(target, rung, 48)) / 2
    wanted = recipe(student={"rung": rung}, budgets={"latency_p50_s": limit})
    assert choose_side(wanted, [fast], facts(96), RUNGS).side > 32
    choice = choose_side(wanted, [fast, target], facts(96), RUNGS)
    assert choice.side == 32
    assert "raspberry-pi-zero-2w" in choice.decision.why


def write_recipe(folder: Path, **changes: object) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(RECIPE | changes), encoding="utf-8")
    return path


def load(folder: Path, **changes: object) -> LocatedRecipe:
    return edgedistill.load_recipe(write_recipe(folder, **changes))


@pytest.mark.parametrize(("side", "wanted", "settled", "seen"), [
    (20, None, None, 32), (90, 48, 48, 48), (90, None, None, 96),
], ids=["small pictures", "the recipe says", "roomy"])
def test_plan_when_nothing_is_to_be_chosen_then_the_side_is_as_before(
    make_folder: MakeFolder, tmp_path: Path, target: Target, side: int, wanted: int | None, settled: int | None, seen: int
) -> None:
    make_folder(side=side)
    located = load(tmp_path, pictures={"side": wanted}, budgets={"latency_p50_s": 100.0})
    plan = edgedistill.plan(located, target)
    assert plan.facts.picture == PictureSize(seen, 3)
    assert plan.recipe.pictures.side == settled
    assert len(plan.settled) == (0 if wanted else 1)


def test_plan_when_the_side_is_lowered_then_says_so_with_its_reason(
    make_folder: MakeFolder, tmp_path: Path, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    make_folder(side=90)
    path = recipe_between_sides(tmp_path, target)
    command = ["plan", "--recipe", str(path), "--target", target.id]
    assert run_command_line(command) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "stored: pictures of 48 x 48 pixels: at 64 x 64 resnet-32-64-128 does not fit raspberry-pi-zero-2w" in text
    assert "RGB pictures of 48 x 48 pixels" in text
    assert run_command_line([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[target.id]["stored"][0]["what"] == "pictures of 48 x 48 pixels"


def test_plan_when_there_are_several_targets_then_each_is_planned_at_the_side_that_the_run_stores(
    make_folder: MakeFolder, tmp_path: Path, target: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    make_folder(side=90)
    path = recipe_between_sides(tmp_path, target)
    assert run_command_line(["plan", "--recipe", str(path), "--target", "laptop-vnni", "--target", target.id, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {name: planned["stored"][0]["what"] for name, planned in found.items()} == dict.fromkeys(
        ("laptop-vnni", target.id), "pictures of 48 x 48 pixels")
    alone = edgedistill.plan(edgedistill.load_recipe(path), edgedistill.load_target("laptop-vnni"))
    assert alone.facts.picture == PictureSize(96, 3)


def test_run_when_the_side_is_lowered_then_the_pictures_are_stored_so(
    make_folder: MakeFolder, tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopError(Exception):
        pass

    def stop(line: object, prepared: object) -> None:
        raise StopError

    make_folder(side=90)
    limit = (p50_s(target, "resnet-32-64-128", 48) + p50_s(target, "resnet-32-64-128", 64)) / 2
    located = load(tmp_path, student={"rung": "resnet-32-64-128"}, budgets={"latency_p50_s": limit})
    monkeypatch.setattr(pipeline, "_teach", stop)
    with pytest.raises(StopError):
        edgedistill.run(located, [target], tmp_path / "run")
    (report,) = (tmp_path / "run" / ".stages" / "prepare").glob("*/data_report.json")
    assert json.loads(report.read_text(encoding="utf-8"))["side"] == 48
    assert "side: 48" in (tmp_path / "run" / "recipe.lock.yaml").read_text(encoding="utf-8")


def test_prepare_when_a_target_is_named_then_stores_what_a_run_would(
    make_folder: MakeFolder, tmp_path: Path, target: Target
) -> None:
    make_folder(side=90)
    path = recipe_between_sides(tmp_path, target)
    for name, more, side in (("most", [], 96), ("fitting", ["--target", target.id], 48)):
        assert run_command_line(["prepare", "--recipe", str(path), "-o", str(tmp_path / name), *more]) == 0
        assert json.loads((tmp_path / name / "data_report.json").read_text(encoding="utf-8"))["side"] == side
