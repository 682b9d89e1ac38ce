"""The contract of a stage, and the runner that makes it resumable.

A stage is one function `run(settings, inputs, out) -> Outcome`. The runner computes its key *before* the work, lets it
write into `<key>.partial/`, writes the manifest last, and makes the result real with one `os.replace`.
"""

import dataclasses
import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgedistill.artifact import describe, files_below, sha256_of_path
from edgedistill.crew import run_stage
from edgedistill.document import Document
from edgedistill.errors import ArtifactError
from edgedistill.host import this_host, tool_version
from edgedistill.manifest import MANIFEST_FILE, Decision, GivenWarning, Manifest, read_valid_manifest, warned
from edgedistill.orders import Call
from edgedistill.result_folder import KEY_FILE, alone_in, partial_of, remove, remove_partial, require_own
from edgedistill.storage import storage_errors

log = logging.getLogger("edgedistill")


SettingsT = TypeVar("SettingsT", bound=Document)
InputsT = TypeVar("InputsT")


@dataclass(frozen=True)
class Outcome:
    """What a stage returns: why it did what it did. Its files are what it wrote below `out`.

    `scratch` names files or folders below `out` that were needed only on the way (checkpoints): the runner removes
    them.
    """

    decisions: tuple[Decision, ...] = ()
    scratch: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage(Generic[SettingsT, InputsT]):
    """A verb of the pipeline.

    Attributes:
        name: the verb's folder.
        version: raised when the same settings and inputs would give another result.
        run: does the work; reads only its arguments, writes only below `out`.
        requires: raises an `EdgedistillError` before any work when `run` could not succeed.
        ensures: raises an `EdgedistillError` when the files below `out` are not what the stage promises.
        tools: packages whose version changes the result; part of the key.
        is_resumable: may `run` find and continue its own half-done work below `out`?
        is_shared: do all processes of a launch run it together (see `processes.Group`)? Others only the main one runs.
    """

    name: str
    version: int
    run: Callable[[SettingsT, InputsT, Path], Outcome]
    tools: tuple[str, ...] = ()
    requires: Callable[[SettingsT, InputsT], None] = lambda settings, inputs: None
    ensures: Callable[[Path], None] = lambda out: None
    is_resumable: bool = False
    is_shared: bool = False


@dataclass(frozen=True)
class Work:
    """A stage with what it is to be done on."""

    stage: Stage[Any, Any]
    settings: Document
    inputs: Any


@dataclass(frozen=True)
class Done:
    """A finished step: its folder, its manifest, and whether it was found finished."""

    folder: Path
    manifest: Manifest
    was_skipped: bool


def tell_kept(done: Done) -> None:
    """Say that nothing was measured where the same was measured before: neither load nor governor tells two times apart."""
    if done.was_skipped:
        when = f"{done.manifest.started:%Y-%m-%d %H:%M}"
        log.warning("%s: measured before, on %s; delete it to measure again", done.folder, when)


@dataclass(frozen=True)
class _Job:
    """A step that is about to be done, with its key and what the key was made from."""

    step: str
    stage: Stage[Any, Any]
    settings: Document
    inputs: Any
    parts: dict[str, Any]
    key: str


@dataclass(frozen=True)
class Workspace:
    """Where the steps of a run keep their results (`.stages/`), and who is told about them.

    A step that is found done gives those of its decisions again that are warnings, each once a process.

    Attributes:
        root: the folder; step `s` with key `k` lives in `root/s/k`.
        on_step: called with (step, "skipped" | "started" | "done", seconds).
    """

    root: Path
    on_step: Callable[[str, str, float], None] = lambda step, state, seconds: None
    _hashes: dict[tuple[str, int, int], str] = field(default_factory=dict, repr=False, compare=False)
    _warnings: set[Decision] = field(default_factory=set, repr=False, compare=False)

    def perform(
        self, step: str, stage: Stage[SettingsT, InputsT], settings: SettingsT, inputs: InputsT
    ) -> Done:
        """Do a step below `root/step/key`, or find it done.

        Args:
            step: the step's name in this run; two steps may share a stage.
            stage: what to do.
            settings: all that the stage may know besides its inputs.
            inputs: a frozen dataclass whose fields are paths, mappings of paths, or None.

        Raises:
            EdgedistillError: whatever `requires`, `run` or `ensures` refuse with.
            StorageError: the folder is read-only or the disk is full.
        """
        job = self._job(step, stage, settings, inputs)
        return self._do(job, self.root / step / job.key)

    def do(self, step: str, work: Work) -> Done:
        """Do a step as `perform` does."""
        return self.perform(step, work.stage, work.settings, work.inputs)

    def do_in(self, folder: Path, work: Work) -> Done:
        """Do a stage alone as `perform_in` does."""
        return self.perform_in(folder, work.stage, work.settings, work.inputs)

    def key_of(self, stage: Stage[SettingsT, InputsT], settings: SettingsT, inputs: InputsT) -> str:
        """Return the key under which a step's result would lie, without doing anything."""
        return self._job(stage.name, stage, settings, inputs).key

    def perform_in(
        self, folder: Path, stage: Stage[SettingsT, InputsT], settings: SettingsT, inputs: InputsT
    ) -> Done:
        """Do a stage alone, with `folder` as its result, or find it done there.

        Raises:
            StorageError: the folder holds something else than an earlier result of this stage, is one of the inputs, or is
                being made by another process of this machine.
            EdgedistillError: see `perform`.
        """
        folder = folder.resolve()
        require_own(folder, stage.name, input_paths(inputs).values())
        job = self._job(stage.name, stage, settings, inputs)
        with alone_in(folder):
            return self._do(job, folder)

    def _job(self, step: str, stage: Stage[Any, Any], settings: Document, inputs: Any) -> "_Job":
        try:
            parts = self._key_parts(stage, settings, inputs)
        except ArtifactError:
            stage.requires(settings, inputs)  # says better what is missing
            raise
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
        return _Job(step, stage, settings, inputs, parts, key)

    def _do(self, job: "_Job", folder: Path) -> Done:
        manifest = read_valid_manifest(folder)
        if manifest is None or manifest.key != job.key:
            with storage_errors(self.root):
                manifest = _take_up(folder, job.key)
        if manifest is not None:
            self.on_step(job.step, "skipped", 0.0)
            self._warn_again(manifest)
            return Done(folder, manifest, was_skipped=True)
        job.stage.requires(job.settings, job.inputs)
        self.on_step(job.step, "started", 0.0)
        started, clock = datetime.now(UTC), time.perf_counter()
        with storage_errors(self.root):
            partial = _fresh_partial(folder, job.key, keep=job.stage.is_resumable)
            try:
                outcome: Outcome = run_stage(Call(job.stage, job.settings, job.inputs, partial))
                job.stage.ensures(partial)
            except BaseException:
                if not job.stage.is_resumable:  # half-done work that nobody can continue
                    with suppress(OSError):
                        remove_partial(partial)
                raise
            seconds = time.perf_counter() - clock
            manifest = _manifest(job, outcome, partial, started, seconds)
            _commit(partial, folder, manifest)
        self._warnings.update(manifest.decisions)
        self.on_step(job.step, "done", seconds)
        return Done(folder, manifest, was_skipped=False)

    def _warn_again(self, manifest: Manifest) -> None:
        """Give the warnings of a step that was done before; not those that this process has given."""
        for decision in manifest.decisions:
            if isinstance(decision, GivenWarning) and decision not in self._warnings:
                self._warnings.add(warned(decision))

    def _key_parts(self, stage: Stage[Any, Any], settings: Document, inputs: Any) -> dict[str, Any]:
        return {
            "stage": stage.name,
            "version": stage.version,
            "settings": settings.model_dump(mode="json"),
            "inputs": {name: self._hash(path) for name, path in input_paths(inputs).items()},
            "tools": {name: tool_version(name) or "absent" for name in stage.tools},
        }

    def _hash(self, path: Path) -> str:
        """Hash a file once a process, as long as its size and time of change stay the same."""
        if path.is_dir():
            return sha256_of_path(path)
        stat = path.stat() if path.is_file() else None
        if stat is None:
            return sha256_of_path(path)
        memo = (str(path), stat.st_mtime_ns, stat.st_size)
        if memo not in self._hashes:
            self._hashes[memo] = sha256_of_path(path)
        return self._hashes[memo]


def input_paths(inputs: Any) -> Mapping[str, Path]:
    """Return the paths in a stage's inputs by field name; a field may hold a path, a mapping of paths, or None."""
    found: dict[str, Path] = {}
    for item in dataclasses.fields(inputs):
        value = getattr(inputs, item.name)
        if isinstance(value, Path):
            found[item.name] = value
        elif isinstance(value, Mapping):
            found |= {f"{item.name}.{name}": path for name, path in value.items()}
        elif value is not None:
            raise TypeError(f"{type(inputs).__name__}.{item.name} is neither a path, nor a mapping of paths, nor None")
    return found


def _take_up(folder: Path, key: str) -> Manifest | None:
    """Make a result real that was whole when its process ended, before it got its name; None where there is none."""
    partial = partial_of(folder)
    manifest = read_valid_manifest(partial)
    if manifest is None or manifest.key != key:
        return None
    _make_real(partial, folder, manifest)
    return manifest


def _fresh_partial(folder: Path, key: str, *, keep: bool) -> Path:
    """Return the folder to work in; half-done work is kept if the stage can continue it and its key is the same."""
    partial = partial_of(folder)
    mark = partial / KEY_FILE
    if not (keep and mark.is_file() and mark.read_text(encoding="utf-8") == key):
        remove_partial(partial)
    for name in (MANIFEST_FILE, f"{MANIFEST_FILE}.tmp"):  # of a process that ended while it wrote it
        (partial / name).unlink(missing_ok=True)
    partial.mkdir(parents=True, exist_ok=True)
    mark.write_text(key, encoding="utf-8")
    return partial


def _manifest(job: _Job, outcome: Outcome, partial: Path, started: datetime, seconds: float) -> Manifest:
    return Manifest(
        step=job.step,
        stage=job.stage.name,
        stage_version=job.stage.version,
        key=job.key,
        settings_json=job.settings.model_dump_json(),
        inputs=job.parts["inputs"],
        outputs=tuple(describe(f, root=partial) for f in files_below(partial) if not _is_scratch(f, partial, outcome)),
        decisions=outcome.decisions,
        tools=job.parts["tools"],
        host=this_host(),
        started=started,
        duration_s=round(seconds, 3),
    )


def _is_scratch(file: Path, partial: Path, outcome: Outcome) -> bool:
    """Is a file needed only while the stage runs?"""
    own = file.relative_to(partial)
    return any(Path(name) in (own, *own.parents) for name in (*outcome.scratch, KEY_FILE))


def _commit(partial: Path, folder: Path, manifest: Manifest) -> None:
    """Write the manifest, then make the folder real; a kill in between loses nothing (`_take_up`)."""
    write_text_durably(partial / MANIFEST_FILE, manifest.to_json())
    _make_real(partial, folder, manifest)


def _make_real(partial: Path, folder: Path, manifest: Manifest) -> None:
    """Remove what the manifest does not list, and give the folder its name with one rename; an older result gives way."""
    listed = {partial / artifact.path for artifact in manifest.outputs} | {partial / MANIFEST_FILE}
    needed = {parent for file in listed for parent in file.parents}
    for path in sorted(partial.rglob("*"), reverse=True):  # what is in a folder before the folder
        if path not in listed and path not in needed:
            remove(path)
    if folder.exists():
        remove(folder)
    os.replace(partial, folder)


def write_text_durably(path: Path, text: str) -> None:
    """Write a file so that it is either absent, old or whole: temporary file, fsync, rename."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
