"""The frame around the end of a run."""

import pytest

from edgedistill.cli.terminal import boxed


def test_box_when_lines_differ_in_length_is_a_frame_of_one_width():
    assert boxed(["ab", "", "a"], is_plain=True) == "+----+\n| ab |\n|    |\n| a  |\n+----+"
    assert boxed(["ab"], is_plain=False) == "╭────╮\n│ ab │\n╰────╯"


def test_box_when_prose_is_long_wraps_it_and_leaves_paths_and_tables_whole():
    prose, path, row = "word " * 40, "/" + "folder/" * 30, "variant" + " " * 90 + "size  1.0"

    lines = boxed([prose, path, row], is_plain=True).splitlines()

    assert any(path in line for line in lines)
    assert any(row in line for line in lines)
    assert " ".join(" ".join(line.strip("| ") for line in lines[1:-3]).split()) == prose.strip()


@pytest.mark.parametrize(("encoding", "corner"), [("utf-8", "╭"), ("UTF-8", "╭"), ("ascii", "+"), (None, "+")])
def test_box_when_stdout_cannot_draw_is_plain(monkeypatch, encoding, corner):
    class Out:
        pass

    Out.encoding = encoding
    monkeypatch.setattr("edgedistill.cli.terminal.sys.stdout", Out())
    assert boxed(["a"])[0] == corner
