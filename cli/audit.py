"""`facet audit`: check the audit log of a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.output import stderr, stdout
from gateway.audit.verification import Expected
from gateway.audit.verification import verify as verify_files

app = typer.Typer(help="Check the audit log of a gateway.", no_args_is_help=True, rich_markup_mode="rich")


@app.command()
def verify(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="The log's files, the oldest first, of one gateway.")
    ],
    *,
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="SEQ[:HASH]",
            help="A line that you know of: a number from facet_gateway_audit_lines, or `audit` from the access log.",
        ),
    ] = None,
    first: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SEQ[:HASH]",
            help="The line that the files begin with, where earlier ones are archived; without it, line 1.",
        ),
    ] = None,
) -> None:
    """Check that no line of an audit log was changed, removed, added or moved.

    Exit 1 if one was; the first is named. Lines taken away at the end show only against what --expect knows; files
    that do not begin with line 1 are refused, unless --from says where they begin.

    Example: [bold]facet audit verify audit.jsonl.2 audit.jsonl.1 audit.jsonl --expect 4711[/]
    """
    verified = verify_files(files, _known(expect), first=_known(first))
    for notice in verified.notices:
        stderr().print(f"[yellow]note:[/] {notice}", soft_wrap=True)
    if verified.last is None:
        stdout().print("no lines")
        return
    stdout().print(
        f"[green]ok[/]  lines {verified.first} to {verified.last.seq}, the last is {verified.last}", soft_wrap=True
    )


def _known(line: str | None) -> Expected | None:
    return Expected.parse(line) if line is not None else None
