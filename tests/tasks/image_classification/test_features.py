"""The loss on features: zero for equal maps, maps of other sizes are pooled, a ViT's patches are a map."""

import pytest
import torch

from edgedistill.errors import TeacherError
from edgedistill.tasks.image_classification.features import as_grid, compare_maps, width_of


def test_compare_maps_when_the_projection_makes_them_equal_then_zero() -> None:
    maps = torch.randn(2, 3, 4, 4)
    assert compare_maps(maps, maps, torch.eye(3)).item() == pytest.approx(0, abs=1e-12)


def test_compare_maps_when_one_is_larger_then_its_means_count() -> None:
    large = torch.arange(16.0).reshape(1, 1, 4, 4)
    small = torch.tensor([[[[2.5, 4.5], [10.5, 12.5]]]])  # means of the four quarters, by hand
    assert compare_maps(small, large, torch.eye(1)).item() == pytest.approx(0)
    assert compare_maps(small + 2, large, torch.eye(1)).item() == pytest.approx(4)


def test_as_grid_when_tokens_of_a_vit_then_patches_without_the_class_token() -> None:
    tokens = torch.arange(10.0).reshape(1, 5, 2)
    grid = as_grid(tokens)
    assert grid.shape == (1, 2, 2, 2)
    assert grid[0, 0].flatten().tolist() == [2.0, 4.0, 6.0, 8.0]


def test_as_grid_when_tokens_are_a_square_then_all_of_them() -> None:
    grid = as_grid(torch.arange(49.0).reshape(1, 49, 1))  # a Swin has no class token
    assert grid.shape == (1, 1, 7, 7)
    assert grid.flatten().tolist() == list(range(49))


@pytest.mark.parametrize("before", [1, 2, 5])
def test_as_grid_when_tokens_stand_before_the_patches_then_left_out(before: int) -> None:
    grid = as_grid(torch.arange(before + 16.0).reshape(1, -1, 1))
    assert grid.flatten().tolist() == list(range(before, before + 16))


@pytest.mark.parametrize("shape", [(1, 42, 3), (4, 4)])
def test_as_grid_when_the_tokens_are_no_square_then_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TeacherError, match="no map"):
        as_grid(torch.zeros(shape))


def test_width_when_the_size_is_height_and_width_then_taken_as_a_side() -> None:
    from transformers import HieraConfig, HieraForImageClassification

    config = HieraConfig(embed_dim=4, image_size=[32, 32], depths=[1] * 4, num_heads=[1, 1, 2, 2], num_labels=3)
    assert width_of(HieraForImageClassification(config)) == 32


def test_width_when_the_configuration_of_the_pictures_is_inside_another_then_that_of_the_pictures() -> None:
    from transformers import CLIPConfig, CLIPForImageClassification

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(vision_config={**small, "image_size": 16, "patch_size": 8}, text_config=small, projection_dim=8, num_labels=3)
    assert width_of(CLIPForImageClassification(config)) == 16
