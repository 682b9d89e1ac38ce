"""Fake quantization: the numbers of numpy's quantize and dequantize, and the gradients of the straight-through estimator."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnxruntime.quantization.quant_utils import quantize_data

from edgedistill.distill.aware.fake_quantization import Grid, asymmetric_grid, fake_quantize, round_through, symmetric_grid
from edgedistill.quantize.rounding import round_weights


def weights(seed: int = 0, shape: tuple[int, ...] = (16, 8)) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * np.linspace(0.1, 3, shape[-1])).astype(np.float32)


@pytest.mark.parametrize(("levels", "is_reduced"), [(127, False), (64, True)])
def test_symmetric_grid_gives_the_numbers_of_onnxruntimes_quantizer(levels: int, is_reduced: bool) -> None:
    matrix = weights()
    _, scale, integers = quantize_data(matrix, TensorProto.INT8, True, reduce_range=is_reduced)
    made = torch.from_numpy(matrix)
    found = fake_quantize(made, symmetric_grid(made.min(), made.max(), levels=levels))
    np.testing.assert_array_equal(found.numpy(), integers.astype(np.float32) * np.float32(scale))


def test_symmetric_grid_by_output_gives_the_numbers_of_numpys_rounding() -> None:
    matrix = weights(1)
    integers, scale, _ = round_weights(matrix, axis=0, weights="wi8")
    made = torch.from_numpy(matrix)
    found = fake_quantize(made, symmetric_grid(made.amin(1, keepdim=True), made.amax(1, keepdim=True), levels=127))
    np.testing.assert_allclose(found.numpy(), integers.astype(np.float32) * scale[:, None], rtol=1e-6)


@pytest.mark.parametrize("values", [weights(2), np.abs(weights(3)), -np.abs(weights(4)) - 1, np.zeros((2, 3), np.float32)])
def test_asymmetric_grid_gives_the_numbers_of_dynamic_quantize_linear(values: np.ndarray) -> None:
    node = helper.make_node("DynamicQuantizeLinear", ["x"], ["y", "scale", "zero"])
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, values.shape)], [
        helper.make_tensor_value_info(n, t, None) for n, t in (("y", TensorProto.UINT8), ("scale", TensorProto.FLOAT),
                                                                ("zero", TensorProto.UINT8))])
    integers, scale, zero = ReferenceEvaluator(onnx.helper.make_model(graph)).run(None, {"x": values})
    expected = (integers.astype(np.float32) - zero) * scale
    made = torch.from_numpy(values)
    found = fake_quantize(made, asymmetric_grid(made.min(), made.max()))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_fake_quantize_when_values_are_outside_then_cut_to_the_ends_of_the_grid() -> None:
    grid = Grid(torch.tensor(0.5), torch.tensor(2.0), 0, 7)  # -1.0 .. 2.5
    found = fake_quantize(torch.tensor([-9.0, -1.0, -0.3, 0.24, 0.26, 2.5, 7.0]), grid)
    assert found.tolist() == [-1.0, -1.0, -0.5, 0.0, 0.5, 2.5, 2.5]


def test_fake_quantize_when_differentiated_then_one_inside_and_zero_outside() -> None:
    grid = Grid(torch.tensor(0.5), torch.tensor(2.0), 0, 7)
    values = torch.tensor([-9.0, -1.0, -0.3, 0.26, 2.5, 7.0], requires_grad=True)
    (fake_quantize(values, grid) * torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0.0, 2.0, 3.0, 4.0, 5.0, 0.0]


def test_fake_quantize_when_the_grid_is_made_of_the_values_then_it_takes_no_part_in_the_gradient() -> None:
    values = torch.tensor([-1.0, 0.3, 4.0], requires_grad=True)
    fake_quantize(values, symmetric_grid(values.min(), values.max(), levels=127)).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1.0, 1.0, 1.0]


def test_round_through_rounds_half_to_even_and_passes_the_gradient() -> None:
    values = torch.tensor([0.5, 1.5, -2.4, 1e6 + 0.25], requires_grad=True)
    rounded = round_through(values)
    rounded.sum().backward()
    assert rounded.tolist() == [0.0, 2.0, -2.0, 1e6]
    assert values.grad is not None
    assert values.grad.tolist() == [1.0] * 4
