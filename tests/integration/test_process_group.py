"""What the processes of a group do for each other, each checked in two real processes."""

import textwrap

import pytest

from .launched import ended, launch

pytestmark = pytest.mark.timeout(900)

MEMBER = """
import os
import numpy as np
import torch
from edgedistill.process_group import Board, TorchGroup, leave_group
from edgedistill.processes import read_seat
from edgedistill.shared_training import average_gradients, start_alike, validate

seat = read_seat(os.environ)
board = Board(seat, may_host=True)
group = TorchGroup(seat, board)
rank, size = group.rank, group.size
"""

CHECKS = """
# on_main: done once, its result in the main process only
assert group.on_main(lambda: rank) == (0 if rank == 0 else None)

# share: the main process's text, again and again
assert [group.share(f"{rank} says {turn}") for turn in "ab"] == ["0 says a", "0 says b"]
assert group.share("") == ""

# merge: every bit as it was, -0.0 and NaN too
special = np.array([[-0.0, np.nan], [1.5, -np.inf], [3e-42, 2.0]], np.float32)
mine = np.zeros_like(special)
mine[rank::size] = special[rank::size]
merged = group.merge(mine)
if group.is_main:
    assert merged.tobytes() == special.tobytes()

# parameters beside the model start alike and get the average gradient, also where one process has none
weight = torch.nn.Parameter(torch.full((2,), float(rank + 1)))
start_alike([weight])
assert weight.tolist() == [1.0, 1.0]
if rank == 0:
    weight.grad = torch.tensor([2.0, 6.0])
average_gradients([weight], group)
assert weight.grad.tolist() == [1.0, 3.0], weight.grad

# validation: the figures of all batches, equal everywhere
batches = [(0.1, [[0.0, 1.0], [1.0, 0.0]], [1, 1]), (0.7, [[0.0, 1.0]], [1]), (0.3, [[2.0, 1.0]], [0])]
def predict(batch):
    return torch.tensor(batch[0]), torch.tensor(batch[1]), torch.tensor(batch[2])
found = validate(batches[rank::size], predict, total=3, group=group)
assert found.losses.tolist() == np.array([0.1, 0.7, 0.3], np.float32).tolist()
assert (found.correct, found.rows) == (3, 4)

# the board: notes, counting, and waiting no longer than asked
assert board.read("never", within_s=0.2) is None
board.arrive("place", size)
assert board.read("place/all", within_s=20) == ""
group.wait()
leave_group()
"""

PORT_TAKEN = """
import os, socket
taken = socket.socket()
taken.bind(("", int(os.environ["MASTER_PORT"])))
taken.listen()
from edgedistill.errors import UsageError
from edgedistill.process_group import Board
from edgedistill.processes import read_seat
try:
    Board(read_seat(os.environ), may_host=True)
except UsageError as refused:
    assert "cannot listen at 127.0.0.1" in refused.message and "MASTER_PORT" in refused.hint
else:
    raise AssertionError("not refused")
"""


def test_group_when_two_processes_meet_then_they_agree_and_merge_to_the_bit() -> None:
    answers = ended(launch(["-c", textwrap.dedent(MEMBER + CHECKS)]))
    assert [answer.code for answer in answers] == [0, 0], answers


def test_board_when_the_port_is_taken_then_one_error_that_says_what_to_change() -> None:
    (main, other) = launch(["-c", PORT_TAKEN])
    other.kill()
    (answer,) = ended([main])
    other.communicate()
    assert answer.code == 0, answer.stderr
