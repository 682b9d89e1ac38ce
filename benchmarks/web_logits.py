"""Open a bundle's page in headless Chromium, and compare its answers to the golden vectors with Python's.

    python benchmarks/web_logits.py BUNDLE --student WORDS [--texts FILE] [--result FILE]

Needs chromium and npm. Ids and classes must be equal, and no logit further off than golden.json allows in a browser; the
bundle's own page must say the same. How far each logit is off goes to benchmarks/results/web_logits.json. `--texts`, a TSV with
a column `text`, compares all of these too, for an opinion that does not hang on 32 texts. A float model is within 1e-3. With
dynamic int8 a last-bit difference of a float operator can move an activation to the next of 256 steps, so that single texts are
further off: benchmarks/web_operators.py says which operators.
"""

import argparse
import csv
import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgedistill.evaluate.predictor import open_predictor, predict
from edgedistill.tasks.text_classification.encoding import TextEncoder

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "web_logits.json"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NPM = shutil.which("npm")
CLOSE = 1e-3

PROBE = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><pre>nothing yet</pre>
<iframe src="index.html"></iframe>
<script type="module">
const frame = document.querySelector("iframe");
const wait = async (ready) => { while (!ready()) await new Promise((next) => setTimeout(next, 50)); };
try {
  await wait(() => frame.contentWindow.classifier);
  const classifier = frame.contentWindow.classifier;
  const { vectors } = await (await fetch("../golden.json")).json();
  const answers = [];
  for (const { text } of vectors) {
    const [best] = await classifier.classify(text);
    answers.push({ ids: classifier.tokenizer.encode(text), logits: await classifier.logits(text), label: best.label });
  }
  const more = [];
  for (const text of await (await fetch("texts.json")).json()) more.push(await classifier.logits(text));
  const page = frame.contentDocument;
  const replayed = page.getElementById("replayed");
  page.getElementById("replay").click();
  await wait(() => replayed.textContent);
  document.querySelector("pre").textContent = JSON.stringify({
    answers, more, replayed: replayed.textContent, state: page.getElementById("state").textContent,
    shown: page.querySelectorAll("li").length,
    fetched: frame.contentWindow.performance.getEntriesByType("resource").map((entry) => new URL(entry.name).origin),
    origin: location.origin,
  });
} catch (failure) {
  document.querySelector("pre").textContent = JSON.stringify({ failure: String(failure) });
}
</script>"""
"""A page around the page: asks it for every golden vector, and writes what it saw into itself."""


def read_texts(path: Path) -> list[str]:
    """Return the column `text` of a TSV without quoting."""
    with path.open(encoding="utf-8") as stream:
        return [row["text"] for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript",
                      ".wasm": "application/wasm"}

    def log_message(self, *arguments: Any) -> None:
        pass


def install(bundle: Path) -> str | None:
    """Install onnxruntime-web into a copy of a bundle; returns why not, or None."""
    done = subprocess.run([str(NPM), "install", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=bundle / "web",
                          capture_output=True, text=True, check=False)
    return f"npm could not install onnxruntime-web: {done.stderr[-200:]}" if done.returncode else None


def seen_in_browser(bundle: Path, work: Path, texts: Sequence[str] = (), *, probe: str = PROBE) -> dict[str, Any]:
    """Return what the page answers to the golden vectors and to texts, what it shows and what it fetched; or its `failure`."""
    (bundle / "web" / "probe.html").write_text(probe, encoding="utf-8")
    (bundle / "web" / "texts.json").write_text(json.dumps(list(texts)), encoding="utf-8")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(bundle)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}/web/probe.html"
        done = subprocess.run(
            [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={work / 'profile'}",
             "--virtual-time-budget=600000", "--dump-dom", address],
            capture_output=True, text=True, timeout=1200, check=True,
        )
    finally:
        server.shutdown()
    (text,) = re.findall(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    return dict(json.loads(html.unescape(text))) if text != "nothing yet" else {"failure": done.stderr[-500:]}


def compared(answers: Sequence[Mapping[str, Any]], golden: Mapping[str, Any]) -> dict[str, Any]:
    """Return how many answers are the golden ones, and how far each text's logits are off at most."""
    pairs = list(zip(answers, golden["vectors"], strict=True))
    errors = [max(abs(a - b) for a, b in zip(answer["logits"], vector["logits"], strict=True)) for answer, vector in pairs]
    return {
        "vectors": len(pairs),
        "equal_ids": sum(answer["ids"] == vector["ids"] for answer, vector in pairs),
        "equal_labels": sum(answer["label"] == vector["label"] for answer, vector in pairs),
        "within_1e-3": sum(error <= CLOSE for error in errors),
        "max_abs_errors": [float(f"{error:.3g}") for error in errors],
        "tolerance": golden["tolerances"].get("wasm", golden["tolerance"]),
    }


def in_python(bundle: Path, texts: Sequence[str]) -> np.ndarray:
    """Return the logits of texts here, shape (n, classes), one text a call as in the page."""
    encoded = TextEncoder.load(bundle).encode(texts)
    return predict(open_predictor(bundle / "model.onnx"), encoded, batch_size=1)


def spread(answers: Sequence[Sequence[float]], expected: np.ndarray) -> dict[str, Any]:
    """Return how far two sets of logits of shape (n, classes) are apart, row by row."""
    found = np.asarray(answers)
    errors = np.abs(found - expected).max(axis=1)
    return {
        "rows": len(errors), "equal_classes": int((found.argmax(axis=1) == expected.argmax(axis=1)).sum()),
        "within_1e-3": int((errors <= CLOSE).sum()), "median_error": float(f"{np.median(errors):.3g}"),
        "p99_error": float(f"{np.quantile(errors, 0.99):.3g}"), "max_abs_error": float(f"{errors.max():.3g}"),
    }


def main(arguments: Sequence[str]) -> int:
    """Compare and record; returns 1 when ids or classes differ, or a logit is further off than the bundle allows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--student", required=True, help="how the student was made: a figure is of one student")
    parser.add_argument("--texts", type=Path, help="a TSV with a column text")
    parser.add_argument("--result", type=Path, default=RESULT, metavar="FILE", help="where the row goes")
    chosen = parser.parse_args(arguments)
    texts = read_texts(chosen.texts) if chosen.texts else []
    with tempfile.TemporaryDirectory() as name:
        bundle = Path(shutil.copytree(chosen.bundle, Path(name) / "bundle"))
        problem = install(bundle)
        seen = {"failure": problem} if problem else seen_in_browser(bundle, Path(name), texts)
        if "failure" in seen:
            print(seen["failure"])
            return 1
        manifest, golden = (json.loads((bundle / file).read_text(encoding="utf-8")) for file in ("bundle.json", "golden.json"))
        web = json.loads((bundle / "web" / "node_modules" / "onnxruntime-web" / "package.json").read_text(encoding="utf-8"))
        more = {"texts": spread(seen["more"], in_python(bundle, texts))} if texts else {}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    row = compared(seen["answers"], golden) | {
        "recipe_id": manifest["recipe_id"], "model_sha256": manifest["model_sha256"], "golden_runtime": golden["runtime"],
        "golden_architecture": golden["architecture"], "onnxruntime_web": web["version"],
        "student": chosen.student, "page_says": seen["replayed"], **more, "commit": commit.stdout.strip(),
        "command": f"python benchmarks/web_logits.py BUNDLE --student {chosen.student!r}" + (
            f" --texts {chosen.texts}" if texts else "") + (f" --result {chosen.result}" if chosen.result != RESULT else ""),
    }
    chosen.result.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    print({key: value for key, value in row.items() if key != "max_abs_errors"}, max(row["max_abs_errors"]))
    is_same = row["equal_ids"] == row["equal_labels"] == row["vectors"]
    is_passed = is_same and max(row["max_abs_errors"]) <= row["tolerance"]
    return 0 if is_passed and seen["replayed"].startswith("Passed") else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
