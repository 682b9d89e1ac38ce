"""The page in a real browser: charts drawn, nothing in the console, nothing fetched, nothing too wide or over another."""

import dataclasses
import html
import json
import re
import shutil
import subprocess

import pytest

from edgedistill.report.build import build_report
from edgedistill.report.compare import compare_reports
from edgedistill.report.compare_page import render_comparison
from edgedistill.report.html import render_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

IN_BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")

LISTEN = """<script>
window.problems = [];
["error", "warn"].forEach(function (kind) {
  console[kind] = function () { window.problems.push(kind + ": " + Array.from(arguments).join(" ")); };
});
window.addEventListener("error", function (event) { window.problems.push(String(event.message)); });
window.addEventListener("unhandledrejection", function (event) { window.problems.push(String(event.reason)); });
document.addEventListener("securitypolicyviolation", function (event) { window.problems.push(event.blockedURI); });
</script>"""

USE = """<script>
function used() {
  const form = document.querySelector("[data-filter]"), seen = {};
  if (!form) { return null; }
  const chart = document.getElementById(form.dataset.filter + "-frontier");
  const marks = function () {
    return chart.data.filter(function (t) { return t.meta; }).map(function (t) { return t.x.length; })
      .reduce(function (a, b) { return a + b; }, 0);
  };
  seen.all = marks();
  form.elements.least.value = "90";
  form.dispatchEvent(new Event("input", {bubbles: true}));
  seen.filtered = marks();
  seen.told = form.querySelector("output").textContent;
  const confusion = document.querySelector("[data-choices]");
  const view = document.getElementById(confusion.dataset.choices);
  const shown = function () { return view.data.filter(function (t) { return t.visible !== false; }).map(function (t) { return t.meta; }); };
  seen.before = shown();
  const radio = confusion.querySelectorAll("input")[1];
  radio.checked = true;
  radio.dispatchEvent(new Event("change", {bubbles: true}));
  seen.after = shown();
  const zoom = document.querySelector("[data-zoom]"), frontier = document.getElementById(zoom.dataset.zoom);
  const ranges = function () { return frontier.layout.xaxis.range.concat(frontier.layout.yaxis.range); };
  const press = function (move) { zoom.querySelector("[value=" + move + "]").click(); return ranges(); };
  seen.zoom = {before: ranges(), in: press("in"), right: press("right"), all: press("all")};
  seen.keys = Array.from(document.querySelectorAll("a, summary, input, select, button, .scroll")).every(function (element) {
    return element.tabIndex >= 0;
  });
  return seen;
}
</script>"""

OVERLAPS = """<script>
// Visible blocks of one parent whose boxes share more than a pixel, as "tag.class over tag.class".
function overlaps() {
  const found = [], name = function (element) { return element.tagName.toLowerCase() + "." + element.className; };
  const stands = function (element) {
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    return !style.display.startsWith("inline") && ["static", "relative"].includes(style.position) && style.float === "none"
      && box.width > 1 && box.height > 1 && element.checkVisibility({visibilityProperty: true});
  };
  document.querySelectorAll("body, body *").forEach(function (parent) {
    if (parent.closest(".chart")) { return; }
    const blocks = Array.from(parent.children).filter(stands);
    const boxes = blocks.map(function (element) { return element.getBoundingClientRect(); });
    boxes.forEach(function (a, i) {
      boxes.slice(i + 1).forEach(function (b, j) {
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        if (wide > 1 && high > 1) { found.push(name(blocks[i]) + " over " + name(blocks[i + 1 + j])); }
      });
    });
  });
  return found;
}
</script>"""

TELL = """<script>
(function tell(triesLeft) {
  const charts = Array.from(document.querySelectorAll("[data-figure]"));
  const drawn = charts.filter(function (chart) {
    const plot = chart.querySelector(".main-svg");
    return chart.dataset.drawn && plot && plot.getBoundingClientRect().width > 200
      && chart.querySelectorAll(".trace, .boxes, .hm").length > 0;
  });
  if (drawn.length < charts.length && triesLeft) { return setTimeout(tell, 100, triesLeft - 1); }
  parent.postMessage(JSON.stringify({
    used: window.used ? used() : null, overlaps: overlaps(),
    pictures: Array.from(document.images).map(function (image) { return image.naturalWidth; }),
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


def seen_by_browser(source, folder, width, *options):
    """Open a page in a frame of some width and return what a probe in it found; options are the browser's."""
    probed = source.replace("<head>", "<head>" + LISTEN, 1).replace("</body>", USE + OVERLAPS + TELL + "</body>")
    (folder / "page.html").write_text(probed, encoding="utf-8")
    (folder / "frame.html").write_text(FRAME.format(width=width), encoding="utf-8")
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1600,1000",
               f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=30000", *options, "--dump-dom",
               (folder / "frame.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    return json.loads(html.unescape(re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)[1]))


def assert_clean(seen, width):
    assert seen["problems"] == []
    assert seen["fetched"] == []
    assert seen["wider"] == []
    assert seen["overlaps"] == []
    assert seen["scrollWidth"] <= seen["width"] <= width


@pytest.mark.slow
@IN_BROWSER
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("which", ["parts", "lifelike_parts"])
def test_page_when_opened_draws_every_chart_and_fetches_nothing(request, tmp_path, which, width):
    parts = request.getfixturevalue(which)
    seen = seen_by_browser(render_html(build_report(parts)), tmp_path, width)
    assert seen["drawn"] == seen["charts"] == 10 * len(parts.targets)
    assert_clean(seen, width)


@pytest.mark.slow
@IN_BROWSER
@pytest.mark.parametrize("width", [390, 1440])
def test_page_of_pictures_when_opened_shows_every_thumbnail_and_fetches_nothing(picture_parts, tmp_path, width):
    seen = seen_by_browser(render_html(build_report(picture_parts)), tmp_path, width)
    assert seen["drawn"] == seen["charts"] == 10
    assert seen["pictures"] == [96] * 20
    assert_clean(seen, width)


@pytest.mark.slow
@IN_BROWSER
def test_probe_when_a_block_lies_over_another_names_both(tmp_path):
    page = "<html><head></head><body>{}<p class='b' style='margin:{}'>b</p></body></html>"
    above = "<p class='a' style='margin:0'>a</p>"
    assert seen_by_browser(page.format(above, "0"), tmp_path, 390)["overlaps"] == []
    assert seen_by_browser(page.format(above, "-10px 0 0"), tmp_path, 390)["overlaps"] == ["p.a over p.b"]


@pytest.mark.slow
@IN_BROWSER
def test_page_when_dark_and_used_filters_trials_and_changes_the_view(parts, tmp_path):
    seen = seen_by_browser(render_html(build_report(parts)), tmp_path, 1440, "--blink-settings=preferredColorScheme=0")
    used = seen["used"]
    # two trials with an accuracy, of which one has 90 %, and one shape that was not trained
    assert (used["all"], used["filtered"], used["told"]) == (3, 1, "1 of 2 trials shown")
    assert (set(used["before"]), set(used["after"])) == ({"int8 student"}, {"teacher"})
    assert used["keys"]
    zoom = used["zoom"]
    low, high = zoom["before"][:2]
    assert zoom["in"][:2] == pytest.approx([low + (high - low) / 4, high - (high - low) / 4])
    assert zoom["right"][0] == pytest.approx(zoom["in"][0] + (high - low) / 8)
    assert zoom["right"][2:] == pytest.approx(zoom["in"][2:])
    assert zoom["all"] == pytest.approx(zoom["before"])
    assert_clean(seen, 1440)


@pytest.mark.slow
@IN_BROWSER
@pytest.mark.parametrize("width", [390, 1440])
def test_comparison_when_opened_draws_every_chart_and_fetches_nothing(lifelike_parts, make, tmp_path, width):
    report, slower = build_report(lifelike_parts), build_report(_with_slower_and_worse_student(lifelike_parts, make))
    reports = {"runs/home-intents": report, "runs/a-run-with-a-long-name-of-its-own/second-try": slower, "c": report}
    seen = seen_by_browser(render_comparison(compare_reports(reports), reports), tmp_path, width)
    assert seen["drawn"] == seen["charts"] == 6
    assert_clean(seen, width)


def _with_slower_and_worse_student(parts, make):
    """Return the parts with an int8 student that answers as the one without a teacher and takes twice the time."""
    targets = {
        name: dataclasses.replace(
            target,
            logits={**target.logits, "student_int8": target.logits["student_no_kd"]},
            evaluations={**target.evaluations, "student_int8": make.evaluation(
                "student_int8", target.logits["student_no_kd"].argmax(axis=1), gold=target.gold, labels=target.labels)},
            measurements={**target.measurements, "student_int8": make.measurement("student_int8", 0.002, rounds=5)},
        )
        for name, target in parts.targets.items()
    }
    return dataclasses.replace(parts, targets=targets)


@pytest.mark.slow
@IN_BROWSER
def test_page_when_printed_makes_a_document(parts, tmp_path):
    (tmp_path / "page.html").write_text(render_html(build_report(parts)), encoding="utf-8")
    subprocess.run([CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
                    "--virtual-time-budget=30000", f"--print-to-pdf={tmp_path / 'page.pdf'}", (tmp_path / "page.html").as_uri()],
                   capture_output=True, timeout=600, check=True)
    made = (tmp_path / "page.pdf").read_bytes()
    assert made.startswith(b"%PDF")
    assert len(made) > 50_000  # a page of text alone is smaller than its charts
