"""What every use of torch needs: a setting made before its worker threads start, and the device of this process."""

import torch


def set_up_torch() -> None:
    """Flush denormal numbers to zero, in this thread and in the worker threads that torch has yet to start.

    The first moments of rarely used embedding rows decay into denormals, and a training then slows down several times.
    Threads inherit the mode of the thread that starts them, so this comes before the first computation of a stage, and it
    stays: a stage computes the same whether or not another one ran before it in the process.
    """
    torch.set_flush_denormal(True)


def own_device(local_rank: int) -> torch.device:
    """Return the GPU of this process, the CPU where torch finds no GPU.

    Args:
        local_rank: the number of this process on its machine.
    """
    count = torch.cuda.device_count()
    return torch.device("cuda", local_rank % count) if count else torch.device("cpu")
