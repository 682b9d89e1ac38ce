"""Fake quantization: real numbers rounded to those that 8 bits can hold, with a gradient as if they had not been.

    grid        the integers lowest .. highest, and the real number scale * (integer - zero point) of each
    q(r)        clamp(round(r / S) + Z, lowest, highest)
    r'          S * (q(r) - Z)

The formulas and the order of their roundings are those of onnxruntime's quantizers and of ONNX's DynamicQuantizeLinear, so
that a student computes in torch what its int8 file will compute.

Papers: Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
equations 1 and 12; Krishnamoorthi 2018, "Quantizing deep convolutional networks for efficient inference", sections 2.1 and
2.4; Bengio et al. 2013, "Estimating or propagating gradients through stochastic neurons", section 4 (straight-through).
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Grid:
    """The real numbers that an integer type can hold.

    Attributes:
        scale: step between neighbours, more than 0; a shape that broadcasts to the values.
        zero_point: the integer that stands for 0, of the same shape.
        lowest: the smallest integer.
        highest: the largest.
    """

    scale: torch.Tensor
    zero_point: torch.Tensor
    lowest: int
    highest: int


def fake_quantize(values: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Return the nearest numbers of a grid; half an integer goes to the even one.

    The gradient is 1 where the integer lies within the grid and 0 where it was cut off: rounding counts as the identity
    (Bengio et al. 2013), the cut as what it is (Krishnamoorthi 2018, section 2.4). Scale and zero point are constants.

    Args:
        values: float32, any shape.
        grid: as above.

    Returns:
        the same shape.

    Source: Jacob et al. 2018, equation 12.
    """
    scale, zero_point = grid.scale.detach(), grid.zero_point.detach()
    integers = round_through(values / scale) + zero_point
    return (integers.clamp(grid.lowest, grid.highest) - zero_point) * scale


def round_through(values: torch.Tensor) -> torch.Tensor:
    """Round to integers, with the gradient of the identity: the straight-through estimator of Bengio et al. 2013."""
    return values + (values.round() - values).detach()


def symmetric_grid(low: torch.Tensor, high: torch.Tensor, *, levels: int) -> Grid:
    """Return a grid around zero for values in low .. high.

    Args:
        low: the smallest value, any shape.
        high: the largest, the same shape.
        levels: the largest integer: 127 for 8 bits, 64 for the 7 of a reduced range.

    Source: Krishnamoorthi 2018, section 2.2; onnxruntime's `compute_scale_zp` with symmetric weights.
    """
    largest = torch.maximum(low.detach().abs(), high.detach().abs())
    scale = _positive((2 * largest.double() / (2 * levels)).float())
    return Grid(scale, torch.zeros_like(scale), -levels, levels)


def centred_grid(low: torch.Tensor, high: torch.Tensor) -> Grid:
    """Return a grid of 0 .. 255 around 128, which stands for zero.

    onnxruntime's QDQ quantizer gives uint8 weights with a scale an output this one, whatever it is told (seen in 1.32).

    Args:
        low: the smallest value, any shape.
        high: the largest, the same shape.
    """
    largest = torch.maximum(low.detach().abs(), high.detach().abs())
    scale = _positive((2 * largest.double() / 255).float())
    return Grid(scale, torch.full_like(scale, 128), 0, 255)


def asymmetric_grid(low: torch.Tensor, high: torch.Tensor, *, is_of_call: bool = False) -> Grid:
    """Return a grid of 0 .. 255 for values in low .. high, with 0 among its numbers.

    int8 activations take the same numbers, every integer 128 lower.

    Args:
        low: the smallest value, any shape.
        high: the largest, the same shape.
        is_of_call: found while the model runs, in float32, as DynamicQuantizeLinear does; else beforehand, in float64, as
            onnxruntime's quantizers do. The two differ in the last digit.

    Source: Jacob et al. 2018, equation 13; ONNX operator DynamicQuantizeLinear-11.
    """
    digits = torch.float32 if is_of_call else torch.float64
    least, most = low.detach().clamp(max=0).to(digits), high.detach().clamp(min=0).to(digits)
    scale = _positive((most - least) / 255)
    return Grid(scale.float(), (-least / scale).round().clamp(0, 255).float(), 0, 255)


def _positive(scale: torch.Tensor) -> torch.Tensor:
    """Replace the step of values that are all zero by 1."""
    return torch.where(scale > 0, scale, torch.ones_like(scale))
