"""How far a scheme departs from what it is: one node after the other goes to float, then half as many again, down to the floor."""

from types import SimpleNamespace

import pytest

from edgedistill.quantize.candidates import Candidate
from edgedistill.quantize.judgement import Goal
from edgedistill.quantize.rescue import DEPARTURES, FLOAT_NODES, ROW_SCALES, Sufferer
from edgedistill.quantize.scheme_names import parse_scheme
from edgedistill.quantize.sensitivity import Noise


@pytest.fixture
def sufferer() -> Sufferer:
    """Thirty nodes of equal weight, ranked by number; a table is none of them."""
    noise = tuple(Noise(f"n{i}", float(i), float(i), is_table=False, weights=100) for i in range(30))
    court = SimpleNamespace(saturates=False, goal=Goal(0.95, 0.008, 0.2))
    made = Sufferer(court, Candidate(parse_scheme("dynamic_wi8_afp32")), noise)
    vars(made)["_ranked"] = [item.node for item in noise]
    return made


def nodes_in_float(sufferer: Sufferer) -> list[int]:
    found = [sufferer.depart("min-max", departure) for departure in DEPARTURES[ROW_SCALES + 1 :]]
    return [len(candidate.excluded) for candidate in found if candidate is not None]


def test_depart_when_no_floor_is_near_then_one_at_a_time_and_then_half_as_many_again(sufferer: Sufferer) -> None:
    # with n of 30 nodes in float, (30 - n) / (30 - n + 4 n) of the bytes stay int8: 0.27 with 12, 0.18 with 16
    assert nodes_in_float(sufferer) == [1, 2, 3, 4, 5, 6, 7, 8, 12]
    assert FLOAT_NODES[8:] == (12, 16, 24, 32, 48, 64, 96, 128)


def test_depart_when_fewer_nodes_are_left_than_a_step_takes_then_all_of_them_once(sufferer: Sufferer) -> None:
    vars(sufferer)["_ranked"] = [f"n{i}" for i in range(10)]
    assert nodes_in_float(sufferer) == [1, 2, 3, 4, 5, 6, 7, 8, 10]
