"""The root command: its groups, its global options, and the table from failure to exit code."""

import contextlib
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from edgedistill import __version__
from edgedistill.cli import browse, chain, emulated, timing, whole
from edgedistill.cli.terminal import drop, drops, quiet_libraries, show_work, take_any_text, tell, tell_error
from edgedistill.errors import INTERRUPTED_EXIT_CODE, EdgedistillError, StorageError, UsageError
from edgedistill.processes import is_launched_alone, read_seat

app = typer.Typer(
    name="edgedistill",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Take a big fine-tuned transformer to a small one that is proven to fit a device.\n\n"
    "Example: edgedistill run --target raspberry-pi",
    epilog="Exit codes: 0 done, every budget met; 1 internal error; 2 usage or recipe error; 3 a goal or budget is "
    "missed; 4 parity failed; 5 target unreachable; 6 an optional dependency is missing; 130 interrupted.",
)

INTERRUPTED = "interrupted: run the same command again, it goes on where it stopped"

_options = {"traceback": False}


def _version(value: bool) -> None:
    if value:
        sys.stdout.write(f"edgedistill {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    show_traceback: Annotated[bool, typer.Option("--traceback", help="Show the traceback of an error.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no log and no progress.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set up what all commands share."""
    _options["traceback"] = show_traceback
    quiet_libraries()
    show_work(not quiet)


whole.register(app)
chain.register(app)
timing.register(app)
browse.register(app)
emulated.register(app)


def run_command_line(arguments: list[str]) -> int:
    """Run a command and return its exit code; every failure becomes one message and one hint.

    Of several processes that a launcher started, the main one runs the command and the others help it.

    Args:
        arguments: what was typed after `edgedistill`.
    """
    _options["traceback"] = False
    take_any_text()
    quiet_libraries()
    with _terminated_as_interrupted():
        return _answer(lambda: _with_others(lambda: _answer(lambda: _command(arguments))))


def _is_one_of_several() -> bool:
    try:
        return read_seat(os.environ).size > 1
    except UsageError:  # a launcher's contradictory variables: said when the command begins
        return True


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Take SIGTERM as Ctrl-C: programs that were started end too, and half-done work is left so that it can go on.

    A process of several leaves it to the system: it may wait for the others where nothing but its end is noticed.
    """
    if threading.current_thread() is not threading.main_thread() or _is_one_of_several():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _with_others(work: Callable[[], int]) -> int:
    """Do something as one of the processes that a launcher started, or alone."""
    if read_seat(os.environ).size == 1 and not is_launched_alone(os.environ):
        return work()
    from edgedistill.crew import lead

    return lead(work, tell_error)


def _command(arguments: list[str]) -> int:
    result = app(arguments, standalone_mode=False)
    code = result if isinstance(result, int) else 0
    with drops(sys.stdout):  # the reader may be gone; what was found stands all the same
        sys.stdout.flush()
    if code == INTERRUPTED_EXIT_CODE:  # typer turns Ctrl-C into this result
        tell(INTERRUPTED)
    return code


def _answer(work: Callable[[], int]) -> int:
    """Do something and return its exit code; every failure becomes one message and one hint."""
    try:
        return work()
    except EdgedistillError as failure:
        _trace()
        tell_error(failure)
        return failure.exit_code
    except SystemExit as ended:
        return _code_of(ended)
    except KeyboardInterrupt:
        tell(INTERRUPTED)
        return INTERRUPTED_EXIT_CODE
    except Exception as failure:  # noqa: BLE001 - the outermost frame: nothing may reach the user as a traceback
        return _unexpected(failure)


def _code_of(ended: SystemExit) -> int:
    """Return the code of a library that ends the process; typer does so with 1 when the reader of a pipe went away."""
    if isinstance(ended.__context__, BrokenPipeError):
        drop(sys.stdout)
        return 0
    return ended.code if isinstance(ended.code, int) else int(ended.code is not None)


def _unexpected(failure: Exception) -> int:
    """Report typer's own usage errors with exit code 2, full disks as such, and anything else as an internal error."""
    if callable(getattr(failure, "show", None)):
        return _usage(failure)
    if type(failure).__name__ == "Abort":  # the input of a question ended
        tell(INTERRUPTED)
        return INTERRUPTED_EXIT_CODE
    _trace()
    if isinstance(failure, OSError):
        drop(sys.stdout)
        tell_error(StorageError(f"{failure.filename or 'the output'}: {failure.strerror or failure}",
                                hint="check that the path is right, that it may be written and that the disk has room"))
        return StorageError.exit_code
    tell_error(EdgedistillError(f"internal error: {type(failure).__name__}: {failure}",
                                hint=f"this is a mistake in edgedistill; report it with what this prints: {_again()}"))
    return EdgedistillError.exit_code


def _usage(failure: Any) -> int:
    """Say a usage error of typer in our own form; a group without a command shows its help."""
    if type(failure).__name__ == "NoArgsIsHelpError":
        tell(failure.format_message())
        return UsageError.exit_code
    context = getattr(failure, "ctx", None)
    command = context.command_path if context else "edgedistill"
    message = failure.format_message().rstrip(".").replace(". Did you mean", "; did you mean")
    tell_error(UsageError(message[:1].lower() + message[1:], hint=f"{command} --help"))
    return UsageError.exit_code


def _again() -> str:
    return " ".join(["edgedistill", "--traceback", *map(shlex.quote, sys.argv[1:])])


def _trace() -> None:
    if _options["traceback"]:
        traceback.print_exc()
