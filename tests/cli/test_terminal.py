"""The frame around the end of a run."""

import io
from types import SimpleNamespace

import pytest

from edgedistill.cli import app as cli
from edgedistill.cli.app import run_command_line
from edgedistill.cli.terminal import boxed, say
from edgedistill.cli.whole import _summary


def test_box_when_lines_differ_in_length_is_a_frame_of_one_width():
    assert boxed(["ab", "", "a"], is_plain=True) == "+----+\n| ab |\n|    |\n| a  |\n+----+"
    assert boxed(["ab"], is_plain=False) == "╭────╮\n│ ab │\n╰────╯"


def test_box_when_a_line_holds_a_table_frames_each_of_its_rows():
    assert boxed(["a\nbc"], is_plain=True) == "+----+\n| a  |\n| bc |\n+----+"


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


def test_summary_when_a_run_ends_then_tells_verdict_variants_and_the_paths_that_are_there(tmp_path):
    host = SimpleNamespace(p50_s=0.00031)
    variant = SimpleNamespace(size_bytes=2 * 2**20, accuracy=0.8134, latency=SimpleNamespace(host=host), peak_rss_bytes=None)
    target = SimpleNamespace(verdict="pass", summary="Ready for the Pi.", variants={"student_int8": variant})
    (tmp_path / "raspberry-pi" / "bundle").mkdir(parents=True)
    (tmp_path / "report.html").write_text("")

    lines = _summary(SimpleNamespace(report=SimpleNamespace(targets={"raspberry-pi": target}), folder=tmp_path)).splitlines()

    assert len({len(line) for line in lines}) == 1  # a whole frame
    text = "\n".join(lines)
    for said in ("raspberry-pi: PASS", "Ready for the Pi.", "2.00 MiB", "0.8134", "0.31 ms", str(tmp_path / "report.html"),
                 str(tmp_path / "raspberry-pi" / "bundle")):
        assert said in text
    assert "report.md" not in text  # not written


def test_command_when_stdout_cannot_encode_the_result_then_writes_numbers_and_ends_as_it_would(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="latin-1"))
    monkeypatch.setattr(cli, "app", lambda *arguments, **named: say("gr\u00fcn \u2192 \u8272"))
    assert run_command_line(["predict"]) == 0
    assert written.getvalue() == b"gr\xfcn \\u2192 \\u8272\n"
