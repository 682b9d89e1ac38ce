"""Every relative link in the pages leads to a file, and every anchor to a heading of it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_PATTERNS = ("*.md", "docs/**/*.md", "benchmarks/*.md", "models/*/*.md")
PAGES = sorted(page for pattern in _PATTERNS for page in ROOT.glob(pattern))
_LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
_FENCE = re.compile(r"^```.*?^```", re.M | re.S)


def links_of(text: str) -> list[str]:
    """Return the targets of a page's links that stay in the repository; code is no link."""
    prose = re.sub(r"`[^`\n]*`", "`code`", _FENCE.sub("", text))
    return [target for target in _LINK.findall(prose) if not re.match(r"[a-z][a-z+.-]*:", target)]


def anchors_of(text: str) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ +(.+?) *$", _FENCE.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    broken = []
    for link in links_of(page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors_of(file.read_text(encoding="utf-8"))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page_when_its_links_are_followed_then_all_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_pages_when_listed_then_readme_reaches_every_page_of_docs() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        links = (link.partition("#")[0] for link in links_of(page.read_text(encoding="utf-8")))
        files = [(page.parent / name).resolve() for name in links if name.endswith(".md")]
        waiting += [file for file in files if file.exists() and file not in reached]
    assert set((ROOT / "docs").rglob("*.md")) <= reached


def test_broken_links_when_page_has_some_then_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (tmp_path / "other.md").write_text("# A heading, with: marks\n", encoding="utf-8")
    page.write_text(
        "[a](other.md) [b](missing.md) [c](other.md#a-heading-with-marks) [d](other.md#none) [e](https://example.org)\n"
        "`[f](code.md)`\n```\n[g](fenced.md)\n```\n", encoding="utf-8",
    )
    assert broken_links(page) == ["missing.md", "other.md#none"]
