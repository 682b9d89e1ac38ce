"""The study: claims that nobody else has, a journal that survives a kill, and two processes in one file."""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgedistill.distill.search.moves import Move
from edgedistill.distill.search.study import Owner, SearchStudy, Space
from edgedistill.errors import StorageError
from edgedistill.results import Milestone

from .trials import BASE, RUNGS, outcome

SPACE = Space(BASE, BASE, tuple(rung.id for rung in RUNGS), highest_rank=6)
HERE, THERE = Owner("a", "here", "/here"), Owner("b", "there", "/there")


def move(rung: str) -> Move:
    return Move(BASE.model_copy(update={"rung": rung}), f"try {rung}")


def study_in(folder: Path, name: str = "mine") -> SearchStudy:
    return SearchStudy(folder / "study.journal", name, seed=3)


def test_claim_when_a_move_is_free_then_kept_with_its_reason_and_owner(tmp_path: Path) -> None:
    study_in(tmp_path).claim([move("r3")], HERE, space=SPACE)
    (found,) = study_in(tmp_path).trials()
    assert (found.settings.rung, found.because, found.run, found.stages, found.outcome) == ("r3", "try r3", "here", "/here", None)


def test_claim_when_somebody_has_the_move_then_takes_the_next_one(tmp_path: Path) -> None:
    study_in(tmp_path).claim([move("r3")], THERE, space=SPACE)
    found = study_in(tmp_path).claim([move("r3"), move("r1")], HERE, space=SPACE)
    assert found is not None
    assert found.settings.rung == "r1"


def test_claim_when_every_move_is_taken_then_none(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    study.claim([move("r3")], THERE, space=SPACE)
    assert study.claim([move("r3")], HERE, space=SPACE) is None
    assert len(study.trials()) == 1


def test_finish_when_read_again_then_outcome_and_milestones_are_kept(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    claimed = study.claim([move("r3")], HERE, space=SPACE)
    assert claimed is not None
    study.remember(claimed, [Milestone(share_of_steps=0.5, validation_accuracy=0.8)])
    study.finish(claimed, outcome(shortfall=0.02, accuracy=0.88), value=-0.02)
    (found,) = study_in(tmp_path).trials()
    assert found.outcome == outcome(shortfall=0.02, accuracy=0.88)
    assert found.milestones == (Milestone(share_of_steps=0.5, validation_accuracy=0.8),)


def test_renew_when_a_finished_trial_came_to_something_else_here_then_that_counts_in_this_process_alone(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    claimed = study.claim([move("r3")], HERE, space=SPACE)
    assert claimed is not None
    study.finish(claimed, outcome(shortfall=0.0, accuracy=0.9), value=1.0)
    study.renew(study.trials()[0], outcome(shortfall=0.05, accuracy=0.85))
    assert study.trials()[0].outcome == outcome(shortfall=0.05, accuracy=0.85)
    assert study_in(tmp_path).trials()[0].outcome == outcome(shortfall=0.0, accuracy=0.9)


def test_study_when_a_write_was_cut_off_then_goes_on_after_the_last_whole_line(tmp_path: Path) -> None:
    study_in(tmp_path).claim([move("r3")], HERE, space=SPACE)
    with (tmp_path / "study.journal").open("a") as stream:
        stream.write('{"op_code": 4, "worker')
    again = study_in(tmp_path)
    assert again.claim([move("r1")], HERE, space=SPACE) is not None
    assert [trial.settings.rung for trial in study_in(tmp_path).trials()] == ["r3", "r1"]


def test_sample_when_another_run_draws_at_the_same_moment_then_waits_for_what_it_drew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both draw the same; the first is slow to say so."""
    slow, quick = study_in(tmp_path), study_in(tmp_path)
    quick._seed -= 1  # a draw's seed goes by the trials before it, of which there is one more by then
    drawn, set_now = threading.Event(), slow._set

    def set_late(number: int, name: str, value: str) -> None:
        drawn.set()
        time.sleep(0.5)
        set_now(number, name, value)

    monkeypatch.setattr(slow, "_set", set_late)
    with ThreadPoolExecutor(1) as other:
        first = other.submit(slow.sample, THERE, space=SPACE)
        drawn.wait(10)
        second = quick.sample(HERE, space=SPACE)
    found = first.result()
    assert found is not None
    assert second is not None
    assert second.number > found.number
    assert second.settings != found.settings


def test_trial_when_its_process_was_killed_then_still_belongs_to_its_run(tmp_path: Path) -> None:
    study_in(tmp_path).claim([move("r3")], HERE, space=SPACE)
    again = study_in(tmp_path)
    assert [(t.run_id, t.outcome) for t in again.trials()] == [("a", None)]
    again.finish(again.trials()[0], outcome(shortfall=0.0), value=1.0)
    assert again.trials()[0].outcome is not None


def test_sample_when_asked_again_after_a_kill_then_draws_what_it_would_have_drawn(tmp_path: Path) -> None:
    drawn = []
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        study = study_in(tmp_path / name)
        for _ in range(3):
            if name == "killed":
                study = study_in(tmp_path / name)
            found = study.sample(HERE, space=SPACE)
            assert found is not None
            study.finish(found, outcome(shortfall=0.1), value=-found.settings.temperature)
        drawn.append([t.settings for t in study.trials()])
    assert drawn[0] == drawn[1]
    assert len({settings.to_json() for settings in drawn[0]}) == 3


def test_sample_when_limited_to_cheap_rungs_then_stays_below_and_near_the_recipe(tmp_path: Path) -> None:
    study = study_in(tmp_path)
    space = Space(BASE, BASE.model_copy(update={"transfer_rows": 99}), SPACE.rungs, highest_rank=1)
    for _ in range(8):
        found = study.sample(HERE, space=space)
        assert found is not None
        settings = found.settings
        assert settings.rung in {"r0", "r1"}
        assert 2.5e-4 <= settings.learning_rate <= 4e-3
        assert 1 <= settings.temperature <= 8
        assert 0.3 <= settings.alpha <= 1
        assert settings.batch_size in {32, 64, 128}
        assert settings.transfer_rows == 99


def test_sample_near_the_most_that_a_recipe_may_have_then_stays_within_it(tmp_path: Path) -> None:
    study, base = study_in(tmp_path), BASE.model_copy(update={"batch_size": 4096, "learning_rate": 0.5})
    space = Space(base, base, SPACE.rungs, highest_rank=1)
    for _ in range(12):
        found = study.sample(HERE, space=space)
        assert found is not None
        assert found.settings.batch_size in {2048, 4096}
        assert found.settings.learning_rate <= 0.9


def test_studies_when_named_differently_then_one_file_keeps_them_apart(tmp_path: Path) -> None:
    study_in(tmp_path, "one").claim([move("r3")], HERE, space=SPACE)
    assert study_in(tmp_path, "two").trials() == ()


def test_study_when_the_file_is_something_else_then_one_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "study.journal").write_text("text,label\nhello,greet\n", encoding="utf-8")
    with pytest.raises(StorageError, match="is no study") as failure:
        study_in(tmp_path)
    assert "delete it" in failure.value.hint


WORKER = """
import json, sys
from pathlib import Path
from edgedistill.distill.search.moves import Move
from edgedistill.distill.search.study import Owner, SearchStudy, Space
from edgedistill.distill.search.trial import TrialSettings
base = TrialSettings.model_validate_json(sys.argv[3])
rungs = tuple(f"r{i}" for i in range(12))
study = SearchStudy(Path(sys.argv[1]), "mine", seed=3)
owner = Owner(sys.argv[2], sys.argv[2], "/nowhere")
moves = [Move(base.model_copy(update={"rung": rung}), rung) for rung in rungs]
sys.stdin.readline()
got = []
while (trial := study.claim(moves, owner, space=Space(base, base, rungs, 11))) is not None:
    got.append(trial.settings.rung)
print(json.dumps(got))
"""


def test_claim_when_two_processes_share_a_study_then_every_trial_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(path), name, BASE.to_json()], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    got = [json.loads(worker.communicate(timeout=120)[0]) for worker in workers]
    assert sorted(got[0] + got[1]) == sorted(f"r{i}" for i in range(12))


def test_claim_when_a_killed_run_left_a_move_waiting_then_it_is_dropped_and_the_wanted_one_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SearchStudy, "_ask", die)  # between the idea and the claim
        study_in(tmp_path).claim([move("r3")], HERE, space=SPACE)
    for rung in ("r1", "r5", "r3"):  # r3 may be wanted again later
        found = study_in(tmp_path).claim([move(rung)], HERE, space=SPACE)
        assert found is not None
        assert found.settings.rung == rung
    assert [trial.settings.rung for trial in study_in(tmp_path).trials()] == ["r1", "r5", "r3"]
