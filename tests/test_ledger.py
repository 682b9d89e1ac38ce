"""The ledger in words: spans, the budget that binds, what would loosen it, how sure the latency is."""

from typing import Any

import pytest

from edgedistill.catalog import load_recipe, load_target
from edgedistill.ledger import binding_of, calibration_words, may_miss, spans_of
from edgedistill.plan import DataFacts, Plan, make_plan, predict
from edgedistill.recipe import Budgets
from edgedistill.shape import StudentShape
from edgedistill.tasks.text_classification.ladder import ladder

FACTS = DataFacts(29, 2000, 9)


def plan_with(target: str = "raspberry-pi", **budgets: Any) -> Plan:
    recipe = load_recipe("home-intents").recipe.model_copy(update={"budgets": Budgets(**budgets)})
    return make_plan(recipe, load_target(target), FACTS, ladder())


def test_binding_when_bytes_bind_then_the_vocabulary_that_it_names_does_allow_the_layers() -> None:
    rungs = [StudentShape(id=f"bert-{n}x192", layers=n, hidden=192, heads=6, intermediate=512, vocabulary=8500) for n in (3, 5)]
    recipe = load_recipe("home-intents").recipe.model_copy(update={"budgets": Budgets(latency_p50_s=1.0, peak_memory_bytes=1e9)})
    plan = make_plan(recipe, load_target("raspberry-pi"), FACTS, rungs)
    words = binding_of(plan).words
    assert binding_of(plan).name == "model_bytes"
    assert "the embedding is 59% of the bytes: a vocabulary of " in words
    vocabulary = int(words.split("a vocabulary of ")[1].split(" ")[0].replace(",", ""))
    assert words.endswith("would allow two more layers")
    deeper = plan.shape.model_copy(update={"layers": plan.shape.layers + 2, "vocabulary": vocabulary})
    assert predict(deeper, plan.recipe, plan.target, FACTS).int8_bytes <= plan.budgets["model_bytes"].limit
    wider = deeper.model_copy(update={"vocabulary": vocabulary + 100})
    assert predict(wider, plan.recipe, plan.target, FACTS).int8_bytes > plan.budgets["model_bytes"].limit


def test_binding_when_time_binds_then_says_what_takes_it_and_what_a_layer_costs() -> None:
    found = binding_of(plan_with(model_bytes=1e9, peak_memory_bytes=1e9, latency_p50_s=0.003))
    assert found.name == "latency_p50_s"
    assert "of the predicted time" in found.words
    assert "a layer costs" in found.words


def test_binding_when_all_fit_then_nothing_binds() -> None:
    found = binding_of(plan_with(model_bytes=1e9, peak_memory_bytes=1e9, latency_p50_s=1.0))
    assert found.words.startswith("nothing binds: the largest shape fits")
    assert found.used < 1


def test_spans_when_asked_then_least_middle_and_most_of_the_ladder() -> None:
    plan = plan_with()
    span = spans_of(plan.ledger)["model_bytes"]
    sizes = sorted(row.int8_bytes for row in plan.ledger)
    assert (span.least, span.middle, span.most) == (sizes[0], sizes[8], sizes[-1])  # seventeen rungs
    assert set(spans_of(plan.ledger)) == {"model_bytes", "peak_memory_bytes", "latency_p50_s", "float_bytes"}


def test_may_miss_when_the_interval_is_inside_then_nothing_else_says_how_far_it_reaches() -> None:
    row = plan_with().chosen
    assert may_miss(plan_with(latency_p50_s=row.latency_interval_s[1] * 1.01)) == ""
    assert "measure on the device" in may_miss(plan_with(latency_p50_s=row.latency_p50_s * 1.01))
    forced = load_recipe("home-intents", overrides=["student.rung=bert-6x384", "budgets.latency_p50_s=0.001"]).recipe
    assert "cannot be expected" in may_miss(make_plan(forced, load_target("raspberry-pi"), FACTS, ladder()))


def test_calibration_words_when_the_profile_has_no_rates_then_empty() -> None:
    assert calibration_words(load_target("raspberry-pi")) == ""


@pytest.mark.parametrize("target", ["raspberry-pi-zero-2w", "android-low", "laptop-vnni"])
def test_binding_when_any_shipped_target_then_a_sentence(target: str) -> None:
    assert len(binding_of(plan_with(target)).words.split()) > 8
