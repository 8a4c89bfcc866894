"""`facet keys`: make API keys of the gateway, and show what a file of them says."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli.output import stdout
from gateway.identity.caller import Scope
from gateway.identity.keys import KeyEntry, digest_of, make_key, read_keys
from services.chassis.errors import InvalidRequest

app = typer.Typer(
    help="Make API keys of the gateway, and show what a file of them says.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command()
def new(  # noqa: PLR0913  (each is an option)
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is; the log names it.")],
    *,
    scope: Annotated[list[Scope], typer.Option(help="What it may do; may be repeated.")],
    days: Annotated[int | None, typer.Option(min=1, help="When it expires, in days from now.")] = None,
    requests_per_s: Annotated[
        float | None, typer.Option(min=0.001, help="How often it may ask, in the long run.")
    ] = None,
    burst: Annotated[int | None, typer.Option(min=1, help="Requests at once after a pause.")] = None,
    at_once: Annotated[int | None, typer.Option(min=1, help="Requests being worked on.")] = None,
) -> None:
    """Make a key. It is shown once, on standard error; the entry for the file goes to standard output.

    Example: [bold]facet keys new newsletter --scope anonymize --days 365 >> keys.toml[/]
    """
    key = make_key()
    try:
        entry = KeyEntry(
            name=name,
            id=key.id,
            sha256=digest_of(key.text).hex(),
            scopes=scope,
            expires=datetime.now(UTC) + timedelta(days=days) if days else None,
            requests_per_s=requests_per_s,
            burst=burst,
            at_once=at_once,
        )
    except ValueError as error:
        raise InvalidRequest(
            "NAME: 1 to 64 letters, digits, spaces and ._@- of ASCII, beginning with a letter or digit"
        ) from error
    typer.echo("The key, shown this once. Whoever has it may use it:", err=True)
    typer.echo(f"\n{key.text}\n", err=True)
    if sys.stdout.isatty():
        typer.echo("Add this to the file that FACET_GATEWAY_KEYS names:\n", err=True)
    typer.echo(f"{entry.to_toml()}\n")


@app.command("list")
def list_keys(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file that FACET_GATEWAY_KEYS names.")],
) -> None:
    """Check a file of keys and show what they may do.

    Example: [bold]facet keys list keys.toml[/]
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"{file} cannot be read: {error.strerror}") from error
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in ("name", "id", "scopes", "expires", "requests/s", "burst", "at once"):
        table.add_column(heading, no_wrap=True)
    for entry in read_keys(content, str(file)):
        limits = (entry.requests_per_s, entry.burst, entry.at_once)
        shown = ("[dim]default[/]" if limit is None else f"{limit:g}" for limit in limits)
        table.add_row(entry.name, entry.id, " ".join(entry.scopes), _expiry(entry), *shown)
    stdout().print(table)


def _expiry(entry: KeyEntry) -> str:
    if entry.expires is None:
        return "[dim]never[/]"
    day = f"{entry.expires:%Y-%m-%d}"
    return f"[bold red]expired {day}[/]" if entry.expired else day
