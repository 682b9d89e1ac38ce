"""Take pictures of a run's report in headless Chromium, to be looked at, and the one in README.md.

    python benchmarks/report_pictures.py RUN --out DIR        # at 390 and 1440 pixels, light and dark, piece by piece
    python benchmarks/report_pictures.py RUN --readme         # docs/report.png: the top of the page, in full colour

Needs chromium. RUN is a run folder or its report.html. Pieces are called `report-390-dark-02.png`: each is 2,400 pixels high at
most, so that its text can be read. The page stands in a frame of the wanted width, because Chromium's own window is never
narrower than 500 pixels.
"""

import argparse
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from edgedistill.errors import EdgedistillError, MissingDependencyError, UsageError

ROOT = Path(__file__).resolve().parent.parent
README_PICTURE = ROOT / "docs" / "report.png"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (390, 1440)
SCHEMES = {"light": "1", "dark": "0"}
"""Chromium's numbers for preferredColorScheme."""

PIECE_PX = 2_400
README_WIDTH_PX = 1_200
_WAIT_MS, _TIMEOUT_S = 30_000, 600

_PROBE = """<script>
(function tell(triesLeft) {
  const isDrawn = Array.from(document.querySelectorAll("[data-figure]")).every(function (c) { return c.dataset.drawn; });
  if (!isDrawn && triesLeft) { return setTimeout(tell, 100, triesLeft - 1); }
  let part = document.querySelector("#t0-variants");
  while (part && !part.classList.contains("pair")) { part = part.nextElementSibling; }
  parent.postMessage(JSON.stringify({
    drawn: isDrawn, whole: Math.ceil(document.documentElement.getBoundingClientRect().height),
    variants: part ? Math.ceil(part.getBoundingClientRect().bottom + scrollY) + 8 : 0
  }), "*");
})(250);
</script>"""
_FRAME = """<!doctype html><meta name="color-scheme" content="light dark"><body style="margin:0;overflow:hidden">
<iframe src="page.html" scrolling="no" style="display:block;border:0;width:{width}px;height:{height}px;margin-top:-{top}px">
</iframe><pre hidden></pre><script>window.addEventListener("message", function (event) {{
  document.querySelector("pre").textContent = event.data;
}});</script>"""


@dataclass(frozen=True)
class Heights:
    """How high a page is at some width, and where the charts of its variants end; pixels."""

    whole: int
    variants: int


@dataclass(frozen=True)
class Page:
    """A page that is ready to be taken.

    Attributes:
        folder: holds page.html; frames and Chromium's profile are written there.
        width: of the page, pixels.
        scheme: light or dark.
    """

    folder: Path
    width: int
    scheme: str

    def heights(self) -> Heights:
        """Measure the page once all charts are drawn.

        Raises:
            EdgedistillError: a chart is not drawn.
        """
        self._write_frame(height=2_000, top=0)
        said = self._run("--window-size=1600,1000", "--dump-dom")
        found = json.loads(html.unescape(re.findall(r"<pre hidden[^>]*>(.*?)</pre>", said, re.DOTALL)[0]) or "{}")
        if not found.get("drawn"):
            raise EdgedistillError("not every chart of the page was drawn", hint="open it in a browser and look at the console")
        return Heights(found["whole"], found["variants"])

    def take(self, out: Path, *, top: int, height: int, whole: int) -> None:
        """Write the picture of a piece as a PNG of 24 bits a pixel."""
        self._write_frame(height=whole, top=top)
        self._run(f"--window-size={max(self.width, 500)},{height}", f"--screenshot={out}")
        with Image.open(out) as taken:
            piece = taken.convert("RGB").crop((0, 0, self.width, height))
        piece.save(out, optimize=True)

    def _write_frame(self, *, height: int, top: int) -> None:
        frame = _FRAME.format(width=self.width, height=height, top=top)
        (self.folder / "frame.html").write_text(frame, encoding="utf-8")

    def _run(self, *options: str) -> str:
        command = [str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   f"--user-data-dir={self.folder / 'profile'}", f"--virtual-time-budget={_WAIT_MS}",
                   f"--blink-settings=preferredColorScheme={SCHEMES[self.scheme]}", *options,
                   (self.folder / "frame.html").as_uri()]
        return subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=True).stdout


def page_of(run: Path) -> str:
    """Return the source of a run's report, with a script in it that measures it.

    Raises:
        UsageError: there is none.
    """
    path = run / "report.html" if run.is_dir() else run
    if not path.is_file():
        raise UsageError(f"{path}: no such file", hint="name the folder of a finished run")
    return path.read_text(encoding="utf-8").replace("</body>", _PROBE + "</body>")


def take_all(source: str, out: Path) -> list[Path]:
    """Write pictures of the whole page at both widths, light and dark; return them."""
    out.mkdir(parents=True, exist_ok=True)
    made: list[Path] = []
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "page.html").write_text(source, encoding="utf-8")
        for width in WIDTHS:
            whole = Page(Path(scratch), width, "light").heights().whole
            for scheme in SCHEMES:
                for number, top in enumerate(range(0, whole, PIECE_PX), start=1):
                    path = (out / f"report-{width}-{scheme}-{number:02d}.png").absolute()
                    height = min(PIECE_PX, whole - top)
                    Page(Path(scratch), width, scheme).take(path, top=top, height=height, whole=whole)
                    made.append(path)
    return made


def take_readme_picture(source: str, out: Path) -> None:
    """Write the top of the page, down to the charts of the variants."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "page.html").write_text(source, encoding="utf-8")
        page = Page(Path(scratch), README_WIDTH_PX, "light")
        found = page.heights()
        page.take(out.absolute(), top=0, height=found.variants or min(found.whole, PIECE_PX), whole=found.whole)


def main(arguments: list[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder, or its report.html")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the pictures go")
    parser.add_argument("--readme", action="store_true", help="write docs/report.png")
    chosen = parser.parse_args(arguments)
    try:
        if CHROMIUM is None:
            raise MissingDependencyError("chromium is not installed", hint="apt-get install chromium")
        if chosen.out is None and not chosen.readme:
            raise UsageError("nothing to do", hint="give --out DIR, --readme or both")
        source = page_of(chosen.run)
        if chosen.readme:
            take_readme_picture(source, README_PICTURE)
            print(README_PICTURE)
        for path in take_all(source, chosen.out) if chosen.out else ():
            print(path)
    except EdgedistillError as problem:
        print(f"error: {problem.message}\nhint:  {problem.hint}", file=sys.stderr)
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
