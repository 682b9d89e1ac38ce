"""Pictures of a report: as wide as asked, whole, in full colour; what cannot be taken is said."""

from pathlib import Path

import pytest
import report_pictures as script
from PIL import Image

IN_BROWSER = pytest.mark.skipif(script.CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")
PAGE = """<!doctype html><html><head><meta name="color-scheme" content="light dark"></head>
<body style="margin:0;background:light-dark(#ffffff, #101010)"><h2 id="t0-variants" style="margin:0;height:100px">v</h2>
<div class="pair" style="height:900px"><div class="chart" data-drawn="true" data-figure="x" style="height:400px"></div></div>
<div style="height:100px;background:linear-gradient(90deg, #ff0000, #0000ff)"></div></body></html>"""


def test_main_when_nothing_can_be_taken_then_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "CHROMIUM", "chromium")
    assert script.main([str(tmp_path)]) == 2
    assert "nothing to do" in capsys.readouterr().err
    assert script.main([str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "report.html: no such file" in capsys.readouterr().err
    monkeypatch.setattr(script, "CHROMIUM", None)
    assert script.main([str(tmp_path), "--out", str(tmp_path)]) == 6


@pytest.mark.slow
@IN_BROWSER
def test_pictures_when_taken_then_whole_at_both_widths_in_both_schemes_and_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "report.html").write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(script, "PIECE_PX", 600)
    made = {path.name: Image.open(path) for path in script.take_all(script.page_of(tmp_path), tmp_path / "out")}
    sizes = {(width, scheme, n): (width, height) for width in (390, 1440) for scheme in ("light", "dark")
             for n, height in ((1, 600), (2, 500))}
    assert {name: image.size for name, image in made.items()} == {
        f"report-{width}-{scheme}-{n:02d}.png": size for (width, scheme, n), size in sizes.items()}
    assert {image.mode for image in made.values()} == {"RGB"}
    assert made["report-390-light-01.png"].getpixel((10, 300)) == (255, 255, 255)
    assert made["report-390-dark-01.png"].getpixel((10, 300)) == (16, 16, 16)
    assert len(made["report-1440-light-02.png"].getcolors(10_000)) > 256  # no palette
    left, right = (made["report-390-light-02.png"].getpixel((x, 450)) for x in (1, 388))
    assert left[0] > 200 > left[2]
    assert right[2] > 200 > right[0]


@pytest.mark.slow
@IN_BROWSER
def test_readme_picture_when_taken_then_ends_with_the_charts_of_the_variants(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(PAGE, encoding="utf-8")
    script.take_readme_picture(script.page_of(tmp_path), tmp_path / "report.png")
    assert Image.open(tmp_path / "report.png").size == (script.README_WIDTH_PX, 1008)
