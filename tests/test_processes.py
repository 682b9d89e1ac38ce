"""Which of several processes this one is; the group of one; how batches are dealt out."""

import subprocess
import sys

import numpy as np
import pytest

from edgedistill.errors import UsageError
from edgedistill.processes import ALONE, Group, Seat, current_group, is_launched_alone, read_seat, share_of, working_in

TORCHRUN = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "node0", "MASTER_PORT": "1234",
            "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "2"}
OPEN_MPI = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "0",
            "MASTER_ADDR": "10.0.0.1"}


class Third(Group):
    rank = 2
    size = 3


def test_seat_when_nothing_was_launched_then_the_only_one() -> None:
    assert read_seat({}) == Seat(rank=0, size=1)
    assert read_seat({"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "node0"}) == Seat()


def test_seat_when_torchrun_started_it_then_what_its_variables_say() -> None:
    seat = read_seat(TORCHRUN)
    assert seat == Seat(rank=3, size=4, local_rank=1, address="node0", port=1234, is_served_by_launcher=True, attempt=2)
    assert not seat.is_main


def test_seat_when_open_mpi_started_it_then_what_its_variables_say() -> None:
    assert read_seat(OPEN_MPI) == Seat(rank=1, size=2, local_rank=0, address="10.0.0.1", port=29500)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"RANK": "4"}, "RANK is 4, but WORLD_SIZE is 4"),
        ({"RANK": ""}, "RANK is not set"),
        ({"WORLD_SIZE": "many"}, "WORLD_SIZE is 'many', not a number"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR does not say"),
        ({"MASTER_PORT": "-1"}, "MASTER_PORT is '-1'"),
    ],
)
def test_seat_when_the_variables_make_no_sense_then_one_error(changes: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        read_seat(TORCHRUN | changes)
    assert "accelerate launch" in caught.value.hint


def test_launched_alone_when_accelerate_started_one_of_several_then_true() -> None:
    one_of_two = {"ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1"}
    assert is_launched_alone(one_of_two)
    assert not is_launched_alone(one_of_two | {"WORLD_SIZE": "2"})
    assert not is_launched_alone({"ACCELERATE_MIXED_PRECISION": "no"})  # one was asked for
    assert not is_launched_alone({"MASTER_ADDR": "a cluster sets it everywhere"})


def test_group_of_one_then_does_all_itself() -> None:
    rows = np.array([[-0.0, np.nan]], np.float32)
    assert (ALONE.rank, ALONE.size, ALONE.is_main) == (0, 1, True)
    assert ALONE.on_main(lambda: "done") == "done"
    assert ALONE.share("text") == "text"
    assert ALONE.merge(rows) is rows
    ALONE.wait()


def test_current_group_when_a_stage_is_shared_then_that_group_and_afterwards_none() -> None:
    assert current_group() is ALONE
    with pytest.raises(KeyError), working_in(Third()):
        assert current_group().size == 3
        raise KeyError
    assert current_group() is ALONE


def test_share_of_when_batches_are_dealt_then_each_goes_to_one_process() -> None:
    class Member(Group):
        size = 3

        def __init__(self, rank: int) -> None:
            self.rank = rank

    dealt = [[index for index in range(8) if share_of(index, Member(rank))] for rank in range(3)]
    assert dealt == [[0, 3, 6], [1, 4, 7], [2, 5]]


def test_kernel_of_processes_when_imported_then_without_torch() -> None:
    code = "import sys, edgedistill.crew, edgedistill.orders, edgedistill.stage; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"
