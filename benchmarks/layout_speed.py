"""Time the training of small ResNets by the layout of their convolutions: `python benchmarks/layout_speed.py`.

Writes benchmarks/results/layout_speed.json: the seconds of every step, the two layouts in turn, one thread.
"""

import time
from functools import partial
from pathlib import Path

import torch
from attention_speed import timed_in_turn, write_result
from transformers import ResNetConfig, ResNetForImageClassification

from edgedistill.host import this_host
from edgedistill.torch_setup import set_up_torch

RESULT = Path(__file__).parent / "results" / "layout_speed.json"
SHAPES = {
    "student-32-64": ([32, 64], [1, 1]), "student-40-80": ([40, 80], [1, 1]),
    "teacher-36-72-144": ([36, 72, 144], [2, 2, 2]), "teacher-48-96-192": ([48, 96, 192], [2, 2, 2]),
}
LAYOUTS = {"channels_first": torch.contiguous_format, "channels_last": torch.channels_last}
SIDES, PICTURES, CHANNELS = (32, 64), 128, 3


def step(model: ResNetForImageClassification, pixels: torch.Tensor) -> float:
    """Return the seconds of one forward and backward."""
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=this_host().has_bf16):
        logits = model(pixel_values=pixels).logits
    logits.float().square().mean().backward()
    model.zero_grad()
    return time.perf_counter() - started


def row_of(name: str, side: int) -> dict[str, object]:
    """Time one shape on pictures of one size."""
    widths, depths = SHAPES[name]
    pixels = torch.rand(PICTURES, CHANNELS, side, side)
    runs = {}
    for layout, memory_format in LAYOUTS.items():
        torch.manual_seed(0)
        model = ResNetForImageClassification(ResNetConfig(
            num_channels=CHANNELS, embedding_size=widths[0], hidden_sizes=widths, depths=depths, layer_type="basic",
        ))
        runs[layout] = partial(step, model.to(memory_format=memory_format), pixels)
    return {"shape": name, "side": side, "pictures": PICTURES, "seconds": timed_in_turn(runs)}


def main() -> None:
    """Time all shapes and write the result."""
    set_up_torch()
    torch.set_num_threads(1)
    write_result(RESULT, "layout_speed.py", [row_of(name, side) for name in SHAPES for side in SIDES])


if __name__ == "__main__":
    main()
