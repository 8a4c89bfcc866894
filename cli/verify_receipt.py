"""`facet verify-receipt`: whether a receipt belongs to a picture and to a key, and what it says was hidden."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def verify_receipt(
    receipt: Annotated[
        str, typer.Argument(help="The value of X-Facet-Receipt, a file with it, or the headers that `curl -D` saved.")
    ],
    picture: Annotated[Path, typer.Argument(help="The picture that came with it.")],
    *,
    key: Annotated[
        str | None,
        typer.Option(help="A PEM file, or the address of the gateway that signed; default: the gateway of --target."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(envvar="FACET_TARGET", metavar="URL", help="The gateway that signed.", show_default=False),
    ] = None,
    original: Annotated[Path | None, typer.Option(help="Also check that this was the picture before.")] = None,
) -> None:
    """Check that a receipt was signed with a key and belongs to a picture, and show what was hidden.

    Exit 1 if it was changed, or belongs to another picture or key.

    Example: [bold]facet verify-receipt headers.txt hidden.jpg --key http://localhost:8080[/]
    """
    signer = key or target
    if signer is None:
        raise typer.BadParameter("give the signer's key: --key FILE, or the gateway with --target URL")
    from cli.receipt_check import report  # noqa: PLC0415  (other commands need none of it)

    report(receipt, picture, original, signer)
