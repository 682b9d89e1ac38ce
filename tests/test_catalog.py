"""The catalog: ids, files and folders; and what it says to a name that it does not know."""

from pathlib import Path

import pytest

from edgedistill import catalog
from edgedistill.catalog import LocatedRecipe, data_folder, load_recipe, load_target, recipe_ids, target_ids
from edgedistill.errors import RecipeError, TargetError


@pytest.mark.parametrize("name", ["targets", "models", "benchmarks"])
def test_data_folder_when_asked_then_it_is_there(name: str) -> None:
    assert data_folder(name).is_dir()


def test_data_folder_when_packaged_in_a_wheel_then_that_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packaged = tmp_path / "edgedistill" / "data" / "targets"
    packaged.mkdir(parents=True)
    (tmp_path / "models").mkdir()
    monkeypatch.setattr(catalog, "_PACKAGE", tmp_path / "edgedistill")
    assert data_folder("targets") == packaged
    assert data_folder("models") == tmp_path / "models"


def test_ids_when_listed_then_sorted_and_each_loads() -> None:
    assert target_ids() == sorted(target_ids())
    assert "home-intents" in recipe_ids()
    assert [load_target(name).id for name in target_ids()] == target_ids()
    assert [load_recipe(name).recipe.id for name in recipe_ids()] == recipe_ids()


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("raspberry-pi-zero", "Armv6"), ("raspberry-pi-1", "Armv6"), ("raspberry-pi-2", "Armv7"), ("Raspberry-Pi-Zero-W", "Armv6")],
)
def test_load_target_when_the_board_is_32_bit_arm_then_says_so_and_suggests_no_other_name(name: str, architecture: str) -> None:
    with pytest.raises(TargetError) as caught:
        load_target(name)
    assert caught.value.message == (
        f"{name.lower()} is a 32-bit ARM board ({architecture}), for which PyPI has no onnxruntime, and it takes no 64-bit system; "
        "a Pi Zero 2 W, 3, 4 or 5 does"
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", ["armv7l", "armv6l", "ARMHF"])
def test_load_target_when_a_32_bit_architecture_is_asked_for_then_refused_as_one(name: str) -> None:
    with pytest.raises(TargetError, match=f"^{name} is 32-bit ARM, for which PyPI has no onnxruntime"):
        load_target(name)


@pytest.mark.parametrize(
    ("name", "says"),
    [("rasberry-pi", "did you mean 'raspberry-pi'?"), ("raspberry-pi-4", "did you mean 'raspberry-pi'?"),
     ("RPi4", "did you mean 'raspberry-pi'?"), ("pi", "did you mean 'raspberry-pi'?"),
     ("zzz", "there are: android-low, android-midrange, "), ("locl", "did you mean 'local'?"), ("", "there are: ")],
)
def test_load_target_when_id_is_unknown_then_suggests(name: str, says: str) -> None:
    with pytest.raises(TargetError) as caught:
        load_target(name)
    assert caught.value.message.startswith(f"no target {name!r}")
    assert says in caught.value.message
    assert caught.value.hint == "edgedistill targets list"


def test_load_recipe_when_id_is_unknown_then_suggests() -> None:
    with pytest.raises(RecipeError, match="no recipe 'home-intent'; did you mean 'home-intents'") as caught:
        load_recipe("home-intent")
    assert caught.value.hint == "edgedistill recipes list"


@pytest.mark.parametrize(("name", "message", "hint"), [
    ("my recipe", "no recipe 'my recipe'; did you mean 'my recipe.yaml'?", "--recipe 'my recipe.yaml'"),
    ("my-recipe.yaml", "my-recipe.yaml: no such file; did you mean 'my recipe.yaml'?", "--recipe 'my recipe.yaml'"),
    ("./my recipe.yml", "my recipe.yml: no such file; did you mean 'my recipe.yaml'?", "--recipe 'my recipe.yaml'"),
    ("nope.yaml", "nope.yaml: no such file", "edgedistill init --train FILE -o nope.yaml writes one; "),
    ("none here/nope.yaml", "none here/nope.yaml: no such file", "edgedistill init --train FILE -o 'none here/nope.yaml' writes one; "),
    ("./empty", "empty/recipe.yaml: no such file", "edgedistill init --train FILE -o empty/recipe.yaml writes one; "),
])
def test_load_recipe_when_the_file_is_not_there_then_says_which_is_or_how_to_write_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, message: str, hint: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "my recipe.yaml").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError) as caught:
        load_recipe(name)
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize("name", ["./device.yaml", "device.yml", "sub/device"])
def test_load_target_when_the_name_is_a_path_that_is_not_there_then_no_such_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TargetError, match="no such file"):
        load_target(name)


def test_load_target_when_the_name_is_a_file_then_that_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = load_target("raspberry-pi").model_copy(update={"id": "my-board"}).to_yaml()
    (tmp_path / "my-board.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert load_target("my-board.yaml").id == load_target(tmp_path / "my-board.yaml").id == "my-board"


@pytest.fixture
def own_recipe(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(
        "id: own\ntask: text-classification\ndata: {train: ../data/t.csv}\nteacher: {name: t}\n"
    )
    return folder


def test_load_recipe_when_file_or_its_folder_then_paths_start_from_there(own_recipe: Path) -> None:
    for name in (own_recipe, f"{own_recipe}", own_recipe / "recipe.yaml"):
        found = load_recipe(name)
        assert (found.recipe.id, found.folder) == ("own", own_recipe.resolve())
        assert found.path("../data/t.csv") == (own_recipe.parent / "data" / "t.csv").resolve()
        assert found.path("/abs/t.csv") == Path("/abs/t.csv")


def test_load_recipe_when_overridden_then_the_overrides_hold(own_recipe: Path) -> None:
    assert load_recipe(own_recipe, overrides=["seed=5"]).recipe.seed == 5


def test_located_path_when_it_starts_at_home_then_home_is_meant(
    own_recipe: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_recipe(own_recipe).path("~/t.csv") == (tmp_path / "t.csv").resolve()


def test_path_of_a_recipe_when_it_is_a_link_then_keeps_the_name_that_says_the_format(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "3f2a9c").write_text("text,label\n")
    (tmp_path / "train.csv").symlink_to(tmp_path / "store" / "3f2a9c")
    located = LocatedRecipe(load_recipe("home-intents").recipe, tmp_path)
    assert located.path("sub/../train.csv") == tmp_path / "train.csv"
    with pytest.raises(RecipeError, match="~nobody-of-that-name"):
        located.path("~nobody-of-that-name/train.csv")


def test_load_recipe_when_a_file_has_no_suffix_and_is_no_id_then_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-recipe").write_text((data_folder("models") / "home-intents" / "recipe.yaml").read_text(encoding="utf-8"))
    assert load_recipe("my-recipe").folder == tmp_path
    with pytest.raises(RecipeError, match="no recipe 'your-recipe'"):
        load_recipe("your-recipe")
    (tmp_path / "your-recipe").mkdir()
    (tmp_path / "my-recipe").rename(tmp_path / "your-recipe" / "recipe.yaml")
    assert load_recipe("your-recipe").folder == tmp_path / "your-recipe"
