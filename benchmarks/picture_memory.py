"""Measure what the pre-processing in the graph costs in memory and CPU time: `python benchmarks/picture_memory.py`.

Writes benchmarks/results/picture_memory.json. Each figure is of a process of its own that has the picture in memory already and
has answered a small one: by how many bytes its peak grows with one picture more, and the CPU seconds of the next one. Those are
of one thread; they vary less than wall time where other work runs, but not with nothing.
"""

import itertools
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

from edgedistill.host import this_host
from edgedistill.plan import PictureSize
from edgedistill.tasks.image_classification.encoding import Preprocessing
from edgedistill.tasks.image_classification.in_graph import IMAGE_INPUT, preprocessing_model

RESULT = Path(__file__).parent / "results" / "picture_memory.json"
SIZES = ((480, 640), (1080, 1920), (3000, 4000))
SIDES = (96, 224)
REPETITIONS = 3


def one_picture(channels: int, height: int, width: int, side: int) -> tuple[int, float]:
    """Return by how many bytes the peak of this process grows with one picture, and the CPU seconds of another."""
    how = Preprocessing(PictureSize(side, channels), (0.5,) * channels, (0.5,) * channels)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        preprocessing_model(how, ir_version=8).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    session.run(None, {IMAGE_INPUT: np.ascontiguousarray(picture[:9, :9])})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    session.run(None, {IMAGE_INPUT: picture})
    added = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    begin = time.process_time()
    session.run(None, {IMAGE_INPUT: picture})
    return added, time.process_time() - begin


def rows() -> list[dict[str, object]]:
    """Measure every size, grey and RGB, each repetition in a process of its own."""
    found: list[dict[str, object]] = []
    for channels, (height, width), side in itertools.product((1, 3), SIZES, SIDES):
        command = [sys.executable, __file__, *map(str, (channels, height, width, side))]
        seen = [json.loads(subprocess.check_output(command, text=True)) for _ in range(REPETITIONS)]
        found.append({"channels": channels, "height": height, "width": width, "side": side, "picture_bytes": 3 * height * width,
                      "added_bytes": [added for added, _ in seen], "cpu_s": [seconds for _, seconds in seen]})
    return found


def main() -> None:
    """Measure and write, or as a child measure one picture."""
    if sys.argv[1:]:
        print(json.dumps(one_picture(*map(int, sys.argv[1:]))))
        return
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    content = {"command": "python benchmarks/picture_memory.py", "commit": commit, "host": this_host().model_dump(mode="json"),
               "onnxruntime": onnxruntime.__version__, "rows": rows()}
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
