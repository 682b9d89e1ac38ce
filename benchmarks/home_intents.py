"""Run the suite of the built-in model and record it: `python benchmarks/home_intents.py`.

What is run stands in benchmarks/suites/home-intents.yaml; the result goes to benchmarks/results/home-intents.json.
"""

import subprocess
import sys
from pathlib import Path

from record import record

from edgedistill.catalog import Suite, load_suite


def command_of(suite: Suite) -> list[str]:
    """Return the command line of a suite, without its run folder."""
    targets = [part for name in suite.targets for part in ("--target", name)]
    protocol = [part for item in suite.overrides for part in ("--set", item)]
    return ["run", "--recipe", suite.recipe, *targets, *protocol]


def main() -> None:
    """Run, then record; a missed goal is recorded too."""
    suite = load_suite("home-intents")
    out = Path("runs") / f"bench-{suite.id}"
    command = command_of(suite)
    finished = subprocess.run([sys.executable, "-m", "edgedistill", *command, "--out", str(out)], check=False)
    if finished.returncode in (0, 3):
        print(record(out, suite.id, " ".join(["edgedistill", *command])))
    sys.exit(finished.returncode)


if __name__ == "__main__":
    main()
