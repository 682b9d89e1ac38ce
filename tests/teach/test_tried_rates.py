"""A teacher at several learning rates: each is that of its rate alone, the best on validation is kept, a kill loses none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgedistill.checkpoints import CHECKPOINTS
from edgedistill.errors import TrainingDivergedError
from edgedistill.recipe import FineTuning
from edgedistill.stage import Done, Workspace
from edgedistill.teach import fine_tuning, tried_rates
from edgedistill.teach.learning_rate import settled_tuning
from edgedistill.teach.stage import TEACHER, TeacherInputs, TeacherSettings

GOOD, POOR, WILD = 5e-3, 1e-6, 0.9
SINGLE = FineTuning(epochs=3, batch_size=16, learning_rate=GOOD)


def taught(root: Path, model: Path, data: Path, tuning: FineTuning) -> Done:
    settings = TeacherSettings(fine_tuning=tuning, max_tokens=16, seed=3)
    inputs = TeacherInputs(model, data / "train.arrow", data / "validation.arrow", data / "labels.json")
    return Workspace(root).perform("teach", TEACHER, settings, inputs)


@pytest.fixture(scope="module")
def encoder(model_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is not fine-tuned yet."""
    folder = tmp_path_factory.mktemp("encoder") / "bert"
    shutil.copytree(model_folder("bert"), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))
    return folder


@pytest.fixture(scope="module")
def alone(data: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights at the good rate alone."""
    done = taught(tmp_path_factory.mktemp("alone"), encoder, data, SINGLE)
    return (done.folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("rates", [(GOOD, POOR), (POOR, GOOD)])
def test_teacher_at_several_rates_then_the_one_that_is_best_on_validation_to_the_byte(
    rates: tuple[float, ...], alone: bytes, data: Path, encoder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "edgedistill")
    done = taught(tmp_path, encoder, data, SINGLE.model_copy(update={"learning_rates": rates}))
    assert [f"learning rate {rate:g}, {place} of 2" in caplog.text for place, rate in enumerate(rates, 1)] == [True, True]
    assert (done.folder / "model.safetensors").read_bytes() == alone
    told = next(decision for decision in done.manifest.decisions if "kept the teacher" in decision.what)
    assert told.what.endswith("a learning rate of 0.005")
    assert f"of {rates[0]:g}: 0." in told.why
    assert not [path for path in done.folder.iterdir() if path.is_dir()]


def test_teacher_when_killed_after_the_first_rate_then_goes_on_with_the_second(
    alone: bytes, data: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates, whole, made = (GOOD, POOR), tried_rates.fine_tune, []

    def tuned(*given: Any, schedule: Any, out: Path) -> float:
        made.append(schedule.learning_rate)
        if len(made) == 2:
            assert not (out.parent / f"rate-{GOOD:g}" / CHECKPOINTS).exists()  # they are several times the model's size
            raise KeyboardInterrupt
        return whole(*given, schedule=schedule, out=out)

    monkeypatch.setattr(tried_rates, "fine_tune", tuned)
    tuning = SINGLE.model_copy(update={"learning_rates": rates})
    with pytest.raises(KeyboardInterrupt):
        taught(tmp_path, encoder, data, tuning)
    done = taught(tmp_path, encoder, data, tuning)
    assert made == [GOOD, POOR, POOR]
    assert (done.folder / "model.safetensors").read_bytes() == alone


def test_teacher_when_killed_while_the_curve_is_written_then_the_rate_does_not_count_as_done(
    alone: bytes, data: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, text: str) -> None:
        path.with_name(f"{path.name}.tmp").write_text(text[:20])
        raise KeyboardInterrupt

    tuning = SINGLE.model_copy(update={"learning_rates": (GOOD, POOR)})
    with monkeypatch.context() as patched:
        patched.setattr(fine_tuning, "write_text_durably", killed)
        with pytest.raises(KeyboardInterrupt):
            taught(tmp_path, encoder, data, tuning)
    done = taught(tmp_path, encoder, data, tuning)
    assert (done.folder / "model.safetensors").read_bytes() == alone


def test_teacher_when_one_rate_diverges_then_another_is_kept_and_all_of_them_is_an_error(
    alone: bytes, data: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tried_rates.fine_tune

    def tuned(*given: Any, schedule: Any, out: Path) -> float:
        if schedule.learning_rate == WILD:
            raise TrainingDivergedError("the training diverged", hint="lower it")
        return whole(*given, schedule=schedule, out=out)

    monkeypatch.setattr(tried_rates, "fine_tune", tuned)
    done = taught(tmp_path, encoder, data, SINGLE.model_copy(update={"learning_rates": (WILD, GOOD)}))
    assert (done.folder / "model.safetensors").read_bytes() == alone
    assert any("0.9: diverged" in decision.why for decision in done.manifest.decisions)
    with pytest.raises(TrainingDivergedError):
        taught(tmp_path / "all", encoder, data, SINGLE.model_copy(update={"learning_rates": (WILD, WILD)}))


def test_teacher_when_killed_after_a_rate_diverged_then_that_rate_is_not_trained_again(
    data: Path, encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[float] = []

    def tuned(*_: Any, schedule: Any, out: Path) -> float:
        made.append(schedule.learning_rate)
        if schedule.learning_rate == WILD:
            raise TrainingDivergedError("the training diverged", hint="lower it")
        raise KeyboardInterrupt

    monkeypatch.setattr(tried_rates, "fine_tune", tuned)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            taught(tmp_path, encoder, data, SINGLE.model_copy(update={"learning_rates": (WILD, GOOD)}))
    assert made == [WILD, GOOD, GOOD]


def test_tuning_when_several_rates_are_given_then_the_width_asks_for_no_other(encoder: Path) -> None:
    several = FineTuning(learning_rates=(1e-4, 5e-5))
    assert settled_tuning(several, encoder) is several
    assert FineTuning.model_validate_json(several.to_json()) == several
    assert "learning_rates" not in FineTuning().to_json()  # steps that do not use it keep their keys
