"""The `harness` command."""

from __future__ import annotations

import atexit
import os
import sys

from harness import interruption


def main() -> None:
    """Run the command line as a process. A signal ends it with its exit code and no traceback, whenever it comes."""
    interruption.quit_on_signals()  # while this imports; nothing is at stake yet
    atexit.register(interruption.ignore_signals)  # the first of such functions is called last
    unheard = False
    try:
        from harness.commands import cli  # noqa: F401 - before a signal may raise in the middle of an import

        interruption.raise_on_signals()
        invoke()
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except OSError:
        if not interruption.came():  # else it is the terminal that has gone with the signal
            raise
        code, unheard = interruption.exit_code(), True
    except BaseException:
        if not interruption.raised():  # else it is what a signal was turned into on its way here
            raise
        code = interruption.exit_code()
    interruption.quit_on_signals()  # while the interpreter ends; all is told and saved
    if "harness.lifeline" in sys.modules:
        from harness.lifeline import end_descendants

        end_descendants()
    if unheard:
        os._exit(code)  # what is still to be said cannot be
    raise SystemExit(code)


def invoke() -> None:
    """Run the command line; an error that the user can act on is printed without a traceback. Raises SystemExit."""
    from harness.commands import cli
    from harness.errors import RUN_FAILED, HarnessError, RunFailed
    from harness.text import printable

    try:
        cli.main(standalone_mode=False)
        sys.stdout.flush()
    except HarnessError as error:
        if isinstance(error, RunFailed):  # its text may be a library's, in many lines; failure.txt has all of it
            error.what = next((line for line in error.what.splitlines() if line.strip()), "")
        print(printable(f"error: {error}"), file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt as error:
        raise SystemExit(interruption.exit_code(*error.args)) from None
    except BrokenPipeError:
        from harness.commands import output

        output.discard_stdout()  # what the command had come to is not known here: not to success
        raise SystemExit(RUN_FAILED) from None
    except Exception as error:
        import io

        import click

        if isinstance(error, click.exceptions.Abort):  # made of a KeyboardInterrupt
            raise SystemExit(interruption.exit_code(*getattr(error.__cause__, "args", ()))) from None
        if isinstance(error, click.ClickException):
            text = io.StringIO()
            error.show(text)
            print(printable(text.getvalue()), end="", file=sys.stderr)
            raise SystemExit(error.exit_code) from None
        raise


if __name__ == "__main__":
    main()
