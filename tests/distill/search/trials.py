"""Made-up trials for the tests of the search."""

from typing import Any

import numpy as np

from edgedistill.distill.search.choice import pack_rows
from edgedistill.distill.search.trial import Diagnosis, Rung, Trial, TrialOutcome, TrialSettings

RUNGS = tuple(Rung(f"r{i}", (i + 1) * 1_000_000, (i + 1) * 1e-3, 1000 * (i + 1)) for i in range(7))
BASE = TrialSettings(rung="r6", temperature=2.0, alpha=0.9, learning_rate=1e-3, batch_size=64, rows_seen=50_000,
                     transfer_rows=24_000, transfer_words=300_000, transfer_copies=12, scheme="auto")


def outcome(*, shortfall: float, accuracy: float = 0.9, finding: str = "does-not-fit", **changes: Any) -> TrialOutcome:
    """What came of a trial; one that keeps the goal has no finding."""
    content: dict[str, Any] = {
        "state": "done", "parameters": 1, "int8_bytes": 1, "float_accuracy": accuracy, "int8_accuracy": accuracy,
        "teacher_accuracy": 0.95, "shortfall": shortfall, "is_within_size": True, "duration_s": 10.0,
        "scheme_used": "dynamic_wi8_afp32",
        "diagnosis": Diagnosis(finding="none" if shortfall <= 0 else finding, text="says so"),  # type: ignore[arg-type]
    }
    return TrialOutcome.model_validate(content | changes)


def trial(number: int, settings: TrialSettings | str, result: TrialOutcome | None = None, *, run_id: str = "") -> Trial:
    """A trial of a rung with the recipe's settings, or of settings."""
    own = BASE.model_copy(update={"rung": settings}) if isinstance(settings, str) else settings
    return Trial(number, own, "a test says so", run_id, "here", "/nowhere", outcome=result)


def right_on(rows: str) -> str:
    """Pack a string of 1 and 0, one a validation row."""
    return pack_rows(np.array([mark == "1" for mark in rows]))
