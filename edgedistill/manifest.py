"""The manifest: what a step did. It is written last, so a folder that has one is complete."""

import logging
from datetime import datetime
from pathlib import Path
from typing import Literal

from edgedistill.artifact import MANIFEST_FILE, Artifact, check
from edgedistill.document import Document
from edgedistill.errors import UsageError
from edgedistill.host import Host

__all__ = ["MANIFEST_FILE", "Decision", "GivenWarning", "Manifest", "read_valid_manifest", "warned"]

log = logging.getLogger("edgedistill")


class Decision(Document):
    """Something that was decided during a run, and why."""

    step: str
    what: str
    why: str


class GivenWarning(Decision):
    """A decision of which the user was warned at once. In a report it is one like the others."""

    is_warning: Literal[True]


def warned(decision: Decision) -> GivenWarning:
    """Warn on the terminal of what was decided; returns it marked, so that a run that finds the step done warns again."""
    log.warning("%s: %s (%s)", decision.step, decision.what, decision.why)
    return GivenWarning(step=decision.step, what=decision.what, why=decision.why, is_warning=True)


class Manifest(Document):
    """What a step did: enough to skip it, to trust it and to explain it."""

    schema_version: int = 1
    step: str
    stage: str
    stage_version: int
    key: str
    settings_json: str
    inputs: dict[str, str]
    outputs: tuple[Artifact, ...]
    decisions: tuple[GivenWarning | Decision, ...] = ()
    tools: dict[str, str]
    host: Host
    started: datetime
    duration_s: float


def read_valid_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a finished step, or None when the step must be done (again).

    A step counts as finished when its manifest reads and every output hashes to what the manifest says.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        return None
    try:
        manifest = Manifest.read_json(path)
        for artifact in manifest.outputs:
            check(artifact, root=folder)
    except UsageError:  # unreadable, not a manifest, or an output that is not what it says
        return None
    return manifest
