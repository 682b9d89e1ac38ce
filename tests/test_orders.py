"""Orders of the main process: a stage by name, and nothing that is not of this package."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgedistill.benchmark import stage as benchmark
from edgedistill.orders import Call, Order, Work, look_up, write_down
from edgedistill.recipe import TransferSet
from edgedistill.stage import Outcome, Stage
from edgedistill.teach import stage as teach

CALL = Call(
    teach.SOFT_LABELS, teach.SoftLabelSettings(transfer_set=TransferSet(rows=7), seed=5),
    teach.SoftLabelInputs(Path("/t"), Path("/a"), Path("/b"), Path("/c"), Path("/u")), Path("/out"),
)


def test_work_when_written_down_sent_and_looked_up_then_the_same_call() -> None:
    sent = Order(work=write_down(CALL)).model_dump_json()
    work = Order.model_validate_json(sent).work
    assert work is not None
    assert look_up(work) == CALL
    assert work.stage == "edgedistill.teach.stage:SOFT_LABELS"


def test_work_when_inputs_are_mappings_or_none_then_kept() -> None:
    inputs = benchmark.Inputs({"student": Path("/x"), "teacher": Path("/y")}, Path("/z"))
    work = write_down(replace(CALL, inputs=inputs))
    assert look_up(work).inputs == inputs
    without = work.model_copy(update={"inputs": {"models": {}, "data": None}})
    assert look_up(without).inputs == benchmark.Inputs({}, None)  # type: ignore[arg-type]


def test_work_when_paths_are_relative_then_sent_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert write_down(replace(CALL, out=Path("out"))).out == str(tmp_path / "out")


def _run(settings: object, inputs: object, out: Path) -> Outcome:
    return Outcome()


def test_work_when_the_stage_has_no_name_in_the_package_then_refused() -> None:
    with pytest.raises(TypeError, match="no name"):
        write_down(replace(CALL, stage=Stage(name="mine", version=1, run=_run)))


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": "os:system"},
        {"stage": "edgedistill.teach.stage:_make_soft_labels"},
        {"stage": "edgedistill.teach.stage:SOFT_LABELS.run"},
        {"settings_type": "pathlib:Path"},
        {"settings_type": "edgedistill.teach.stage:SoftLabelInputs"},
        {"inputs_type": "edgedistill.teach.stage:SoftLabelSettings"},
    ],
)
def test_look_up_when_a_name_is_not_of_the_package_or_of_another_kind_then_refused(changes: dict[str, str]) -> None:
    work = Work.model_validate(write_down(CALL).model_dump() | changes)
    with pytest.raises(TypeError):
        look_up(work)
