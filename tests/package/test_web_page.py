"""The page in headless Chromium, served from the bundle: the same ids and logits as Python's, and no request elsewhere."""

import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import threading

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NPM = shutil.which("npm")

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
  const page = frame.contentDocument;
  document.querySelector("pre").textContent = JSON.stringify({
    answers, state: page.getElementById("state").textContent, shown: page.querySelectorAll("li").length,
    fetched: frame.contentWindow.performance.getEntriesByType("resource").map((entry) => new URL(entry.name).origin),
    origin: location.origin,
  });
} catch (failure) {
  document.querySelector("pre").textContent = JSON.stringify({ failure: String(failure) });
}
</script>"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript",
                      ".wasm": "application/wasm"}

    def log_message(self, *arguments):
        pass


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.skipif(NPM is None, reason="needs npm for onnxruntime-web: apt-get install npm")
def test_page_when_opened_in_a_browser_answers_the_golden_vectors_as_python_does(bundle, tmp_path):
    done = subprocess.run([NPM, "install", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=bundle / "web",
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"npm could not install onnxruntime-web: {done.stderr[-200:]}")
    (bundle / "web" / "probe.html").write_text(PROBE)

    seen = _seen(bundle, tmp_path)

    assert "failure" not in seen, seen
    vectors = json.loads((bundle / "golden.json").read_text())["vectors"]
    for answer, vector in zip(seen["answers"], vectors, strict=True):
        assert answer["ids"] == vector["ids"]
        assert answer["label"] == vector["label"]
        assert answer["logits"] == pytest.approx(vector["logits"], abs=1e-3)
    assert seen["state"] == "Everything is computed on this device."
    assert seen["shown"] == 3
    assert set(seen["fetched"]) == {seen["origin"]}


def _seen(bundle, tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(bundle)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}/web/probe.html"
        done = subprocess.run(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
             "--virtual-time-budget=120000", "--dump-dom", address],
            capture_output=True, text=True, timeout=300, check=True,
        )
    finally:
        server.shutdown()
    (text,) = re.findall(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    return json.loads(html.unescape(text)) if text != "nothing yet" else {"failure": done.stderr[-500:]}
