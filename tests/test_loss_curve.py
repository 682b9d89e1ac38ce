"""The terms of a loss over the steps, counted by hand."""

import pytest
import torch

from edgedistill.loss_curve import TermMeans, terms_of
from edgedistill.objective import LossTerms
from edgedistill.processes import Group, current_group


def terms(hard: float, labelled: int, soft: float) -> LossTerms:
    return LossTerms(torch.tensor(hard), torch.tensor(labelled), torch.tensor(soft))


@pytest.fixture
def group() -> Group:
    return current_group()


def test_means_when_batches_differ_in_size_weigh_every_row_alike(group: Group) -> None:
    means = TermMeans()
    means.add(terms(6.0, 3, 2.0), 4)
    means.add(terms(2.0, 1, 5.0), 2)
    # hard: (6 + 2) / 4 labelled rows; soft: (2 * 4 + 5 * 2) / 6 rows
    assert means.take(group) == pytest.approx({"hard_loss": 2.0, "soft_loss": 3.0})


def test_means_when_taken_begin_anew(group: Group) -> None:
    means = TermMeans()
    means.add(terms(6.0, 3, 2.0), 4)
    means.take(group)
    means.add(terms(1.0, 1, 1.0), 1)
    assert means.take(group, prefix="eval_") == pytest.approx({"eval_hard_loss": 1.0, "eval_soft_loss": 1.0})


def test_means_when_no_row_has_a_label_leave_the_hard_loss_out(group: Group) -> None:
    means = TermMeans()
    means.add(terms(0.0, 0, 2.0), 4)
    assert means.take(group) == {"soft_loss": 2.0}


def test_terms_of_when_a_log_lacks_them_are_none() -> None:
    assert terms_of({"eval_soft_loss": 0.5}) == {
        "hard_loss": None, "soft_loss": None, "validation_hard_loss": None, "validation_soft_loss": 0.5}
