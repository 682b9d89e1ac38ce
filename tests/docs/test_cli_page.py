"""docs/cli.md is what the command line prints, and every command line in the pages can be typed."""

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from edgedistill.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
GENERATED = {"cli.md", "recipe.md"}


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the words and the command of everything that can be typed, groups left out."""

    def below(words: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
        if isinstance(command, TyperGroup):
            for name, inner in command.commands.items():
                yield from below((*words, name), inner)
        else:
            yield words, command

    yield from below((), get_command(app))


def parse(line: str) -> None:
    """Let the command line parse a line without running it; raises what a user would be told."""
    program, *words = shlex.split(line.partition(" > ")[0], comments=True)
    assert program == "edgedistill"
    command: Any = get_command(app)
    while isinstance(command, TyperGroup):
        if words and words[0] in {option for parameter in command.params for option in parameter.opts}:
            return
        assert words, f"{line}: no command"
        assert words[0] in command.commands, f"{line}: no command {words[0]!r}"
        command = command.commands[words.pop(0)]
    command.make_context(command.name, words)


def examples() -> list[str]:
    return [line for _, command in commands() for line in re.findall(r"^\s*Example: (.+)$", command.help or "", re.M)]


def page_lines() -> list[tuple[str, str]]:
    """Return (page, line) of every command line in a code block of a page that a person wrote."""
    return [
        (page.name, line.strip())
        for page in PAGES
        if page.name not in GENERATED
        for line in page.read_text(encoding="utf-8").splitlines()
        if re.match(r"( {4})?edgedistill [a-z]", line)
    ]


def test_cli_page_when_compared_with_the_command_line_then_current() -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_cli_page.py"))
    assert page["PAGE"].read_text(encoding="utf-8") == page["render_page"](), "stale: python docs/make_cli_page.py"


def test_cli_page_when_rendered_in_another_terminal_then_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_cli_page.py"))
    wide = page["help_text"](("run",))
    for name, value in (("COLUMNS", "40"), ("NO_COLOR", "1"), ("TERM", "dumb")):
        monkeypatch.setenv(name, value)
    assert page["help_text"](("run",)) == wide


def test_check_when_the_page_is_stale_then_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = runpy.run_path(str(ROOT / "docs" / "make_cli_page.py"))
    old = tmp_path / "cli.md"
    old.write_text("old", encoding="utf-8")
    page["main"].__globals__["PAGE"] = old
    assert page["main"](["--check"]) == 1
    assert page["main"]([]) == 0
    assert page["main"](["--check"]) == 0
    assert "stale" in capsys.readouterr().err


@pytest.mark.parametrize(("words", "command"), [pytest.param(w, c, id=" ".join(w)) for w, c in commands()])
def test_command_when_asked_then_has_help_and_an_example(words: tuple[str, ...], command: Any) -> None:
    help_text = command.help or ""
    assert help_text.strip(), "no help"
    found = re.findall(r"^\s*Example: edgedistill (.+)$", help_text, re.M)
    assert found, "no Example:"
    assert all(tuple(shlex.split(line))[: len(words)] == words for line in found), "an example of another command"
    unexplained = [parameter.name for parameter in command.params if not getattr(parameter, "help", None)]
    assert not unexplained, f"no help for {', '.join(unexplained)}"


@pytest.mark.parametrize("line", examples())
def test_example_when_parsed_then_command_and_options_exist(line: str) -> None:
    parse(line)


@pytest.mark.parametrize(("page", "line"), [pytest.param(p, t, id=f"{p}: {t}") for p, t in dict.fromkeys(page_lines())])
def test_command_line_in_a_page_when_parsed_then_command_and_options_exist(page: str, line: str) -> None:
    parse(line)


@pytest.mark.parametrize(
    "line", ["edgedistill nothing", "edgedistill run --no-such-option", "edgedistill targets", "edgedistill run"]
)
def test_parse_when_line_is_wrong_then_raises(line: str) -> None:
    with pytest.raises(Exception, match="no command|[Nn]o such option|[Mm]issing"):
        parse(line)
