"""A student that computes as its int8 file will: weights and activations fake-quantized, its parameters as they were.

What is rounded, and to which grid, follows the scheme and the fusion of the float graph:

    products    the matrix to int8 around zero (or uint8), one scale or one an output; queries, keys and values of a fused
                attention share what is one matrix there
    inputs      dynamic: to uint8 between the extremes of each text's own values, as its file computes them per call; static:
                between fixed ones; weight only: not at all. What a thin embedding looked up is not rounded a second time
    tables      one scale a table; in uint8 where onnxruntime's dynamic quantizer stores them, in a fused embedding always
    norms       gain and bias of a fused embedding's LayerNorm; a static scheme takes that apart and leaves them float

Softmax, the other LayerNorms, GELU and sums stay float, as they do in the file.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from edgedistill.distill.aware.fake_quantization import Grid, asymmetric_grid, centred_grid, fake_quantize, symmetric_grid
from edgedistill.distill.aware.parts import Parts, Product
from edgedistill.quantize.calibration import Range
from edgedistill.quantize.scheme_names import Scheme

_FULL, _REDUCED = 127, 64
_MASK = "attention_mask"

_Forward = Callable[..., torch.Tensor]
_GridOf = Callable[[torch.Tensor, torch.Tensor], Grid]
_InputGrid = Callable[[torch.Tensor], Grid] | None


@contextmanager
def fake_quantized(
    model: nn.Module, parts: Parts, scheme: Scheme, *, ranges: Mapping[str, Range] | None = None
) -> Iterator[None]:
    """Let a student answer, and learn, as int8 of a scheme would; afterwards it is a float student again.

    The parameters keep their names and stay float32: checkpoints and what is saved are those of the float student. Nothing
    but the parameters changes while it trains, so a training that was killed goes on to the same bytes.

    Args:
        model: a BERT classifier.
        parts: what int8 touches in it.
        scheme: how.
        ranges: of the products' inputs, by the product's name; a static scheme needs them.

    Raises:
        ValueError: a static scheme without the range of a product.
    """
    mask = _Mask()
    missing = [product.name for product in parts.products if product.name not in (ranges or {})]
    if scheme.kind == "static" and missing:
        raise ValueError(f"{scheme.name} without the range of {missing[0]}")
    forwards = dict(_forwards(parts, scheme, mask, ranges or {}))
    hook = model.register_forward_pre_hook(mask.remember, with_kwargs=True)
    for module, forward in forwards.items():
        module.forward = forward
    try:
        yield
    finally:
        hook.remove()
        for module in forwards:
            del module.forward  # what the class has comes back


@dataclass
class _Mask:
    """Which places of the batch that is being read are no padding: a row alone has none, and so its range knows none."""

    real: torch.Tensor | None = field(default=None)

    def remember(self, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        given = named.get(_MASK)
        self.real = None if given is None else given.bool()

    def without_padding(self, values: torch.Tensor) -> torch.Tensor:
        """Return values with zeros, which every range holds, in the place of padding; (rows, tokens, any) or (rows, any)."""
        if self.real is None or values.ndim <= self.real.ndim or values.shape[:2] != self.real.shape:
            return values
        return values.masked_fill(~self.real.unsqueeze(-1), 0.0)


def _forwards(
    parts: Parts, scheme: Scheme, mask: _Mask, ranges: Mapping[str, Range]
) -> Iterator[tuple[nn.Module, _Forward]]:
    """Yield what each touched module computes in the place of its own."""
    for product in parts.products:
        is_as_stored = product.reads_table and scheme.kind == "dynamic"
        inputs = None if is_as_stored else _input_grid(scheme, mask, ranges.get(product.name))
        for place, layer in enumerate(product.layers):
            yield layer, _product_forward(product, place, scheme, inputs)
    is_one_node = bool(parts.norms) and scheme.kind != "static"  # which takes a fused embedding apart
    of_stored = asymmetric_grid if is_one_node or scheme.kind == "dynamic" or scheme.weights == "wu8" else _full_grid
    for table in parts.tables:
        yield table, _table_forward(table, of_stored)
    for norm in parts.norms if is_one_node else ():
        yield norm, _norm_forward(norm)


def _full_grid(low: torch.Tensor, high: torch.Tensor) -> Grid:
    return symmetric_grid(low, high, levels=_FULL)


def _weight_grid(scheme: Scheme) -> _GridOf:
    if scheme.weights == "wu8":
        return centred_grid if scheme.kind == "static" and scheme.is_per_channel else asymmetric_grid
    levels = _REDUCED if scheme.is_reduced_range else _FULL
    return lambda low, high: symmetric_grid(low, high, levels=levels)


def _input_grid(scheme: Scheme, mask: _Mask, known: Range | None) -> _InputGrid:
    """Return what makes the grid of a product's input; None where it stays float."""
    if scheme.kind == "weight_only":
        return None
    if known is not None and scheme.kind == "static":
        fixed = asymmetric_grid(torch.tensor(known.low, dtype=torch.float32), torch.tensor(known.high, dtype=torch.float32))
        return lambda values: Grid(fixed.scale.to(values.device), fixed.zero_point.to(values.device), fixed.lowest, fixed.highest)

    def of_each_row(values: torch.Tensor) -> Grid:
        real = mask.without_padding(values.detach())
        axes = tuple(range(1, values.ndim))
        return asymmetric_grid(real.amin(axes, keepdim=True), real.amax(axes, keepdim=True), is_of_call=True)

    return of_each_row


def _product_forward(product: Product, place: int, scheme: Scheme, inputs: _InputGrid) -> _Forward:
    layer, grid_of = product.layers[place], _weight_grid(scheme)

    def forward(values: torch.Tensor) -> torch.Tensor:
        low, high = product.extremes(by_output=scheme.is_per_channel)[place]
        # bfloat16 has fewer digits than the products of two 8-bit numbers
        with torch.autocast(device_type=values.device.type, enabled=False):
            read = values.float()
            if inputs is not None:
                read = fake_quantize(read, inputs(read))
            return functional.linear(read, fake_quantize(layer.weight, grid_of(low, high)), layer.bias)

    return forward


def _table_forward(table: nn.Embedding, grid_of: _GridOf) -> _Forward:
    def forward(ids: torch.Tensor) -> torch.Tensor:
        found = functional.embedding(ids, table.weight, table.padding_idx)
        return fake_quantize(found, grid_of(table.weight.min(), table.weight.max()))

    return forward


def _norm_forward(norm: nn.LayerNorm) -> _Forward:
    def forward(values: torch.Tensor) -> torch.Tensor:
        gain, bias = (fake_quantize(vector, asymmetric_grid(vector.min(), vector.max())) for vector in (norm.weight, norm.bias))
        with torch.autocast(device_type=values.device.type, enabled=False):
            return functional.layer_norm(values.float(), norm.normalized_shape, gain, bias, norm.eps)

    return forward
