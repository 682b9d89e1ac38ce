"""The stage runner: done work is found, changed or damaged work redone; a failure leaves nothing that looks done."""

import errno
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgedistill import storage
from edgedistill.artifact import sha256_of_file, sha256_of_path
from edgedistill.document import Document
from edgedistill.errors import ArtifactError, DataError, ParityError, StorageError
from edgedistill.manifest import MANIFEST_FILE, Decision, Manifest, warned
from edgedistill.result_folder import remove_partial
from edgedistill.stage import Done, Outcome, Stage, Workspace, input_paths, write_text_durably


class Settings(Document):
    times: int = 2
    seed: int = 13


@dataclass(frozen=True)
class Inputs:
    text: Path
    more: Mapping[str, Path] | None = None
    maybe: Path | None = None


class Repeater:
    """A stage that writes its input several times, and remembers that it was called."""

    def __init__(self) -> None:
        self.outs: list[Path] = []

    def __call__(self, settings: Settings, inputs: Inputs, out: Path) -> Outcome:
        self.outs.append(out)
        (out / "sub").mkdir()
        (out / "sub" / "result.txt").write_text(inputs.text.read_text() * settings.times)
        (out / "log.txt").write_text("done")
        return Outcome(decisions=(Decision(step="repeat", what="repeated", why="it was asked for"),))

    @property
    def calls(self) -> int:
        return len(self.outs)


@pytest.fixture
def work() -> Repeater:
    return Repeater()


@pytest.fixture
def stage(work: Repeater) -> Stage[Settings, Inputs]:
    return Stage(name="repeat", version=1, run=work)


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    (tmp_path / "input.txt").write_text("ab")
    return Inputs(text=tmp_path / "input.txt")


@pytest.fixture
def space(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "run" / ".stages")


@pytest.fixture
def perform(
    space: Workspace, stage: Stage[Settings, Inputs], inputs: Inputs
) -> Callable[..., Done]:
    """Perform the step "repeat" in a workspace as a new process would see it, with some things changed."""

    def do(
        *, step: str = "repeat", settings: Settings | None = None, read: Inputs | None = None, **changes: Any
    ) -> Done:
        fresh = Workspace(space.root, space.on_step)
        return fresh.perform(step, replace(stage, **changes), settings or Settings(), read or inputs)

    return do


def failing(failure: BaseException) -> Callable[[Settings, Inputs, Path], Outcome]:
    def run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
        (out / "half.txt").write_text("half")
        raise failure

    return run


def finished_folders(space: Workspace) -> list[Path]:
    return [p.parent for p in space.root.rglob(MANIFEST_FILE) if not p.parent.name.endswith(".partial")]


# What is kept


def test_perform_when_new_then_the_result_lies_under_step_and_key_with_its_manifest(
    perform: Callable[..., Done], space: Workspace, inputs: Inputs
) -> None:
    done = perform()
    assert not done.was_skipped
    assert done.folder == space.root / "repeat" / done.manifest.key
    assert (done.folder / "sub" / "result.txt").read_text() == "abab"
    assert sorted(p.name for p in done.folder.parent.iterdir()) == [done.manifest.key]
    assert sorted(p.name for p in done.folder.iterdir()) == ["log.txt", "manifest.json", "sub"]


def test_perform_when_new_then_the_manifest_tells_what_was_done(
    perform: Callable[..., Done], inputs: Inputs
) -> None:
    manifest = perform(step="again", tools=("numpy", "no-such-package")).manifest
    assert (manifest.step, manifest.stage, manifest.stage_version) == ("again", "repeat", 1)
    assert json.loads(manifest.settings_json) == {"times": 2, "seed": 13}
    assert manifest.inputs == {"text": sha256_of_file(inputs.text)}
    assert manifest.tools == {"numpy": np.__version__, "no-such-package": "absent"}
    assert [output.path for output in manifest.outputs] == ["log.txt", "sub/result.txt"]
    assert [decision.what for decision in manifest.decisions] == ["repeated"]


def test_perform_when_working_then_in_partial_and_the_manifest_comes_after_the_check(
    perform: Callable[..., Done], work: Repeater
) -> None:
    seen: list[list[str]] = []
    done = perform(ensures=lambda out: seen.append(sorted(p.name for p in out.iterdir() if p.name != ".key")))
    assert work.outs == [done.folder.with_name(done.folder.name + ".partial")]
    assert seen == [["log.txt", "sub"]]


def test_perform_when_stopped_while_the_manifest_is_written_then_nothing_looks_done(
    perform: Callable[..., Done], space: Workspace, work: Repeater, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(path: Path, text: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("edgedistill.stage.write_text_durably", stop)
        with pytest.raises(KeyboardInterrupt):
            perform()
    assert finished_folders(space) == []
    assert not perform().was_skipped
    assert work.calls == 2


def test_perform_when_done_before_then_skipped(perform: Callable[..., Done], work: Repeater) -> None:
    first, second = perform(), perform()
    assert (first.was_skipped, second.was_skipped, work.calls) == (False, True, 1)
    assert (second.folder, second.manifest) == (first.folder, first.manifest)


def test_perform_when_done_before_then_the_listener_hears_it(
    stage: Stage[Settings, Inputs], inputs: Inputs, tmp_path: Path
) -> None:
    heard: list[tuple[str, str]] = []
    space = Workspace(tmp_path / "run", lambda step, state, seconds: heard.append((step, state)))
    space.perform("one", stage, Settings(), inputs)
    space.perform("one", stage, Settings(), inputs)
    assert heard == [("one", "started"), ("one", "done"), ("one", "skipped")]


@pytest.mark.parametrize(
    "changes",
    [
        {"settings": Settings(times=3)},
        {"settings": Settings(seed=14)},
        {"version": 2},
        {"name": "other"},
        {"tools": ("numpy",)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_perform_when_anything_that_counts_changes_then_another_key_and_the_old_result_stays(
    perform: Callable[..., Done], work: Repeater, changes: dict[str, Any]
) -> None:
    before, after = perform(), perform(**changes)
    assert after.manifest.key != before.manifest.key
    assert before.folder.is_dir()
    assert work.calls == 2
    assert perform().was_skipped


def test_perform_when_a_tool_has_another_version_then_another_key(
    perform: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = perform(tools=("numpy",))
    monkeypatch.setattr("edgedistill.stage.tool_version", lambda name: "0.0.1")
    assert perform(tools=("numpy",)).manifest.key != before.manifest.key


def test_perform_when_an_input_changes_then_redone_and_when_only_its_time_does_then_not(
    perform: Callable[..., Done], inputs: Inputs, work: Repeater
) -> None:
    first = perform()
    os.utime(inputs.text, (1, 1))
    assert perform().was_skipped
    inputs.text.write_text("cd")  # as long as before
    second = perform()
    assert (second.folder / "sub" / "result.txt").read_text() == "cdcd"
    assert second.manifest.key != first.manifest.key
    assert work.calls == 2


def test_perform_when_an_input_changes_within_one_process_then_redone(
    space: Workspace, stage: Stage[Settings, Inputs], inputs: Inputs, work: Repeater
) -> None:
    space.perform("repeat", stage, Settings(), inputs)
    inputs.text.write_text("cde")
    space.perform("repeat", stage, Settings(), inputs)
    assert work.calls == 2


@pytest.mark.parametrize("place", ["file of a mapping", "file below a folder", "optional file"])
def test_perform_when_an_input_further_in_changes_then_redone(
    perform: Callable[..., Done], inputs: Inputs, work: Repeater, tmp_path: Path, place: str
) -> None:
    file = tmp_path / "deep" / "er" / "file"
    file.parent.mkdir(parents=True)
    file.write_text("1")
    read = {
        "file of a mapping": replace(inputs, more={"x": file}),
        "file below a folder": replace(inputs, maybe=tmp_path / "deep"),
        "optional file": replace(inputs, maybe=file),
    }[place]
    keys = {perform().manifest.key, perform(read=read).manifest.key}
    file.write_text("2")
    keys.add(perform(read=read).manifest.key)
    assert (len(keys), work.calls) == (3, 3)


def test_perform_when_the_input_moved_then_found_done(
    perform: Callable[..., Done], inputs: Inputs, tmp_path: Path
) -> None:
    perform()
    moved = inputs.text.rename(tmp_path / "elsewhere.txt")
    assert perform(read=Inputs(text=moved)).was_skipped


def test_perform_when_an_input_is_an_earlier_step_then_redoing_that_step_alike_changes_nothing(
    perform: Callable[..., Done], inputs: Inputs
) -> None:
    first = perform(step="first")
    second = perform(step="second", read=replace(inputs, maybe=first.folder))
    (first.folder / "log.txt").write_text("damaged")
    assert not perform(step="first").was_skipped
    assert perform(step="second", read=replace(inputs, maybe=first.folder)).folder == second.folder
    assert perform(step="second", read=replace(inputs, maybe=first.folder)).was_skipped


def test_perform_when_two_targets_ask_for_the_same_then_the_second_shares_the_result(
    perform: Callable[..., Done], work: Repeater
) -> None:
    assert perform(step="distill").folder == perform(step="distill").folder
    assert work.calls == 1


def test_perform_when_two_steps_do_the_same_then_one_key_and_a_folder_each(
    perform: Callable[..., Done], work: Repeater
) -> None:
    one, two = perform(step="export-teacher"), perform(step="export-student")
    assert one.manifest.key == two.manifest.key
    assert one.folder != two.folder
    assert sha256_of_path(one.folder) == sha256_of_path(two.folder)


# What is redone


@pytest.mark.parametrize(
    "damage", ["altered", "same length", "removed", "manifest removed", "manifest half", "emptied"]
)
def test_perform_when_the_result_was_damaged_then_redone_as_it_was(
    perform: Callable[..., Done], work: Repeater, damage: str
) -> None:
    folder = perform().folder
    before = sha256_of_path(folder)
    result, manifest = folder / "sub" / "result.txt", folder / MANIFEST_FILE
    if damage == "altered":
        result.write_text("other")
    elif damage == "same length":
        result.write_text("abac")
    elif damage == "removed":
        result.unlink()
    elif damage == "manifest removed":
        manifest.unlink()
    elif damage == "manifest half":
        manifest.write_text(manifest.read_text()[:100])
    else:
        for file in (result, folder / "log.txt", manifest):
            file.unlink()
    done = perform()
    assert (done.was_skipped, done.folder, work.calls) == (False, folder, 2)
    assert sha256_of_path(folder) == before
    assert perform().was_skipped


def test_perform_when_the_manifest_is_of_another_key_then_redone(perform: Callable[..., Done], work: Repeater) -> None:
    one, two = perform(), perform(settings=Settings(times=3))
    (two.folder / MANIFEST_FILE).write_text(
        (one.folder / MANIFEST_FILE).read_text()
    )
    (two.folder / "sub" / "result.txt").write_text("abab")
    assert not perform(settings=Settings(times=3)).was_skipped
    assert (two.folder / "sub" / "result.txt").read_text() == "ababab"


# Half-done work


def test_perform_when_the_stage_can_continue_then_its_half_done_work_is_there(
    perform: Callable[..., Done], work: Repeater
) -> None:
    found: list[list[str]] = []

    def run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
        found.append(sorted(p.name for p in out.iterdir() if not p.name.startswith(".")))
        (out / "checkpoint").write_text("half")
        if len(found) == 1:
            raise KeyboardInterrupt
        return Outcome()

    with pytest.raises(KeyboardInterrupt):
        perform(run=run, is_resumable=True)
    perform(run=run, is_resumable=True)
    assert found == [[], ["checkpoint"]]


def test_perform_when_the_stage_cannot_continue_then_it_starts_from_nothing(perform: Callable[..., Done]) -> None:
    def run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
        assert [p.name for p in out.iterdir() if not p.name.startswith(".")] == []
        (out / "half").write_text("half")
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            perform(run=run)


def test_perform_in_when_the_settings_changed_then_half_done_work_of_other_settings_is_wiped(
    space: Workspace, stage: Stage[Settings, Inputs], inputs: Inputs, tmp_path: Path
) -> None:
    found: list[bool] = []

    def run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
        found.append((out / "checkpoint").exists())
        (out / "checkpoint").write_text("half")
        raise KeyboardInterrupt

    resumable = replace(stage, run=run, is_resumable=True)
    for times in (2, 2, 3, 3):
        with pytest.raises(KeyboardInterrupt):
            space.perform_in(tmp_path / "out", resumable, Settings(times=times), inputs)
    assert found == [False, True, False, True]


def test_perform_when_the_stage_names_scratch_then_removed_and_not_listed(
    perform: Callable[..., Done]
) -> None:
    def run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
        (out / "checkpoints" / "5").mkdir(parents=True)
        (out / "checkpoints" / "5" / "state").write_text("big")
        (out / "scratch.txt").write_text("x")
        (out / "model").write_text("m")
        return Outcome(scratch=("checkpoints", "scratch.txt", "never-made"))

    done = perform(run=run)
    assert sorted(p.name for p in done.folder.iterdir()) == ["manifest.json", "model"]
    assert [output.path for output in done.manifest.outputs] == ["model"]
    assert perform(run=run).was_skipped


KILLED = """
import os, sys
from dataclasses import dataclass
from pathlib import Path
from edgedistill.document import Document
from edgedistill.stage import Outcome, Stage, Workspace

class Settings(Document):
    seed: int = 1

@dataclass(frozen=True)
class Inputs:
    text: Path

def run(settings, inputs, out):
    (out / "first.bin").write_bytes(b"first" * 1000)
    if "die" in sys.argv:
        (out / "second.bin").write_bytes(b"sec")
        os._exit(9)
    (out / "second.bin").write_bytes(b"second" * 1000)
    return Outcome()

stage = Stage(name="fake", version=1, run=run, is_resumable="resume" in sys.argv)
done = Workspace(Path(sys.argv[1])).perform("fake", stage, Settings(), Inputs(Path(sys.argv[2])))
print(done.was_skipped, done.folder)
"""


@pytest.mark.parametrize("resume", ["resume", "anew"])
def test_perform_when_the_process_was_killed_half_way_then_the_next_one_redoes_it_to_the_same_bytes(
    inputs: Inputs, tmp_path: Path, resume: str
) -> None:
    def process(root: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLED, str(tmp_path / root), str(inputs.text), resume, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    killed = process("run", "die")
    assert (killed.returncode, killed.stdout) == (9, "")
    assert not list((tmp_path / "run").rglob(MANIFEST_FILE))
    skipped, folder = process("run").stdout.split()
    _, untouched = process("never-killed").stdout.split()
    assert skipped == "False"
    assert sha256_of_path(Path(folder)) == sha256_of_path(Path(untouched))
    assert [p.name for p in Path(folder).parent.iterdir()] == [Path(folder).name]
    assert process("run").stdout.split()[0] == "True"


# Refusals and failures


def test_requires_when_it_refuses_then_nothing_was_done_and_nothing_lies_there(
    perform: Callable[..., Done], space: Workspace, work: Repeater
) -> None:
    def requires(settings: Settings, inputs: Inputs) -> None:
        raise DataError(f"{inputs.text}:3: no label", hint="give it one")

    with pytest.raises(DataError, match="no label"):
        perform(requires=requires)
    assert work.calls == 0
    assert not space.root.exists()


def test_requires_when_an_input_is_missing_then_it_may_say_so_in_its_own_words(
    perform: Callable[..., Done], tmp_path: Path
) -> None:
    def requires(settings: Settings, inputs: Inputs) -> None:
        if not inputs.text.exists():
            raise DataError(f"{inputs.text}: no such data file", hint="check data.train")

    missing = Inputs(text=tmp_path / "nowhere.txt")
    with pytest.raises(DataError, match="no such data file"):
        perform(read=missing, requires=requires)
    with pytest.raises(ArtifactError, match=r"nowhere\.txt: no such file"):
        perform(read=missing)


@pytest.mark.parametrize("is_resumable", [False, True])
def test_ensures_when_it_refuses_then_no_finished_folder(
    perform: Callable[..., Done], space: Workspace, work: Repeater, is_resumable: bool
) -> None:
    def ensures(out: Path) -> None:
        raise ParityError("other answers", hint="look")

    with pytest.raises(ParityError, match="other answers"):
        perform(ensures=ensures, is_resumable=is_resumable)
    assert finished_folders(space) == []


@pytest.mark.parametrize(
    ("failure", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the quota is used up"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only"),
        (PermissionError(errno.EACCES, "Permission denied"), "may not be written"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full"),
    ],
)
def test_perform_when_the_disk_refuses_then_one_storage_error_with_a_hint(
    perform: Callable[..., Done], space: Workspace, failure: Exception, says: str
) -> None:
    with pytest.raises(StorageError, match=says) as caught:
        perform(run=failing(failure))
    assert str(space.root) in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 2
    assert finished_folders(space) == []
    assert not perform().was_skipped


def test_perform_when_a_library_wraps_the_full_disk_then_still_a_storage_error(perform: Callable[..., Done]) -> None:
    wrapped = RuntimeError("could not save")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(StorageError, match="the disk is full"):
        perform(run=failing(wrapped))


@pytest.mark.parametrize(("free", "raised"), [(0, StorageError), (2**40, RuntimeError)])
def test_perform_when_torch_cannot_write_then_the_disk_is_blamed_only_if_it_is_full(
    free: int, raised: type[Exception], perform: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    failure = RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 704 vs 598")
    with pytest.raises(raised):
        perform(run=failing(failure))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_perform_when_the_device_really_is_full_then_a_storage_error(perform: Callable[..., Done]) -> None:
    def run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
        Path("/dev/full").write_text("x")
        return Outcome()

    with pytest.raises(StorageError, match="the disk is full"):
        perform(run=run)


@pytest.mark.parametrize("failure", [ValueError("a bug"), OSError(errno.EIO, "broken disk"), KeyboardInterrupt()])
def test_perform_when_anything_else_goes_wrong_then_it_passes_through_and_nothing_looks_done(
    perform: Callable[..., Done], space: Workspace, failure: BaseException
) -> None:
    with pytest.raises(type(failure)) as caught:
        perform(run=failing(failure))
    assert caught.value is failure
    assert finished_folders(space) == []
    assert not perform().was_skipped


def test_perform_when_the_stage_refuses_while_it_handles_a_disk_error_then_its_own_words_count(
    perform: Callable[..., Done]
) -> None:
    def run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
        try:
            raise PermissionError(errno.EACCES, "Permission denied")
        except PermissionError:
            raise DataError("the data may not be read", hint="chmod +r data") from None

    with pytest.raises(DataError, match="may not be read"):
        perform(run=run)


def test_perform_when_a_file_stands_in_the_way_then_a_storage_error(
    stage: Stage[Settings, Inputs], inputs: Inputs
) -> None:
    with pytest.raises(StorageError, match="a file stands where a folder is needed"):
        Workspace(inputs.text / "run").perform("repeat", stage, Settings(), inputs)


# A stage alone


def test_perform_in_when_new_empty_or_done_before_then_the_folder_itself_is_the_result(
    space: Workspace, stage: Stage[Settings, Inputs], inputs: Inputs, work: Repeater, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    first = space.perform_in(out, stage, Settings(), inputs)
    assert (first.folder, first.manifest.step) == (out, "repeat")
    assert (out / "sub" / "result.txt").read_text() == "abab"
    assert space.perform_in(out, stage, Settings(), inputs).was_skipped
    again = space.perform_in(out, stage, Settings(times=3), inputs)
    assert not again.was_skipped
    assert (out / "sub" / "result.txt").read_text() == "ababab"
    assert work.calls == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["input.txt", "out"]


def test_perform_in_when_the_folder_holds_something_else_then_refused_and_untouched(
    space: Workspace, stage: Stage[Settings, Inputs], inputs: Inputs, work: Repeater, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    for folder in (out, out / "thesis.txt"):
        with pytest.raises(StorageError) as caught:
            space.perform_in(folder, stage, Settings(), inputs)
        assert caught.value.hint == "choose another folder with -o DIR"
    assert (out / "thesis.txt").read_text() == "mine"
    assert work.calls == 0


def test_perform_in_when_the_folder_is_of_another_stage_or_an_input_then_refused_and_untouched(
    space: Workspace, stage: Stage[Settings, Inputs], inputs: Inputs, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    space.perform_in(out, stage, Settings(), inputs)
    before = sha256_of_path(out)
    with pytest.raises(StorageError, match="holds the result of `edgedistill repeat`"):
        space.perform_in(out, replace(stage, name="other"), Settings(), inputs)
    for read in (replace(inputs, maybe=out), replace(inputs, more={"x": out / "log.txt"})):
        with pytest.raises(StorageError, match="cannot be made from itself"):
            space.perform_in(out, stage, Settings(), read)
    assert sha256_of_path(out) == before


# Small parts


def test_input_paths_when_fields_are_paths_mappings_or_none_then_by_name(tmp_path: Path) -> None:
    read = Inputs(text=tmp_path / "a", more={"x": tmp_path / "b", "y": tmp_path / "c"})
    assert input_paths(read) == {"text": tmp_path / "a", "more.x": tmp_path / "b", "more.y": tmp_path / "c"}


def test_write_text_durably_when_there_is_an_old_file_then_replaced_and_nothing_else_left(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    for text in ("old", "größer"):
        write_text_durably(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_manifest_when_read_from_the_folder_then_what_perform_returned(perform: Callable[..., Done]) -> None:
    done = perform()
    assert Manifest.read_json(done.folder / MANIFEST_FILE) == done.manifest


def test_perform_in_when_the_manifest_is_another_programs_then_refused_and_untouched(
    space: Workspace, stage: Stage[Settings, Inputs], inputs: Inputs, tmp_path: Path
) -> None:
    web = tmp_path / "web"
    web.mkdir()
    (web / "manifest.json").write_text('{"name": "a web app"}')
    (web / "index.html").write_text("mine")
    with pytest.raises(StorageError):
        space.perform_in(web, stage, Settings(), inputs)
    assert (web / "index.html").read_text() == "mine"


def test_perform_in_when_the_folder_is_the_current_one_and_empty_then_no_traceback(
    stage: Stage[Settings, Inputs], inputs: Inputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    try:
        Workspace(Path(".")).perform_in(Path("."), stage, Settings(), inputs)
    except StorageError as refused:
        assert refused.hint


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), TypeError("a bug")])
def test_perform_when_it_fails_while_a_handled_disk_error_is_around_then_it_passes_through(
    perform: Callable[..., Done], failure: BaseException
) -> None:
    def run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
        try:
            raise PermissionError(errno.EACCES, "Permission denied")
        except PermissionError:
            raise failure

    with pytest.raises(type(failure)):
        perform(run=run)


def test_perform_when_a_file_elsewhere_may_not_be_read_then_that_file_is_named(perform: Callable[..., Done]) -> None:
    with pytest.raises(StorageError, match="/home/me/vocab.txt"):
        perform(run=failing(PermissionError(errno.EACCES, "Permission denied", "/home/me/vocab.txt")))


def test_input_paths_when_a_field_is_neither_path_mapping_nor_none_then_refused() -> None:
    @dataclass(frozen=True)
    class Several:
        files: tuple[Path, ...]

    with pytest.raises(TypeError):
        input_paths(Several((Path("a"),)))


def stopped_at(name: str, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Stand for a kill in one of the runner's functions."""

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"edgedistill.stage.{name}", stop)
    return monkeypatch


def with_scratch(run: Repeater) -> Callable[[Settings, Inputs, Path], Outcome]:
    def work(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
        (out / "checkpoints" / "one").mkdir(parents=True, exist_ok=True)
        (out / "checkpoints" / "one" / "weights").write_text("half way")
        (out / "sub").mkdir(exist_ok=True)
        run.outs.append(out)
        (out / "sub" / "result.txt").write_text("whole")
        return Outcome(scratch=("checkpoints",))

    return work


@pytest.mark.parametrize("killed_in", ["_manifest", "write_text_durably"])
def test_perform_when_killed_after_the_work_and_before_its_manifest_then_the_checkpoints_are_still_there(
    killed_in: str, perform: Callable[..., Done], space: Workspace, work: Repeater, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stopped_at(killed_in, patch)
        perform(run=with_scratch(work), is_resumable=True)
    (partial,) = space.root.rglob("*.partial")
    assert (partial / "checkpoints" / "one" / "weights").is_file()
    done = perform(run=with_scratch(work), is_resumable=True)
    assert work.outs == [partial, partial]
    assert sorted(path.name for path in done.folder.iterdir()) == ["manifest.json", "sub"]
    assert [artifact.path for artifact in done.manifest.outputs] == ["sub/result.txt"]


def test_perform_when_killed_between_its_manifest_and_its_name_then_the_result_is_taken_as_it_is(
    perform: Callable[..., Done], work: Repeater, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stopped_at("_make_real", patch)
        perform(run=with_scratch(work), is_resumable=True)
    done = perform(run=with_scratch(work), is_resumable=True)
    assert (done.was_skipped, work.calls) == (True, 1)
    assert sorted(path.name for path in done.folder.iterdir()) == ["manifest.json", "sub"]
    assert perform(run=with_scratch(work), is_resumable=True).manifest == done.manifest


def test_perform_in_when_a_stranger_lies_where_it_would_work_then_refused_and_kept(
    space: Workspace, stage: Stage[Settings, Inputs], inputs: Inputs, tmp_path: Path
) -> None:
    (tmp_path / "mine.partial").mkdir()
    (tmp_path / "mine.partial" / "letter.txt").write_text("dear")
    with pytest.raises(StorageError, match=r"mine\.partial: is in the way"):
        space.perform_in(tmp_path / "mine", stage, Settings(), inputs)
    assert (tmp_path / "mine.partial" / "letter.txt").read_text() == "dear"


def test_perform_in_when_another_process_is_making_the_folder_then_refused(
    space: Workspace, inputs: Inputs, tmp_path: Path, work: Repeater
) -> None:
    def run(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
        with pytest.raises(StorageError, match="another edgedistill is making it"):  # while the first is at work
            Workspace(space.root).perform_in(tmp_path / "mine", Stage(name="repeat", version=1, run=work), Settings(), inputs)
        return work(settings, inputs, out)

    done = space.perform_in(tmp_path / "mine", Stage(name="repeat", version=1, run=run), Settings(), inputs)
    assert (done.was_skipped, work.calls) == (False, 1)
    assert space.perform_in(tmp_path / "mine", Stage(name="repeat", version=1, run=run), Settings(), inputs).was_skipped


def test_perform_when_killed_while_its_manifest_is_written_then_what_is_left_of_it_is_no_output(
    perform: Callable[..., Done], space: Workspace, work: Repeater, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stopped_at("write_text_durably", patch)
        perform(run=with_scratch(work), is_resumable=True)
    (partial,) = space.root.rglob("*.partial")
    (partial / "manifest.json.tmp").write_text("{")  # as a kill within it leaves it
    (partial / "manifest.json").write_text("{}")
    done = perform(run=with_scratch(work), is_resumable=True)
    assert [artifact.path for artifact in done.manifest.outputs] == ["sub/result.txt"]
    assert perform(run=with_scratch(work), is_resumable=True).was_skipped


def test_remove_partial_when_killed_half_way_then_what_is_left_is_still_known_as_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = tmp_path / "out.partial"
    (partial / "checkpoints").mkdir(parents=True)
    (partial / ".key").write_text("abc")

    def stop(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("edgedistill.result_folder.remove", stop)
        remove_partial(partial)
    assert (partial / ".key").is_file()
    remove_partial(partial)
    assert not partial.exists()


def doubting(settings: Settings, inputs: Inputs, out: Path) -> Outcome:
    return Outcome(decisions=(warned(Decision(step="repeat", what="two texts are cut", why="they are long")),
                              Decision(step="repeat", what="repeated", why="it was asked for")))


def test_perform_when_done_before_then_its_warnings_are_given_again_and_its_other_decisions_not(
    perform: Callable[..., Done], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "edgedistill"):
            done = perform(run=doubting)
        assert caplog.messages == ["repeat: two texts are cut (they are long)"]
    assert done.was_skipped


def test_perform_when_a_step_is_found_done_twice_in_a_process_then_warns_once(
    space: Workspace, stage: Stage[Settings, Inputs], inputs: Inputs, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "edgedistill"):
        for _ in range(3):
            space.perform("repeat", replace(stage, run=doubting), Settings(), inputs)
        assert len(caplog.messages) == 1
        later = Workspace(space.root)
        for _ in range(2):
            later.perform("repeat", replace(stage, run=doubting), Settings(), inputs)
    assert len(caplog.messages) == 2
