import pytest

from edgedistill.catalog import LocatedRecipe, load_recipe
from edgedistill.package.base_model import base_model_of, is_hub_id


def _named(name, folder):
    recipe = load_recipe("home-intents").recipe
    return base_model_of(LocatedRecipe(recipe.model_copy(update={"teacher": recipe.teacher.model_copy(update={"name": name})}), folder))


@pytest.mark.parametrize("name", ["sentence-transformers/all-MiniLM-L6-v2", "bert-base-uncased", "resnet-48-96"])
def test_base_model_when_the_name_is_no_folder_then_stays_as_it_is(name, tmp_path):
    assert _named(name, tmp_path) == name


@pytest.mark.parametrize("name", ["work/my-bert", "./work/my-bert", "../here/work/my-bert"])
def test_base_model_when_the_name_is_a_folder_beside_the_recipe_then_is_its_own_name_and_no_hub_id(name, tmp_path):
    (tmp_path / "here" / "work" / "my-bert").mkdir(parents=True)

    found = _named(name, tmp_path / "here")

    assert found == "my-bert"
    assert not is_hub_id(found)


def test_base_model_when_the_name_is_absolute_then_tells_nothing_of_the_folders_above(tmp_path):
    (tmp_path / "alice" / "my-bert").mkdir(parents=True)

    assert _named(str(tmp_path / "alice" / "my-bert"), tmp_path) == "my-bert"


@pytest.mark.parametrize("name", ["/home/alice/my-bert", "../../alice/my-bert", "./my-bert", "~/my-bert", "a/b/my-bert"])
def test_base_model_when_the_folder_is_gone_then_its_path_is_still_not_told(name, tmp_path):
    assert _named(name, tmp_path) == "my-bert"


@pytest.mark.parametrize(("name", "holds"), [
    ("someone/teacher", True), ("a.b-c/d_e.f", True), ("teacher", False), ("./teacher", False), ("/srv/teacher", False),
    ("a/b/teacher", False), ("someone/teacher\n", False),
])
def test_is_hub_id_when_asked_then_wants_an_owner_and_a_model(name, holds):
    assert is_hub_id(name) is holds
