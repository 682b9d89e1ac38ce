"""The setting that every stage makes before it computes."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from edgedistill import torch_setup
from edgedistill.torch_setup import multiplies_bf16, set_up_torch


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


@pytest.mark.parametrize("has_bf16", [True, False])
def test_multiplies_bf16_when_a_gpu_only_emulates_it_then_no_and_elsewhere_the_cpu_answers(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool
) -> None:
    monkeypatch.setattr(torch_setup, "this_host", lambda: SimpleNamespace(has_bf16=has_bf16))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert not multiplies_bf16("cuda")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    assert multiplies_bf16("cuda")
    assert multiplies_bf16("cpu") == has_bf16
