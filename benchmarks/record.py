"""Turn a finished run into a result file: `python benchmarks/record.py RUN NAME --command "..."`.

The file holds the run's report.json without the parts that quote data (the telling rows), the raw latency samples, the
command that made it and the commit that was measured.
"""

import argparse
import json
import subprocess
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


def record(run: Path, name: str, command: str) -> Path:
    """Write benchmarks/results/<name>.json from a run folder and return its path."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    for target in report["targets"].values():
        target.pop("telling_rows", None)
        target.pop("reliability", None)
        target.pop("confused_pairs", None)
        target.pop("confusion", None)
    for split in ("train", "validation", "test"):  # the file, not the folder it lay in on this machine
        report["data"][split]["source"] = Path(report["data"][split]["source"]).name
    samples = [json.loads(p.read_text(encoding="utf-8")) for p in sorted((run / ".stages/benchmark").glob("*/measurements.json"))]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    content = {"command": command, "commit": commit, "report": report, "measurements": samples}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    return path


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--command", required=True)
    given = parser.parse_args()
    print(record(given.run, given.name, given.command))


if __name__ == "__main__":
    main()
