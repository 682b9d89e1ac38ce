"""Pictures of a data set of the hub: the same reader as for a saved folder; without a network one error that says what to do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgedistill.catalog import LocatedRecipe, load_target
from edgedistill.data_settings import HubData
from edgedistill.errors import DataError
from edgedistill.examples import read_examples
from edgedistill.prepare.columns import Columns
from edgedistill.recipe import Recipe
from edgedistill.results import Labels
from edgedistill.tasks.image_classification.pictures import pixels_of
from edgedistill.tasks.image_classification.prepare_stage import STAGE, Inputs, Settings
from edgedistill.tasks.image_classification.sources import open_hub_source
from edgedistill.tasks.image_classification.task import DOOR

datasets = pytest.importorskip("datasets")
HUB = HubData(name="some/photos", config="small", revision="abc", test="test")


def pictures(split: str, rows: int = 40) -> object:
    rng = np.random.default_rng(len(split))
    images = [Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)) for _ in range(rows)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})
    return datasets.Dataset.from_dict({"image": images, "label": [0, 1] * (rows // 2)}, features=features)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Small data sets in the place of the hub; the calls that it received."""
    calls: list[tuple[object, ...]] = []

    def load_dataset(name: str, config: str | None, *, revision: str | None, split: str) -> object:
        calls.append((name, config, revision, split))
        return pictures(split)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return calls


def test_run_when_the_pictures_are_on_the_hub_then_as_from_a_folder_that_datasets_saved(
    hub: list[tuple[object, ...]], tmp_path: Path
) -> None:
    saved, fetched = tmp_path / "saved", tmp_path / "fetched"
    for folder in (saved, fetched):
        folder.mkdir()
    datasets.DatasetDict({split: pictures(split) for split in ("train", "test")}).save_to_disk(tmp_path / "photos")

    STAGE.run(Settings(), Inputs(tmp_path / "photos", test=tmp_path / "photos"), saved)
    STAGE.run(Settings(hub=HUB), Inputs(None), fetched)

    STAGE.ensures(fetched)
    assert {call[3] for call in hub} == {"train", "test"}
    assert {call[:3] for call in hub} == {("some/photos", "small", "abc")}
    assert Labels.read_json(fetched / "labels.json").labels == ("cat", "dog")
    for split in ("train", "validation", "test"):
        ours, theirs = (read_examples(folder / f"{split}.arrow") for folder in (fetched, saved))
        assert ours.table.column("id").to_pylist() == theirs.table.column("id").to_pylist()
        np.testing.assert_array_equal(pixels_of(ours).take([0, 1]), pixels_of(theirs).take([0, 1]))


def test_door_when_the_pictures_are_on_the_hub_then_plans_and_prepares(
    hub: list[tuple[object, ...]], tmp_path: Path
) -> None:
    recipe = Recipe.model_validate({
        "id": "r", "task": "image-classification", "data": {"hub": HUB.model_dump()},
        "teacher": {"name": "t", "configuration": {"model_type": "resnet", "embedding_size": 8, "hidden_sizes": [8], "depths": [1]}},
    })
    located = LocatedRecipe(recipe, tmp_path)
    DOOR.check(recipe, None)
    settled = DOOR.settle(located, [load_target("raspberry-pi-zero-2w")]).located
    facts = DOOR.facts_before(settled)
    assert (facts.train_rows, facts.classes) == (40, 2)
    calls = len(hub)
    work = DOOR.prepare(settled, None)
    assert len(hub) == calls  # a step that was done before needs no hub
    assert work.settings.hub == HUB
    assert work.inputs.train is None


def test_hub_when_a_column_is_missing_or_holds_no_pictures_then_data_set_and_remedy_are_named(
    hub: list[tuple[object, ...]]
) -> None:
    with pytest.raises(DataError, match=r"some/photos \(train\): no column 'img'; did you mean 'image'\?") as refused:
        next(open_hub_source(HUB, "train", Columns("img", "label")).read())
    assert "pictures.column" in refused.value.hint
    with pytest.raises(DataError, match=r"some/photos \(train\): row 1: holds neither the bytes of a picture nor its path"):
        next(open_hub_source(HUB, "train", Columns("label", "image")).read())


def test_hub_when_it_cannot_be_reached_then_says_how_to_save_it_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: object, **__: object) -> object:
        raise ConnectionError("Couldn't reach 'some/photos' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError, match="the hub cannot be reached") as refused:
        open_hub_source(HUB, "train", Columns("image", "label"))
    assert "load_dataset('some/photos').save_to_disk(DIR)" in refused.value.hint


def test_requires_when_neither_files_nor_hub_are_given_then_refused() -> None:
    with pytest.raises(DataError, match="neither as a file or folder nor on the hub"):
        STAGE.requires(Settings(), Inputs(None))
