"""Run the built-in model and record it: `python benchmarks/home_intents.py` writes benchmarks/results/home-intents.json."""

import subprocess
import sys
from pathlib import Path

from record import record

COMMAND = ["run", "--target", "raspberry-pi", "--out"]


def main() -> None:
    """Run, then record; a missed goal is recorded too."""
    out = Path("runs/bench-home-intents")
    finished = subprocess.run([sys.executable, "-m", "edgedistill", *COMMAND, str(out)], check=False)
    if finished.returncode in (0, 3):
        print(record(out, "home-intents", "edgedistill run --target raspberry-pi"))
    sys.exit(finished.returncode)


if __name__ == "__main__":
    main()
