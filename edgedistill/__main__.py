"""`python -m edgedistill` and the `edgedistill` command."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from edgedistill.cli.app import run_command_line

        code = run_command_line(sys.argv[1:])
    except KeyboardInterrupt:  # while the command line itself was imported
        sys.stderr.write("interrupted\n")
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
