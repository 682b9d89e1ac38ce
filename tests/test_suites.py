"""The benchmark suites that are shipped: they read, and name recipes and targets that exist."""

import importlib.util
import sys
from pathlib import Path

import pytest

from edgedistill.catalog import data_folder, load_recipe, load_suite, load_target, read_suite, suite_ids
from edgedistill.errors import UsageError


@pytest.mark.parametrize("name", suite_ids())
def test_every_suite_then_names_a_recipe_and_targets_that_exist(name: str) -> None:
    suite = load_suite(name)
    assert suite.id == name
    located = load_recipe(suite.recipe, overrides=suite.overrides)
    assert located.recipe.benchmark == suite.protocol
    assert [load_target(target).id for target in suite.targets] == list(suite.targets)


def test_home_intents_is_a_suite_of_the_built_in_model() -> None:
    assert "home-intents" in suite_ids()
    assert load_suite("home-intents").recipe == "home-intents"


def test_load_suite_when_unknown_then_says_which_was_meant() -> None:
    with pytest.raises(UsageError, match="did you mean 'home-intents'"):
        load_suite("home-intent")


def test_read_suite_when_a_key_is_unknown_then_names_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text("id: mine\ndescription: x\nrecipe: home-intents\ntarget: [raspberry-pi]\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"suite.yaml:4: target: unknown key; did you mean 'targets'"):
        read_suite(path)


def test_benchmark_script_then_runs_what_the_suite_says() -> None:
    scripts = data_folder("benchmarks")
    sys.path.insert(0, str(scripts))
    try:
        spec = importlib.util.spec_from_file_location("home_intents_script", scripts / "home_intents.py")
        assert spec is not None
        assert spec.loader is not None
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
    finally:
        sys.path.remove(str(scripts))
    command = script.command_of(load_suite("home-intents"))
    assert command[:5] == ["run", "--recipe", "home-intents", "--target", "raspberry-pi"]
    assert "benchmark.threads=1" in command
