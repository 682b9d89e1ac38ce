"""Starts a command in several processes, as a launcher does: by environment variables."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    stdout: str
    stderr: str


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def launch(arguments: Sequence[str], *, size: int = 2, folder: Path | None = None) -> list["subprocess.Popen[str]"]:
    """Start `python ARGUMENTS` in several processes that know of each other."""
    port = str(free_port())
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TORCHELASTIC", "OMPI", "PMI"))}
    return [
        subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
            env=clean | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1",
                         "MASTER_PORT": port, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        )
        for rank in range(size)
    ]


def ended(processes: Sequence["subprocess.Popen[str]"], *, timeout_s: float = 600) -> list[Ended]:
    """Wait for processes and say how they ended; kill them when they hang."""
    try:
        answers = []
        for process in processes:
            stdout, stderr = process.communicate(timeout=timeout_s)
            answers.append(Ended(process.returncode, stdout, stderr))
        return answers
    finally:
        for process in processes:
            process.kill()
            process.wait()
