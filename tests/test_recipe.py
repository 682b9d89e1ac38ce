"""Recipes: what a file may say, what it may not, and settings from the command line."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from edgedistill.catalog import load_recipe, recipe_ids
from edgedistill.data_settings import Data
from edgedistill.errors import RecipeError
from edgedistill.recipe import Recipe, read_recipe

SMALLEST = """\
id: mine
task: text-classification
data: {train: train.csv}
teacher: {name: some/teacher}
"""


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(SMALLEST)
    return path


def refusal(path: Path, text: str, **options: object) -> RecipeError:
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_recipe(path, **options)  # type: ignore[arg-type]
    return caught.value


def test_read_recipe_when_only_the_needed_is_given_then_the_documented_defaults(recipe_file: Path) -> None:
    recipe = read_recipe(recipe_file)
    assert (recipe.distillation.temperature, recipe.distillation.alpha, recipe.seed) == (2.0, 0.9, 13)
    assert recipe.student.rung is None
    assert recipe.teacher.allow_hub is False
    assert recipe.budgets.model_bytes is None
    assert recipe.goals[0].value == 0.05


@pytest.mark.parametrize("name", recipe_ids())
def test_shipped_recipe_when_written_and_read_then_the_same(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name).recipe
    assert recipe.id == name
    (tmp_path / "lock.yaml").write_text(recipe.to_yaml())
    (tmp_path / "lock.json").write_text(recipe.to_json())
    assert read_recipe(tmp_path / "lock.yaml") == recipe
    assert Recipe.read_json(tmp_path / "lock.json") == recipe


@pytest.mark.parametrize(
    ("extra", "place", "meant"),
    [
        ("distilation: {}\n", ":5: distilation", "distillation"),
        ("distillation:\n  temprature: 3\n", ":6: distillation.temprature", "temperature"),
        ("distillation:\n  transfer_set:\n    row: 3\n", ":7: distillation.transfer_set.row", "rows"),
        ("goals:\n- metric: accuracy\n- metrc: macro_f1\n", ":7: goals.1.metrc", "metric"),
        ("student: {rungs: x}\n", ":5: student.rungs", "rung"),
    ],
)
def test_read_recipe_when_a_key_is_unknown_then_says_line_and_meant(
    recipe_file: Path, extra: str, place: str, meant: str
) -> None:
    error = refusal(recipe_file, SMALLEST + extra)
    assert error.message == f"{recipe_file}{place}: unknown key; did you mean {meant!r}?"
    assert error.hint == f"write {meant} in its place"


@pytest.mark.parametrize(("extra", "message", "hint"), [
    ("temperature: 4\n", ":5: temperature: unknown key; did you mean 'distillation.temperature'?", "write temperature below distillation:"),
    ("student: {seed: 1}\n", ":5: student.seed: unknown key; did you mean 'seed'?",
     "write seed at the beginning of a line, below no other key"),
    ("search: {look_for: best-that-fit}\n", ":5: search.look_for: 'best-that-fit' is none of", "write best-that-fits"),
    ("zzz: 1\n", ":5: zzz: unknown key; known keys: schema_version, id", "docs/recipe.md tells the keys; "),
    ("distillation: {rows_seen: 2e5}\n", ":5: distillation.rows_seen: Input should be a valid integer", "write 200000"),
    ("seed: x\n", ":5: seed: Input should be a valid integer", "docs/recipe.md tells the keys; "),
])
def test_read_recipe_when_a_key_or_word_is_meant_otherwise_then_the_hint_is_what_to_write(
    recipe_file: Path, extra: str, message: str, hint: str
) -> None:
    error = refusal(recipe_file, SMALLEST + extra)
    assert error.message.startswith(f"{recipe_file}{message}")
    assert error.hint.startswith(hint)


@pytest.mark.parametrize(("setting", "hint"), [
    ("temperature=4", "--set distillation.temperature=4"),
    ("temprature=4", "--set distillation.temperature=4"),
    ("distillation.temprature=4", "--set distillation.temperature=4"),
    ("teacher.epochs=3", "--set teacher.fine_tuning.epochs=3"),
    ("student.seed=5", "--set seed=5"),
    ("train=x y.csv", "--set 'data.train=x y.csv'"),
    ("data.label=stars", "--set data.label_column=stars"),
    ("data.hub.nmae=x", "--set data.hub.name=x"),
    ("hub={name: x}", "--set data.hub=VALUE"),
    ("search.look_for=best-that-fit", "--set search.look_for=best-that-fits"),
    ("distillation.losses=[{name: hiden-states}]", "write hidden-states"),
    ("distillation.rows_seen=2e5", "--set distillation.rows_seen=200000"),
    ("distillation.rows_seen=2.5E5", "--set distillation.rows_seen=250000"),
    ("budgets.model_bytes=1e6", "--set budgets.model_bytes=1000000"),
    ("distillation.rows_seen=2.55e1", "docs/recipe.md tells the keys; all of them: edgedistill schema recipe"),
    ("distillation.rows_seen=1e9999999", "docs/recipe.md tells the keys; all of them: edgedistill schema recipe"),
    ("distillation.temperature=hot", "docs/recipe.md tells the keys; all of them: edgedistill schema recipe"),
    ("id.x=1", "docs/recipe.md tells the keys; all of them: edgedistill schema recipe"),
])
def test_overrides_when_a_key_or_word_is_meant_otherwise_then_the_hint_is_the_option_to_type(
    recipe_file: Path, setting: str, hint: str
) -> None:
    assert refusal(recipe_file, SMALLEST, overrides=[setting]).hint == hint


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("id: mine", "id: ../mine", "id: "),
        ("id: mine", "id: Mine", "id: "),
        ("text-classification", "token-classification", "task: "),
        ("{train: train.csv}", "{}", "data: no training data: give data.train: FILE"),
        ("{train: train.csv}", "{train: a, hub: {name: b}}", "data: data.train and data.hub both name"),
        ("{train: train.csv}", "{train: a, test_share: 0.5}", "data.test_share: Input should be less than 0.5"),
        ("some/teacher}", "some/teacher, sha256: ABC}", "teacher.sha256: "),
        ("some/teacher}", "some/teacher, max_tokens: 4}", "teacher.max_tokens: Input should be greater"),
        ("id: mine", "id: mine\nseed: -1", "seed: "),
        ("id: mine", "id: mine\ndistillation: {alpha: 1.1}", "distillation.alpha: Input should be less"),
        ("id: mine", "id: mine\ndistillation: {temperature: 0}", "distillation.temperature: "),
        ("id: mine", "id: mine\ndistillation: {losses: [{name: hiden-states}]}", "did you mean 'hidden-states'?"),
        ("id: mine", "id: mine\ndistillation: {losses: [{name: minilm-v2, form: 0.5}]}", "did you mean 'from'?"),
        ("id: mine", "id: mine\ndistillation: {losses: [{name: minilm-v2, weight: 0}]}", "losses.0.weight: "),
        ("id: mine", "id: mine\ndistillation: {losses: [{name: minilm-v2, from: 0.5, until: 0.5}]}",
         "losses.0: from (0.5) must lie before until (0.5)"),
        ("id: mine", "id: mine\ndistillation: {losses: [{name: minilm-v2, beta: 1}]}", "beta has no meaning for minilm-v2"),
        ("id: mine", "id: mine\ndistillation: {losses: [{name: decoupled-kd, from: 0.1}]}", "from has no meaning for decoupled-kd"),
        ("id: mine", "id: mine\ndistillation: {losses: [{name: decoupled-kd, layers: last}]}", "layers has no meaning"),
        ("id: mine", "id: mine\ndistillation: {losses: [{name: minilm-v2}, {name: minilm-v2}]}", "minilm-v2 stands twice"),
        ("id: mine", "id: mine\ndistillation: {alpha: 0, losses: [{name: decoupled-kd}]}", "alpha: 0 switches off"),
        ("data: {", "data: {label_separator: ';', ", "data.label_separator: it stands between several labels"),
        ("id: mine", "id: mine\nbudgets: {latency_p50_s: 0}", "budgets.latency_p50_s: "),
        ("id: mine", "id: mine\nquantization: {scheme: int4}", "quantization.scheme: "),
        ("id: mine", "id: mine\nschema_version: 2", "schema_version: "),
        ("id: mine", "id: mine\nstudent:", "student: a mapping of keys to values is expected"),
    ],
)
def test_read_recipe_when_a_value_is_impossible_then_refused_by_name(
    recipe_file: Path, old: str, new: str, says: str
) -> None:
    assert old in SMALLEST
    assert says in refusal(recipe_file, SMALLEST.replace(old, new)).message


def test_recipe_with_losses_when_written_and_read_then_the_same(recipe_file: Path, tmp_path: Path) -> None:
    recipe_file.write_text(SMALLEST + """\
distillation:
  losses:
  - {name: hidden-states, weight: 2, from: 0.1, until: 0.5, decay: linear}
  - {name: minilm-v2, layers: evenly-spaced}
  - {name: decoupled-kd, beta: 2}
""")
    recipe = read_recipe(recipe_file)
    first, second, third = recipe.distillation.losses
    assert (first.weight, first.from_, first.until, first.decay) == (2.0, 0.1, 0.5, "linear")
    assert (second.weight, second.from_, second.until, second.decay, second.layers) == (1.0, 0.0, 1.0, "none", "evenly-spaced")
    assert [term.is_on_logits for term in (first, second, third)] == [False, False, True]
    (tmp_path / "lock.yaml").write_text(recipe.to_yaml())
    assert "from: 0.1" in recipe.to_yaml()
    assert read_recipe(tmp_path / "lock.yaml") == recipe


def test_recipe_when_changed_then_refuses(recipe_file: Path) -> None:
    recipe = read_recipe(recipe_file)
    with pytest.raises(ValidationError, match="frozen"):
        recipe.distillation.alpha = 0.5  # type: ignore[misc]


def test_overrides_when_given_then_they_replace_the_files_settings_in_order(recipe_file: Path) -> None:
    settings = [
        "distillation.temperature=4", "distillation.temperature=5", "distillation.transfer_set.rows=0",
        "student.rung=bert-2x64", "goals=[{metric: macro_f1, type: min-value, value: 0.5}]", "data.licence=MIT = X11",
        "teacher.revision=",
    ]
    recipe = read_recipe(recipe_file, overrides=settings)
    assert (recipe.distillation.temperature, recipe.distillation.transfer_set.rows) == (5, 0)
    assert (recipe.student.rung, recipe.data.licence, recipe.teacher.revision) == ("bert-2x64", "MIT = X11", None)
    assert recipe.goals[0].metric == "macro_f1"
    assert recipe.data.train == "train.csv"


def test_overrides_when_one_rate_of_the_teacher_is_given_then_several_of_the_file_do_not_count(recipe_file: Path) -> None:
    several, one = "teacher.fine_tuning.learning_rates=[1e-4, 5e-5]", "teacher.fine_tuning.learning_rate=2e-5"
    tunings = [read_recipe(recipe_file, overrides=given).teacher.fine_tuning for given in ((several, one), (one, several))]
    assert [tuning.learning_rates for tuning in tunings] == [(), (1e-4, 5e-5)]
    assert tunings[0].learning_rate == 2e-5


@pytest.mark.parametrize(("value", "expected"), [
    ("yes", "yes"), ("0", "0"), ("1.50", "1.50"), ("|", "|"), ("[a", "[a"), ("'yes'", "yes"), ("2024-13-45", "2024-13-45"), ("a b", "a b"),
])
def test_overrides_when_the_key_takes_text_then_what_yaml_reads_otherwise_is_taken_as_it_is_written(
    recipe_file: Path, value: str, expected: str
) -> None:
    recipe = read_recipe(recipe_file, overrides=[f"data.label_column={value}", "data.validation=null", "data.test="])
    assert (recipe.data.label_column, recipe.data.validation, recipe.data.test) == (expected, None, None)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("seed", "--set seed: not of the form key=value"),
        ("=3", "--set =3: not of the form key=value"),
        ("distillation..alpha=1", "--set distillation..alpha=1: not of the form key=value"),
        ("seed.x=1", "--set: seed: Input should be a valid integer"),
        ("id.x.y=1", "--set id.x.y=1: id is no section"),
        ("task.x=1", "--set task.x=1: task is no section"),
        ("distillation.alpha=[a", "--set distillation.alpha=[a: the value is not YAML"),
        ("seed=2024-13-45", "--set seed=2024-13-45: the value is not YAML"),
        ("distillation.temprature=3", "--set: distillation.temprature: unknown key; did you mean 'temperature'?"),
        ("seed=-1", "--set: seed: Input should be greater than or equal to 0 (got -1)"),
    ],
)
def test_overrides_when_wrong_then_refused_without_a_line_of_a_file(
    recipe_file: Path, setting: str, message: str
) -> None:
    assert refusal(recipe_file, SMALLEST, overrides=[setting]).message.startswith(message)


def test_overrides_when_the_file_itself_is_wrong_then_its_line_is_named(recipe_file: Path) -> None:
    error = refusal(recipe_file, SMALLEST + "sed: 1\n", overrides=["seed=1"])
    assert error.message == f"{recipe_file}:5: sed: unknown key; did you mean 'seed'?"


@pytest.mark.parametrize("split", ["validation", "test"])
def test_data_when_a_file_stands_beside_the_hub_then_refused_instead_of_ignored(split: str) -> None:
    with pytest.raises(ValueError, match=f"data.hub.{split}"):
        Data.model_validate({"hub": {"name": "some/data"}, split: "mine.csv"})


@pytest.mark.parametrize(("content", "says"), [
    ({}, "no training data: give data.train: FILE"),
    ({"train": None}, "no training data: give data.train: FILE"),
    ({"train": "mine.csv", "hub": {"name": "some/data"}}, "data.train and data.hub both name the training data"),
])
def test_data_when_of_no_source_or_of_two_then_says_which_of_both(content: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Data.model_validate(content)
