"""The `harness` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; an error that the user can act on is printed without a traceback."""
    from harness.commands import cli
    from harness.errors import INTERRUPTED, RUN_FAILED, HarnessError, RunFailed
    from harness.text import printable

    try:
        cli.main(standalone_mode=False)
    except HarnessError as error:
        if isinstance(error, RunFailed):  # its text may be a library's, in many lines; failure.txt has all of it
            error.what = next((line for line in error.what.splitlines() if line.strip()), "")
        print(printable(f"error: {error}"), file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        from harness.commands import output

        output.nobody_reads()  # what the command had come to is not known here: not to success
        raise SystemExit(RUN_FAILED) from None
    except Exception as error:
        import io

        import click

        if isinstance(error, click.exceptions.Abort):
            raise SystemExit(INTERRUPTED) from None
        if isinstance(error, click.ClickException):
            text = io.StringIO()
            error.show(text)
            print(printable(text.getvalue()), end="", file=sys.stderr)
            raise SystemExit(error.exit_code) from None
        raise


if __name__ == "__main__":
    main()
