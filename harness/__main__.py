"""The `harness` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; an error that the user can act on is printed without a traceback."""
    from harness.commands import cli
    from harness.errors import INTERRUPTED, HarnessError

    try:
        cli.main(standalone_mode=False)
    except HarnessError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output left; nobody is there to be told
        raise SystemExit(0) from None
    except Exception as error:
        import click

        if isinstance(error, click.exceptions.Abort):
            raise SystemExit(INTERRUPTED) from None
        if isinstance(error, click.ClickException):
            error.show()
            raise SystemExit(error.exit_code) from None
        raise


if __name__ == "__main__":
    main()
