"""The `facet` command: puts the groups of commands together and says a domain error in one line."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli import anonymize, audit, compare, detect, embed, find, keys, models, up, verify_receipt
from cli.calibrate import command as calibrate
from cli.evaluate import command as evaluate
from cli.failures import FAILURES
from cli.options import INTERRUPTED
from cli.output import say_error


class _SaysDomainErrors(TyperGroup):
    """A domain error is for the caller to read: its message goes to stderr, without a traceback, and the exit is 1.

    Ctrl-C ends without a word.
    """

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401  (typer's own signature)
        try:
            return super().invoke(ctx)
        except FAILURES as error:
            say_error(error)
            raise typer.Exit(1) from error
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="facet",
    help="Find faces in pictures, make them unrecognisable, or tell who is who, wholly on your own machines.",
    cls=_SaysDomainErrors,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,  # a local may hold a picture
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.command()(up.up)
app.command()(anonymize.anonymize)
app.command()(detect.detect)
app.command()(embed.embed)
app.command()(compare.compare)
app.command()(find.find)
app.command()(evaluate.evaluate)
app.command()(calibrate.calibrate)
app.command()(verify_receipt.verify_receipt)


@app.command()
def version() -> None:
    """Show the version, as --version does."""
    from services.chassis.version import facet_version  # noqa: PLC0415

    typer.echo(f"facet {facet_version()}")


def _say_version(wanted: bool) -> None:  # noqa: FBT001  (as typer calls it)
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _facet(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A callback keeps `facet` a group, however few commands it has."""
