"""Hub data sets: read by name through `datasets`; without a network one error with a hint."""

from pathlib import Path

import pytest

from edgedistill.data_settings import HubData
from edgedistill.errors import DataError
from edgedistill.prepare.columns import Columns
from edgedistill.prepare.hub import read_hub_split
from edgedistill.prepare.stage import STAGE, TEST_FILE, Inputs, Settings

datasets = pytest.importorskip("datasets")
COLUMNS = Columns("text", "intent")


def fake_hub(monkeypatch: pytest.MonkeyPatch, failure: Exception | None = None) -> list[tuple[object, ...]]:
    """Put a small data set in the place of the hub; returns the calls it received."""
    calls: list[tuple[object, ...]] = []

    def load_dataset(name: str, config: str | None, *, revision: str | None, split: str) -> object:
        calls.append((name, config, revision, split))
        if failure is not None:
            raise failure
        return datasets.Dataset.from_dict({"text": [f"{split} {i}" for i in range(40)], "intent": [0, 1] * 20})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return calls


def test_run_when_hub_has_train_and_test_then_validation_is_split_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = fake_hub(monkeypatch)
    hub = HubData(name="some/data", config="small", revision="abc", test="test")
    STAGE.run(Settings(label_column="intent", hub=hub), Inputs(None), tmp_path)
    STAGE.ensures(tmp_path)
    assert calls == [("some/data", "small", "abc", "train"), ("some/data", "small", "abc", "test")]
    assert (tmp_path / TEST_FILE).is_file()


@pytest.mark.parametrize(
    ("failure", "message", "hint"),
    [
        (ConnectionError("Couldn't reach 'some/data' on the Hub"), "the hub cannot be reached", "data.train: FILE"),
        (datasets.exceptions.DatasetNotFoundError("gone"), "no such data set on the hub", "data.hub.name"),
        (ValueError('Unknown split "train".'), 'Unknown split "train".', "data.hub.train"),
        (RuntimeError("Dataset scripts are no longer supported, but found data.py"), "scripts are no longer", "refs/convert/parquet"),
    ],
)
def test_read_hub_split_when_hub_refuses_then_error_with_hint(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, message: str, hint: str
) -> None:
    fake_hub(monkeypatch, failure)
    with pytest.raises(DataError) as caught:
        read_hub_split(HubData(name="some/data"), "train", COLUMNS)
    assert caught.value.message.startswith("some/data: ")
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_read_hub_split_when_disk_is_full_then_not_called_a_network_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, OSError(28, "No space left on device"))
    with pytest.raises(OSError, match="No space left"):
        read_hub_split(HubData(name="some/data"), "train", COLUMNS)


def test_read_hub_split_when_column_is_missing_then_data_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch)
    with pytest.raises(DataError, match=r"some/data \(train\): no column 'label'; did you mean 'intent'\?"):
        read_hub_split(HubData(name="some/data"), "train", Columns("text", "label"))
