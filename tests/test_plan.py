"""The plan: the largest student that fits, why the others do not, and no torch on the way."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgedistill
from edgedistill.catalog import LocatedRecipe, data_folder, load_recipe, load_target, target_ids
from edgedistill.errors import GoalMissedError, RecipeError
from edgedistill.plan import (
    ARENA_BYTES,
    RUNTIME_COPIES,
    STEPS,
    DataFacts,
    Plan,
    effective_budgets,
    make_plan,
    predict,
    rungs_of,
)
from edgedistill.recipe import Budgets, Recipe
from edgedistill.shape import StudentShape, read_ladder, weigh
from edgedistill.target import Figure, LatencyModel, Target

FACTS = DataFacts(classes=3, train_rows=100, median_tokens=5)
RUNGS = tuple(
    StudentShape(id=name, layers=1, hidden=hidden, heads=2, intermediate=16, vocabulary=100)
    for name, hidden in (("small", 8), ("large", 128), ("middle", 32))  # not in order of size, on purpose
)
MIB = 2**20


def recipe_with(**changes: Any) -> Recipe:
    content = {
        "id": "mine", "task": "text-classification", "data": {"train": "t.csv"},
        "teacher": {"name": "t", "max_tokens": 10},
    }
    return Recipe.model_validate(content | changes)


def target_with(*, model_bytes: float = 1e9, peak_memory_bytes: float = 1e9, latency_p50_s: float = 1e9) -> Target:
    """The Pi 4 with round rates, and budgets that nothing breaks unless given."""
    base = load_target("raspberry-pi")
    rates = {"int8_macs_per_s": 1e9, "float_macs_per_s": 1e8, "read_bytes_per_s": 1e7}
    figures = rates | {"node_overhead_s": 1e-5, "spread": 2.0}
    limits = {"model_bytes": model_bytes, "peak_memory_bytes": peak_memory_bytes, "latency_p50_s": latency_p50_s}
    budgets = {name: {"limit": limit, "why": "a test says so"} for name, limit in limits.items()}
    latency = LatencyModel(**{k: Figure(value=v, source="a test says", how="assumed") for k, v in figures.items()})
    content = base.model_dump() | {"latency": latency.model_dump(), "budgets": budgets}
    return Target.model_validate(content)


def size_of(name: str) -> int:
    return weigh(next(r for r in RUNGS if r.id == name), classes=3, positions=10).int8_bytes


def plan_with(recipe: Recipe | None = None, **limits: float) -> Plan:
    return make_plan(recipe or recipe_with(), target_with(**limits), FACTS, RUNGS)


def test_make_plan_when_all_fit_then_the_largest_and_a_ledger_from_large_to_small() -> None:
    plan = plan_with()
    assert plan.shape.id == plan.chosen.rung == "large"
    assert [row.rung for row in plan.ledger] == ["large", "middle", "small"]
    assert [row.is_chosen for row in plan.ledger] == [True, False, False]
    assert not any(row.rejected_because for row in plan.ledger)
    assert plan.steps == STEPS
    assert STEPS[:3] == ("prepare", "teach", "soft-labels")


def test_make_plan_when_the_largest_is_a_byte_too_large_then_the_next_and_the_reason_names_budget_and_factor() -> None:
    exactly = plan_with(model_bytes=size_of("large"))
    assert exactly.shape.id == "large"
    plan = plan_with(model_bytes=size_of("large") - 1)
    assert plan.shape.id == "middle"
    reason = plan.ledger[0].rejected_because
    amount = f"{size_of('large') / MIB:.2f} MiB"
    assert reason == f"model_bytes {amount} is over {amount} (x1.00)"
    assert reason in plan.decision.why
    assert plan.decision.what == "student middle"


def test_make_plan_when_a_budget_is_halved_then_the_factor_says_two() -> None:
    plan = plan_with(model_bytes=size_of("large") / 2)
    assert plan.ledger[0].rejected_because.startswith("model_bytes ")
    assert "(x2.00)" in plan.ledger[0].rejected_because


@pytest.mark.parametrize("name", ["model_bytes", "peak_memory_bytes", "latency_p50_s"])
def test_make_plan_when_one_budget_is_short_then_only_that_one_is_named(name: str) -> None:
    rows = {row.rung: row for row in plan_with().ledger}
    value = {"model_bytes": "int8_bytes"}.get(name, name)
    plan = plan_with(**{name: getattr(rows["middle"], value)})
    assert plan.shape.id == "middle"
    named = [n for n in ("model_bytes", "peak_memory_bytes", "latency_p50_s") if n in plan.ledger[0].rejected_because]
    assert named == [name]


def test_make_plan_when_two_budgets_are_short_then_both_are_named() -> None:
    small = plan_with().ledger[-1]
    plan = plan_with(model_bytes=small.int8_bytes, latency_p50_s=small.latency_p50_s)
    assert plan.shape.id == "small"
    first = plan.ledger[0].rejected_because.split("; ")
    assert [reason.split()[0] for reason in first] == ["model_bytes", "latency_p50_s"]


def test_make_plan_when_nothing_fits_then_goal_missed_naming_nearest_budget_and_factor() -> None:
    with pytest.raises(GoalMissedError) as caught:
        plan_with(model_bytes=size_of("small") / 4)
    assert "raspberry-pi" in caught.value.message
    assert "no student of the ladder fits, the nearest, small, model_bytes" in caught.value.message
    assert "(x4.00)" in caught.value.message
    assert "latency" not in caught.value.message
    assert "budgets" in caught.value.hint
    assert caught.value.exit_code == 3


def test_make_plan_when_nothing_fits_then_the_error_carries_the_whole_ledger() -> None:
    with pytest.raises(GoalMissedError) as caught:
        plan_with(model_bytes=size_of("small") / 4)
    misfit = caught.value.misfit
    assert misfit is not None
    assert [row.rung for row in misfit.ledger] == ["large", "middle", "small"]
    assert not any(row.is_chosen for row in misfit.ledger)
    assert all(row.rejected_because.startswith("model_bytes ") for row in misfit.ledger)
    assert misfit.nearest == misfit.ledger[-1]
    assert (misfit.target.id, misfit.facts, misfit.budgets["model_bytes"].limit) == ("raspberry-pi", FACTS, size_of("small") / 4)


def test_make_plan_when_the_smallest_is_slower_than_another_then_the_nearest_is_the_one_that_misses_less() -> None:
    shipped = read_ladder(data_folder("models") / "students.yaml").rungs
    rungs = [rung for rung in shipped if rung.id in ("bert-6x128s", "bert-6x96")]
    rows = {row.rung: row for row in make_plan(recipe_with(), target_with(), FACTS, rungs).ledger}
    assert rows["bert-6x128s"].int8_bytes < rows["bert-6x96"].int8_bytes
    assert rows["bert-6x128s"].latency_p50_s > rows["bert-6x96"].latency_p50_s
    with pytest.raises(GoalMissedError, match=r"the nearest, bert-6x96, latency_p50_s .* \(x2\.00\)$"):
        make_plan(recipe_with(), target_with(latency_p50_s=rows["bert-6x96"].latency_p50_s / 2), FACTS, rungs)


def test_make_plan_when_the_recipe_has_budgets_then_they_count() -> None:
    tight = recipe_with(budgets={"model_bytes": size_of("small")})
    assert plan_with(tight).shape.id == "small"
    loose = recipe_with(budgets={"model_bytes": size_of("large"), "latency_p50_s": 9.0})
    plan = plan_with(loose, model_bytes=1, latency_p50_s=1e-9)
    assert plan.shape.id == "large"
    assert plan.budgets["model_bytes"].why == "the recipe sets it"
    assert plan.budgets["peak_memory_bytes"].why == "a test says so"


def test_effective_budgets_when_the_recipe_has_none_then_the_targets() -> None:
    target = load_target("raspberry-pi")
    budgets = effective_budgets(recipe_with().budgets, target)
    assert budgets == {name: getattr(target.budgets, name) for name in type(target.budgets).model_fields}


def test_make_plan_when_the_recipe_names_a_rung_then_that_one_even_if_it_does_not_fit() -> None:
    plan = plan_with(recipe_with(student={"rung": "middle"}))
    assert (plan.shape.id, plan.decision.why) == ("middle", "the recipe names it")
    forced = plan_with(recipe_with(student={"rung": "large"}), model_bytes=1)
    assert forced.shape.id == "large"
    assert forced.chosen.rejected_because.startswith("model_bytes")


def test_make_plan_when_the_rung_is_unknown_then_refused_with_those_there_are() -> None:
    with pytest.raises(RecipeError, match=r"student\.rung: no rung 'huge'") as caught:
        plan_with(recipe_with(student={"rung": "huge"}))
    assert caught.value.hint == "choose one of large, middle, small"


def test_predict_when_rates_are_round_then_as_computed_by_hand() -> None:
    # counted in test_shape.py: 5 tokens, 3 classes, 10 positions
    small = predict(RUNGS[0], recipe_with(), target_with(), FACTS)
    nodes = weigh(RUNGS[0], classes=3, positions=10).nodes
    rows = 3 * 5 * 8  # bytes of the embedding: word, position and segment of five tokens, width 8
    seconds = 2648 / 1e9 + 400 / 1e8 + (576 + 24 + rows) / 1e7 + nodes * 1e-5
    assert small.latency_p50_s == pytest.approx(seconds, rel=1e-12)
    assert small.latency_interval_s == pytest.approx((seconds / 2, seconds * 2), rel=1e-12)
    assert (small.parameters, small.sequence_tokens) == (1611, 5)
    assert small.peak_memory_bytes == int(RUNTIME_COPIES * small.int8_bytes) + ARENA_BYTES


def test_predict_when_texts_are_longer_then_slower_and_not_larger() -> None:
    short, long = (
        predict(RUNGS[1], recipe_with(), target_with(), DataFacts(3, 100, tokens)) for tokens in (5, 50)
    )
    assert long.latency_p50_s > short.latency_p50_s
    assert long.int8_bytes == short.int8_bytes


def test_predict_when_texts_differ_in_length_then_mean_and_ninth_in_ten_as_by_hand() -> None:
    lengths = ((5, 8), (10, 1), (20, 1))  # of ten texts, the ninth has 10 tokens
    row = predict(RUNGS[0], recipe_with(), target_with(), DataFacts(3, 10, 5, lengths))
    at = {n: predict(RUNGS[0], recipe_with(), target_with(), DataFacts(3, 10, n)).latency_p50_s for n, _ in lengths}
    assert row.latency_p50_s == at[5]
    assert row.latency_p90_text_s == at[10]
    assert row.latency_mean_s == pytest.approx((8 * at[5] + at[10] + at[20]) / 10)


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (4, 4), (64, 8)])
def test_predict_when_there_are_cores_then_threads_too_and_at_most_eight(cores: int, threads: int) -> None:
    target = target_with()
    target = target.model_copy(update={"cpu": target.cpu.model_copy(update={"cores": cores})})
    row = predict(RUNGS[1], recipe_with(), target, FACTS)
    assert row.threads == threads
    assert (row.latency_p50_threads_s is None) == (threads == 1)


def test_predict_when_shown_by_part_then_the_parts_add_up() -> None:
    row = predict(RUNGS[1], recipe_with(), target_with(), FACTS)
    assert sum(row.int8_bytes_by_part.values()) == row.int8_bytes
    assert sum(row.float_bytes_by_part.values()) == row.float_bytes
    assert sum(row.latency_by_part_s.values()) == pytest.approx(row.latency_p50_s)
    assert row.int8_bytes_by_part["embedding"] == (100 + 10 + 2) * 128


def test_predict_when_the_profile_counts_instructions_then_a_second_opinion() -> None:
    static = {name: {"value": value, "source": "a test says", "how": "assumed"}
              for name, value in (("int8_cycles_per_mac", 0.5), ("float_cycles_per_mac", 2.0))}
    target = Target.model_validate(target_with().model_dump() | {"static_estimate": static})
    row = predict(RUNGS[0], recipe_with(), target, FACTS)
    assert row.static_latency_p50_s == pytest.approx((2648 * 0.5 + 400 * 2.0) / 1.8e9)


@pytest.mark.parametrize("name", target_ids())
def test_make_plan_when_built_in_recipe_and_shipped_target_then_the_choice_fits_and_the_next_larger_does_not(
    name: str
) -> None:
    rungs = read_ladder(data_folder("models") / "students.yaml").rungs
    target = load_target(name)
    plan = make_plan(load_recipe("home-intents").recipe, target, DataFacts(29, 2000, 9), rungs)
    assert len(plan.ledger) == len(rungs)
    assert plan.chosen.int8_bytes <= target.budgets.model_bytes.limit
    assert plan.chosen.latency_p50_s <= target.budgets.latency_p50_s.limit
    assert plan.chosen.rejected_because == ""
    index = plan.ledger.index(plan.chosen)
    assert all(row.rejected_because for row in plan.ledger[:index])


def test_plan_modules_when_imported_then_neither_torch_nor_a_runtime_is_loaded() -> None:
    code = (
        "import sys, edgedistill.plan, edgedistill.catalog, edgedistill.facts, edgedistill.pipeline\n"
        "heavy = {'torch', 'transformers', 'onnxruntime', 'onnx', 'optimum', 'sklearn', 'scipy', 'datasets'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_budgets_when_accuracy_may_be_lost_then_the_recipe_replaces_the_targets_and_no_shape_is_rejected_by_it() -> None:
    target = load_target("raspberry-pi")
    assert effective_budgets(Budgets(), target)["accuracy_loss"].limit == 0.1
    assert effective_budgets(Budgets(accuracy_loss=0.02), target)["accuracy_loss"].limit == 0.02
    silent = target.model_copy(update={"budgets": target.budgets.model_copy(update={"accuracy_loss": None})})
    assert set(effective_budgets(Budgets(), silent)) == {"model_bytes", "peak_memory_bytes", "latency_p50_s"}


OWN_LADDER = """
family: bert
rungs:
  - {id: deep,  layers: 12, hidden: 96, heads: 3, intermediate: 192, vocabulary: 4000}
  - {id: words, layers: 3, hidden: 192, heads: 6, intermediate: 512, vocabulary: 15000, embedding_rank: 48}
"""


def with_ladder(folder: Path, text: str, **student: Any) -> LocatedRecipe:
    (folder / "shapes").mkdir()
    (folder / "shapes" / "mine.yaml").write_text(text)
    return LocatedRecipe(recipe_with(student={"ladder": "shapes/mine.yaml"} | student), folder)


def test_rungs_of_a_recipe_with_a_ladder_then_those_of_the_file_and_the_plan_chooses_among_them(tmp_path: Path) -> None:
    located = with_ladder(tmp_path, OWN_LADDER)
    rungs = rungs_of(located)
    assert [(shape.id, getattr(shape, "layers", 0), getattr(shape, "embedding_rank", 0)) for shape in rungs] == [
        ("deep", 12, None), ("words", 3, 48)]
    made = make_plan(located.recipe, target_with(), FACTS, rungs)
    # words: 15,000 x 48 of the table and 3 x (4 x 192^2 + 2 x 192 x 512) of the layers; deep: 4,000 x 96 and 12 x (4 x 96^2 + 2 x 96 x 192)
    assert [row.rung for row in made.ledger] == ["words", "deep"]
    assert made.shape.id == "words"


def test_rungs_of_a_recipe_without_a_ladder_then_the_shipped_ones() -> None:
    shipped = read_ladder(data_folder("models") / "students.yaml").rungs
    assert rungs_of(LocatedRecipe(recipe_with(), Path())) == shipped


def test_rungs_of_pictures_with_a_ladder_then_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("rungs: [{id: tiny, family: resnet, stem: 8, widths: [8, 16], depths: [1, 1]}]")
    recipe = recipe_with(task="image-classification", teacher={"name": "t"}, student={"ladder": "mine.yaml"})
    assert [shape.id for shape in rungs_of(LocatedRecipe(recipe, tmp_path))] == ["tiny"]


@pytest.mark.parametrize(("text", "student", "says"), [
    (OWN_LADDER.replace("heads: 3", "heads: 5"), {}, "mine.yaml:4: rungs.0 (deep): hidden 96 is not a multiple of heads 5"),
    (OWN_LADDER.replace("rank: 48", "rank: 192"), {}, "mine.yaml:5: rungs.1 (words): embedding_rank 192 saves nothing"),
    (OWN_LADDER.replace("layers: 12", "layer: 12"), {}, "mine.yaml:4: rungs.0 (deep).layer: unknown key; did you mean 'layers'?"),
    (OWN_LADDER.replace("bert", "roberta"), {}, "family"),
    (OWN_LADDER, {"rung": "bert-2x64"}, "student.rung: no rung 'bert-2x64'"),
])
def test_plan_and_run_when_the_ladder_is_wrong_then_refused_before_any_work(
    tmp_path: Path, text: str, student: dict[str, str], says: str
) -> None:
    located = with_ladder(tmp_path, text, **student)  # neither the data nor the teacher is there: nobody looks at them
    with pytest.raises(RecipeError) as planned:
        edgedistill.plan(located, load_target("raspberry-pi"))
    with pytest.raises(RecipeError) as ran:
        edgedistill.run(located, [load_target("raspberry-pi")], tmp_path / "run")
    assert says in planned.value.message
    assert planned.value.message == ran.value.message
    assert not (tmp_path / "run").exists()


def test_plan_when_texts_are_too_long_for_every_shape_then_the_hint_says_where_to_cut_them() -> None:
    long = DataFacts(classes=3, train_rows=100, median_tokens=200, length_counts=((100, 40), (200, 60)))
    recipe = recipe_with(teacher={"name": "t", "max_tokens": 256})
    at = {n: predict(RUNGS[0], recipe, target_with(), DataFacts(3, 100, n)).latency_p50_s for n in (64, 128)}
    with pytest.raises(GoalMissedError) as caught:
        make_plan(recipe, target_with(latency_p50_s=(at[64] + at[128]) / 2), long, RUNGS)
    assert caught.value.hint.startswith("--set teacher.max_tokens=64 cuts longer texts, and small fits; or raise that budget")


def test_plan_when_no_cut_helps_then_the_hint_names_none() -> None:
    with pytest.raises(GoalMissedError) as caught:
        plan_with(recipe_with(teacher={"name": "t", "max_tokens": 256}), latency_p50_s=1e-9)
    assert "max_tokens" not in caught.value.hint
    with pytest.raises(GoalMissedError) as caught:
        plan_with(recipe_with(teacher={"name": "t", "max_tokens": 256}), model_bytes=10)
    assert "max_tokens" not in caught.value.hint
