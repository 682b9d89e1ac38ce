"""Weights to 8-bit integers: one scale for all, or one for each slice along an axis."""

import numpy as np
from numpy.typing import NDArray

from edgedistill.quantize.scheme_names import Weights


def round_weights(
    weights_float: NDArray[np.float32], *, axis: int | None, weights: Weights
) -> tuple[NDArray[np.generic], NDArray[np.float32], NDArray[np.generic]]:
    """Return integers, scale and zero point of a weight: weight = scale * (integer - zero point) to half a scale.

    Args:
        weights_float: any shape.
        axis: each slice along it has a scale of its own; None: one scale for all.
        weights: wi8 rounds to -127 .. 127 around zero, wu8 to 0 .. 255.

    Returns:
        integers of the same shape; scale and zero point of shape () or (slices,).
    """
    others = None if axis is None else tuple(place for place in range(weights_float.ndim) if place != axis)
    low, high = np.minimum(weights_float.min(axis=others), 0), np.maximum(weights_float.max(axis=others), 0)
    is_signed = weights == "wi8"
    span = np.maximum(-low, high) if is_signed else high - low
    scale = np.where(span > 0, span / (127 if is_signed else 255), 1).astype(np.float32)
    zero = np.zeros(scale.shape) if is_signed else np.round(-low / scale)
    shape = [] if axis is None else [-1 if place == axis else 1 for place in range(weights_float.ndim)]
    levels = np.round(weights_float / scale.reshape(shape)) + zero.reshape(shape)
    limits = (-127, 127) if is_signed else (0, 255)
    kind = np.int8 if is_signed else np.uint8
    return np.clip(levels, *limits).astype(kind), scale, zero.astype(kind)
