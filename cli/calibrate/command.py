"""`facet calibrate`: a decision threshold from an owner's own pictures of known people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.local_stack.session import Target
from cli.options import Ca, Key


def calibrate(
    folder: Annotated[Path, typer.Argument(help="One folder a person, with that person's pictures in it.")],
    *,
    plot: Annotated[Path | None, typer.Option(help="Write the curves to this PNG.")] = None,
    target: Target = None,
    key: Key = None,
    ca: Ca = None,
) -> None:
    """Find from which similarity on two faces are one person, on your own pictures, and for many comparisons.

    Prints an entry for the manifest that FACET_MODELS_MANIFEST names, and says what the pictures are too few for.
    """
    from cli.calibrate.report import report  # noqa: PLC0415  (other commands need none of it)

    report(folder, plot, target=target, key=key, ca=ca)
