"""The setting that every stage makes before it computes."""

import subprocess
import sys

from edgedistill.torch_setup import set_up_torch


def test_set_up_torch_flushes_denormal_numbers_in_all_threads() -> None:
    script = f"""
from {set_up_torch.__module__} import set_up_torch
import torch
torch.set_num_threads(2)
set_up_torch()
print(int(((torch.ones(2_000_000) * 2e-38) * 0.25 == 0).sum()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "2000000"
