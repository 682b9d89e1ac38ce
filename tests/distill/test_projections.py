"""The projections' first values: orthogonal, or the least squares that numpy finds."""

import numpy as np
import pytest
import torch

from edgedistill.distill.projections import LeastSquares, make_projections


def test_make_projections_are_orthogonal_two_different_ones_and_the_seeds() -> None:
    first, second, other = (make_projections(3, 5, seed=seed) for seed in (1, 1, 2))
    for name in ("embedding", "layers"):
        torch.testing.assert_close(first[name] @ first[name].T, torch.eye(3))
        assert torch.equal(first[name], second[name])
        assert not torch.equal(first[name], other[name])
    assert not torch.equal(first["embedding"], first["layers"])


def test_least_squares_over_several_parts_is_what_numpy_finds_over_all() -> None:
    random = np.random.default_rng(0)
    source, target = random.normal(size=(60, 3)), random.normal(size=(60, 5))
    sums = LeastSquares()
    for part in (slice(0, 10), slice(10, 60)):
        sums.add("layers", torch.tensor(source[part]), torch.tensor(target[part]))
    found = sums.solve()
    assert set(found) == {"layers"}
    np.testing.assert_allclose(found["layers"].numpy(), np.linalg.lstsq(source, target, rcond=None)[0], atol=1e-3)


def test_least_squares_of_fewer_tokens_than_channels_stays_finite_and_fits() -> None:
    source, target = torch.eye(2, 4), torch.tensor([[1.0, 2], [3, 4]])
    sums = LeastSquares()
    sums.add("layers", source, target)
    assert (source @ sums.solve()["layers"] - target).abs().max() < 1e-3


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_least_squares_does_not_depend_on_the_scale_of_the_states(scale: float) -> None:
    source, target = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), torch.ones(50, 2)
    found = []
    for factor in (1.0, scale):
        sums = LeastSquares()
        sums.add("layers", source * factor, target)
        found.append(sums.solve()["layers"] * factor)
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-5)
