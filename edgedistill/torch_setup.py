"""What every use of torch needs: a setting made before its worker threads start, the device, the quickest attention."""

from typing import TypeVar

import torch

from edgedistill.host import this_host

_Module = TypeVar("_Module", bound=torch.nn.Module)


def set_up_torch() -> None:
    """Flush denormal numbers to zero, in this thread and in the worker threads that torch has yet to start.

    The first moments of rarely used embedding rows decay into denormals, and a training then slows down several times.
    Threads inherit the mode of the thread that starts them, so this comes before the first computation of a stage, and it
    stays: a stage computes the same whether or not another one ran before it in the process.
    """
    torch.set_flush_denormal(True)


def quickest_attention() -> str | None:
    """Return transformers' name of the attention to compute with; None leaves the choice to transformers.

    On a CPU the plain one is never slower on texts of a few dozen tokens, and clearly quicker in training
    (benchmarks/results/attention_speed.json); torch's fused one was made for long texts and GPUs.
    """
    return None if torch.cuda.is_available() else "eager"


_FLOAT_ONLY = ("deberta",)
"""Families that transformers computes in float32 only: the first DeBERTa masks bfloat16 scores with float32's least number."""


def takes_bf16(model_type: str) -> bool:
    """Can models of a family be computed in bfloat16, where the machine multiplies it?

    Args:
        model_type: as in config.json.
    """
    return model_type not in _FLOAT_ONLY


def multiplies_bf16(kind: str) -> bool:
    """Does the hardware itself multiply bfloat16? GPUs before Ampere emulate it, which is slower than float32.

    Args:
        kind: torch's name of the device's kind: "cuda", or another one, for which the CPU answers.
    """
    return torch.cuda.is_bf16_supported(including_emulation=False) if kind == "cuda" else this_host().has_bf16


def with_quickest_layout(model: _Module) -> _Module:
    """Return the model with the weights of its convolutions laid out as this machine computes them quickest.

    Channels last makes the training of small ResNets 1.2 to 1.6 times faster where the CPU multiplies bfloat16, and slower
    where it does not (benchmarks/results/layout_speed.json). What follows a convolution takes its layout; files are the same.
    """
    if this_host().has_bf16:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's stubs do not know it of modules
    return model


def own_device(local_rank: int) -> torch.device:
    """Return the GPU of this process, the CPU where torch finds no GPU.

    Args:
        local_rank: the number of this process on its machine.
    """
    count = torch.cuda.device_count()
    return torch.device("cuda", local_rank % count) if count else torch.device("cpu")
