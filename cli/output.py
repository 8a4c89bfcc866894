"""How every command speaks: results on standard output, errors on standard error, nothing cut off in a pipe."""

from __future__ import annotations

import sys

from rich.console import Console

PIPE_WIDTH = 240


def stdout() -> Console:
    """For results."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def stderr() -> Console:
    """For what went wrong."""
    return Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else PIPE_WIDTH)


def say_error(error: Exception) -> None:
    """The message as it is, marked as an error."""
    console = stderr()
    console.print("[red]error:[/]", end=" ")
    console.print(str(error), markup=False, soft_wrap=True)
