"""Which layer learns from which."""

import pytest

from edgedistill.distill.losses.layers import LayerPair, pair_layers


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        (4, 12, [3, 6, 9, 12]),  # TinyBERT's own: g(m) = 3 m
        (6, 12, [2, 4, 6, 8, 10, 12]),  # g(m) = 2 m
        (2, 6, [3, 6]),
        (1, 6, [6]),
        (4, 6, [2, 3, 5, 6]),  # 1.5, 3, 4.5, 6
        (3, 3, [1, 2, 3]),
        (4, 2, [1, 1, 2, 2]),  # 0.5, 1, 1.5, 2
    ],
)
def test_pair_layers_evenly_gives_every_layer_its_share_and_last_to_last(
    student: int, teacher: int, expected: list[int]
) -> None:
    pairs = pair_layers("evenly-spaced", student, teacher)
    assert [pair.student for pair in pairs] == list(range(1, student + 1))
    assert [pair.teacher for pair in pairs] == expected


@pytest.mark.parametrize(("student", "teacher"), [(2, 6), (6, 6), (1, 12)])
def test_pair_layers_last_pairs_only_the_last(student: int, teacher: int) -> None:
    assert pair_layers("last", student, teacher) == (LayerPair(student, teacher),)
