"""`facet evaluate`: measures a running deployment on an owner's own labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.local_stack.session import Target
from cli.options import Ca, Key
from facet_client.names import RecallName


def evaluate(  # noqa: PLR0913, PLR0917  (a command has as many parameters as options)
    labels: Annotated[Path, typer.Argument(help="COCO's JSON or WIDER FACE's text.")],
    pictures: Annotated[Path, typer.Argument(help="The folder that the labels' file names are relative to.")],
    recall: Annotated[list[RecallName] | None, typer.Option(help="Repeat for several; default: all.")] = None,
    model: Annotated[str, typer.Option(help="Detection model; default: the deployment's.")] = "",
    margin: Annotated[float | None, typer.Option(help="Margin of the hidden regions.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the curves to this PNG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print figures for machines.")] = False,  # noqa: FBT002
    target: Target = None,
    key: Key = None,
    ca: Ca = None,
) -> None:
    """Measure how many faces a deployment finds and hides in your own labelled pictures."""
    from cli.evaluate.report import Asked, report  # noqa: PLC0415  (other commands need none of it)

    report(
        Asked(
            labels=labels,
            pictures=pictures,
            recalls=recall or list(RecallName),
            model=model,
            margin=margin,
            plot=plot,
            as_json=as_json,
            target=target,
            key=key,
            ca=ca,
        )
    )
