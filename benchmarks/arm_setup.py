"""How long `edgedistill arm-env` takes from nothing: `python benchmarks/arm_setup.py [--runs N]`.

Each run builds the environment in an empty cache of its own, downloads and all; pip's and apt's own caches are what they are. A
last call then checks what is there, as `make test-arm` does. Writes benchmarks/results/arm_setup.json: seconds of both calls,
packages, bytes unpacked, and the versions.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from attention_speed import write_result
from script_options import WorkerFailedError, run_script

RESULT = Path(__file__).parent / "results" / "arm_setup.json"
_COMMAND = (sys.executable, "-m", "edgedistill", "arm-env", "--json")


def timed_call(cache: Path) -> tuple[float, dict[str, object]]:
    """Call `arm-env` with a cache folder; return the wall seconds of the process, and what it says of the environment.

    Raises:
        WorkerFailedError: it could not be built.
    """
    begin = time.perf_counter()
    surroundings = os.environ | {"EDGEDISTILL_CACHE": str(cache)}
    done = subprocess.run(_COMMAND, check=False, capture_output=True, text=True, env=surroundings)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise WorkerFailedError(f"arm-env ended with {done.returncode}: {done.stderr.strip()[-300:]}", hint="edgedistill arm-env")
    facts: dict[str, object] = json.loads(done.stdout)
    return seconds, facts


def rows_of(runs: int) -> list[dict[str, object]]:
    """Build `runs` times, each time anew; return a row a run."""
    rows: list[dict[str, object]] = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            built, facts = timed_call(Path(folder))
            checked, _ = timed_call(Path(folder))
        rows.append({
            "build_s": built, "check_s": checked, "emulator": facts["emulator"], "onnxruntime": facts["onnxruntime"],
            "packages": len(list(facts["packages"])),  # type: ignore[call-overload]
            "size_bytes": facts["size_bytes"],
        })
        print(f"built in {built:.1f} s, checked in {checked:.1f} s", file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Read the command line, build, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    write_result(RESULT, "arm_setup.py", rows_of(parser.parse_args().runs))


if __name__ == "__main__":
    run_script(main)
