"""`facet compare`: whether two pictures show one person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from cli.local_stack.session import Target, running
from cli.options import Ca, Key, read_picture
from cli.output import stdout

DIFFERENT = 3


def compare(  # noqa: PLR0913  (a command has as many parameters as options)
    a: Annotated[Path, typer.Argument(metavar="A", help="A picture.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another one.")],
    *,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 3 where it is not one person.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for scripts.")] = False,
    target: Target = None,
    key: Key = None,
    ca: Ca = None,
) -> None:
    """Tell whether the largest faces of two pictures are one person's.

    Examples: [bold]facet compare passport.jpg visitor.jpg[/], [bold]facet compare a.jpg b.jpg --json[/]

    [bold]Exit codes[/]: 0 compared, whatever came of it; 1 not compared; 2 wrong use; 3 not one person, with \
--exit-code alone; 130 Ctrl-C.
    """
    from facet_client import Facet  # noqa: PLC0415  (other commands need none of it)

    pictures = read_picture(a), read_picture(b)
    with running(target, anonymizer=False, embedder=True) as url, Facet(url, key=key, ca=ca) as facet:
        comparison = facet.compare(*pictures)
    if as_json:
        typer.echo(json.dumps(comparison.model_dump(mode="json"), indent=2))
    else:
        verdict = "[green]one person[/]" if comparison.same_person else "[yellow]not one person[/]"
        stdout().print(
            f"{verdict}: similarity {comparison.similarity:.3f}, threshold {comparison.threshold:.3f} "
            f"[dim]({comparison.model}; {comparison.threshold_calibration})[/]",
            soft_wrap=True,
        )
    if exit_code and not comparison.same_person:
        raise typer.Exit(DIFFERENT)
