"""The root command: its groups, its global options, and the table from failure to exit code."""

import sys
import traceback
from typing import Annotated

import typer

from edgedistill import __version__
from edgedistill.cli import browse, chain, whole
from edgedistill.cli.terminal import quiet_libraries, show_log, tell, tell_error
from edgedistill.errors import INTERRUPTED_EXIT_CODE, EdgedistillError, StorageError

app = typer.Typer(
    name="edgedistill",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Take a big fine-tuned transformer to a small one that is proven to fit a device.\n\n"
    "Example: edgedistill run --target raspberry-pi",
    epilog="Exit codes: 0 done, every budget met; 1 internal error; 2 usage or recipe error; 3 a goal or budget missed; "
    "4 parity failed; 5 target unreachable; 6 an optional dependency is missing; 130 interrupted.",
)

_options = {"traceback": False}


def _version(value: bool) -> None:
    if value:
        sys.stdout.write(f"edgedistill {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    show_traceback: Annotated[bool, typer.Option("--traceback", help="Show the traceback of an error.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No log and no progress on stderr.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set up what all commands share."""
    _options["traceback"] = show_traceback
    quiet_libraries()
    if not quiet:
        show_log()


whole.register(app)
chain.register(app)
browse.register(app)


def run_command_line(arguments: list[str]) -> int:
    """Run a command and return its exit code; every failure becomes one message and one hint.

    Args:
        arguments: what was typed after `edgedistill`.
    """
    try:
        result = app(arguments, standalone_mode=False)
    except EdgedistillError as failure:
        _trace()
        tell_error(failure)
        return failure.exit_code
    except KeyboardInterrupt:
        tell("interrupted: run the same command again, it goes on where it stopped")
        return INTERRUPTED_EXIT_CODE
    except BrokenPipeError:
        return 0
    except Exception as failure:  # noqa: BLE001 - the outermost frame: nothing may reach the user as a traceback
        return _unexpected(failure)
    return result if isinstance(result, int) else 0


def _unexpected(failure: Exception) -> int:
    """Report typer's own usage errors with exit code 2, full disks as such, and anything else as an internal error."""
    show = getattr(failure, "show", None)
    if callable(show):
        show()
        return int(getattr(failure, "exit_code", 2))
    if type(failure).__name__ == "Abort":
        tell("interrupted")
        return INTERRUPTED_EXIT_CODE
    _trace()
    if isinstance(failure, OSError):
        tell_error(StorageError(f"{failure.filename or 'a file'}: {failure.strerror or failure}",
                                hint="check that the folder may be written and the disk has room"))
        return StorageError.exit_code
    tell_error(EdgedistillError(f"internal error: {type(failure).__name__}: {failure}",
                                hint="run again with --traceback and report it with the recipe"))
    return EdgedistillError.exit_code


def _trace() -> None:
    if _options["traceback"]:
        traceback.print_exc()
