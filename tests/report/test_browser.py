"""The page in a real browser: charts drawn, nothing in the console, nothing fetched, nothing wider than the screen."""

import html
import json
import re
import shutil
import subprocess

import pytest

from edgedistill.report.build import build_report
from edgedistill.report.html import render_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

LISTEN = """<script>
window.problems = [];
["error", "warn"].forEach(function (kind) {
  console[kind] = function () { window.problems.push(kind + ": " + Array.from(arguments).join(" ")); };
});
window.addEventListener("error", function (event) { window.problems.push(String(event.message)); });
window.addEventListener("unhandledrejection", function (event) { window.problems.push(String(event.reason)); });
document.addEventListener("securitypolicyviolation", function (event) { window.problems.push(event.blockedURI); });
</script>"""

TELL = """<script>
(function tell(triesLeft) {
  const charts = Array.from(document.querySelectorAll("[data-figure]"));
  const drawn = charts.filter(function (chart) {
    const plot = chart.querySelector(".main-svg");
    return chart.dataset.drawn && plot && plot.getBoundingClientRect().width > 200
      && chart.querySelectorAll(".trace, .boxes").length > 0;
  });
  if (drawn.length < charts.length && triesLeft) { return setTimeout(tell, 100, triesLeft - 1); }
  parent.postMessage(JSON.stringify({
    charts: charts.length, drawn: drawn.length, problems: window.problems,
    fetched: performance.getEntriesByType("resource").map(function (entry) { return entry.name; }),
    width: document.documentElement.clientWidth, scrollWidth: document.documentElement.scrollWidth,
    wider: Array.from(document.querySelectorAll("body *")).filter(function (element) {
      return !element.closest(".scroll, .chart") && element.getBoundingClientRect().right > window.innerWidth + 1;
    }).map(function (element) { return element.tagName + "." + element.className; })
  }), "*");
})(200);
</script>"""

FRAME = """<!doctype html><iframe src="page.html" style="width:{width}px;height:900px;border:0"></iframe><pre></pre>
<script>window.addEventListener("message", function (event) {{
  document.querySelector("pre").textContent = event.data;
}});</script>"""


def seen_by_browser(source, folder, width):
    """Open a page in a frame of some width and return what a probe in it found."""
    probed = source.replace("<head>", "<head>" + LISTEN, 1).replace("</body>", TELL + "</body>")
    (folder / "page.html").write_text(probed, encoding="utf-8")
    (folder / "frame.html").write_text(FRAME.format(width=width), encoding="utf-8")
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1600,1000",
               f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=30000", "--dump-dom",
               (folder / "frame.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    return json.loads(html.unescape(re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)[1]))


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("which", ["parts", "lifelike_parts"])
def test_page_when_opened_draws_every_chart_and_fetches_nothing(request, tmp_path, which, width):
    parts = request.getfixturevalue(which)
    seen = seen_by_browser(render_html(build_report(parts)), tmp_path, width)
    assert seen["problems"] == []
    assert seen["fetched"] == []
    assert seen["drawn"] == seen["charts"] == 10 * len(parts.targets)
    assert seen["wider"] == []
    assert seen["scrollWidth"] <= seen["width"] <= width
