"""neural-compressor's loop over ways to int8."""

from collections.abc import Iterator

import pytest

from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.tuning import Options, Terms, Way, tune

DYNAMIC, STATIC = parse_scheme("dynamic_wi8_afp32"), parse_scheme("static_wi8_ai8")
OPTIONS = (Options(DYNAMIC, ("min-max",), (0, 1, 2)), Options(STATIC, ("min-max", "entropy"), (0, 1)))
WAYS = (Way(DYNAMIC, "min-max"), Way(STATIC, "min-max"), Way(STATIC, "entropy", 1), Way(DYNAMIC, "min-max", 2))
SCORES = dict(zip(WAYS, (0.80, 0.85, 0.894, 0.95), strict=True))


def tried(*, tolerable_loss: float, plain: int = 1, trials: int = 10) -> tuple[Way, ...]:
    return tune(OPTIONS, lambda: iter(WAYS), SCORES.__getitem__, Terms(0.9, tolerable_loss, plain, trials))


def test_options_are_one_way_for_each_choice() -> None:
    assert OPTIONS[1].ways == (Way(STATIC, "min-max"), Way(STATIC, "min-max", 1), Way(STATIC, "entropy"), Way(STATIC, "entropy", 1))


@pytest.mark.parametrize(("loss", "expected"), [(0.2, 1), (0.06, 2), (0.01, 3), (0.0, 4)])
def test_tune_stops_at_the_first_way_whose_loss_is_tolerable(loss: float, expected: int) -> None:
    assert tried(tolerable_loss=loss) == WAYS[:expected]


def test_tune_judges_the_schemes_as_they_are_whatever_one_of_them_reaches() -> None:
    assert tried(tolerable_loss=0.2, plain=3) == WAYS[:3]


def test_tune_that_never_gets_there_ends_after_all_trials() -> None:
    assert tried(tolerable_loss=-0.2) == WAYS
    assert tried(tolerable_loss=0.0, trials=1) == WAYS[:2]
    assert tried(tolerable_loss=0.0, plain=2, trials=0) == WAYS[:2]


def test_tune_asks_for_the_next_way_only_when_the_one_before_was_tried() -> None:
    scored: list[Way] = []

    def order() -> Iterator[Way]:
        for number, way in enumerate(WAYS):
            assert scored == list(WAYS[:number])
            yield way

    def score(way: Way) -> float:
        scored.append(way)
        return 0.0

    assert tune(OPTIONS, order, score, Terms(0.9, 0.0, 2, 10)) == tuple(scored) == WAYS
