"""neural-compressor's loop over our candidates."""

import pytest

from edgedistill.quantize.candidates import Candidate
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.tuning import tune

CANDIDATES = [Candidate(parse_scheme("dynamic_wi8_afp32"), excluded=tuple("abc"[:n])) for n in range(4)]
SCORES = dict(zip(CANDIDATES, (0.80, 0.85, 0.894, 0.95), strict=True))


def tried(*, tolerable_loss: float, max_trials: int = 10, time_limit_s: float = 100.0) -> tuple[bool, list[Candidate]]:
    seen: list[Candidate] = []

    def score(candidate: Candidate) -> float:
        seen.append(candidate)
        return SCORES[candidate]

    reached = tune(CANDIDATES, score, baseline=0.9, tolerable_loss=tolerable_loss, max_trials=max_trials, time_limit_s=time_limit_s)
    return reached, seen


@pytest.mark.parametrize(("loss", "expected"), [(0.2, 1), (0.06, 2), (0.01, 3), (0.0, 4)])
def test_tune_stops_at_the_first_candidate_whose_loss_is_tolerable(loss: float, expected: int) -> None:
    assert tried(tolerable_loss=loss) == (True, CANDIDATES[:expected])


def test_tune_that_never_gets_there_says_so_after_all_trials() -> None:
    assert tried(tolerable_loss=-0.2) == (False, CANDIDATES)
    assert tried(tolerable_loss=0.0, max_trials=2) == (False, CANDIDATES[:2])


def test_tune_starts_no_further_candidate_when_the_time_is_over() -> None:
    assert tried(tolerable_loss=0.0, time_limit_s=-1.0) == (False, CANDIDATES[:1])
