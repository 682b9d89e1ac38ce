"""The ranges of a student's activations, learned from training rows as the court learns those of a static scheme."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgedistill.distill.aware.parts import Product
from edgedistill.quantize.calibration import Arrays, CalibrationMethod, Range, find_ranges
from edgedistill.quantize.rows import Rows
from edgedistill.tasks.encoding import inputs_of


def learn_ranges(
    model: nn.Module, products: tuple[Product, ...], rows: Rows, method: CalibrationMethod
) -> Mapping[str, Range]:
    """Return the range of what each product reads, by the product's name.

    Args:
        model: the float student, in evaluation mode.
        products: whose inputs are looked at.
        rows: of the training split; passed over once or twice, one row a call.
        method: as in the court.
    """
    return find_ranges(lambda: _inputs_of_products(model, products, rows), method)


@dataclass(frozen=True)
class _Recorder:
    """Keeps what a layer reads."""

    name: str
    seen: dict[str, NDArray[np.float32]]

    def __call__(self, module: nn.Module, arguments: tuple[Any, ...]) -> None:
        self.seen[self.name] = arguments[0].detach().float().cpu().numpy()


def _inputs_of_products(model: nn.Module, products: tuple[Product, ...], rows: Rows) -> Iterator[Arrays]:
    names = inputs_of(model.forward)
    seen: dict[str, NDArray[np.float32]] = {}
    hooks = [product.layers[0].register_forward_pre_hook(_Recorder(product.name, seen)) for product in products]
    try:
        for index in range(len(rows)):
            row = rows.row(index)
            with torch.inference_mode():
                model(**{name: torch.from_numpy(np.asarray(row[name])) for name in names if name in row})
            yield dict(seen)
    finally:
        for hook in hooks:
            hook.remove()
