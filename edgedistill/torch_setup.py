"""Settings that every use of torch needs, the first of them made before torch starts its worker threads."""

import torch


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
