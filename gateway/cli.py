"""The `facet` command: puts the groups of commands together and says a domain error in one line."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from gateway.commands import calibrate, evaluate, models, up, verify_receipt
from gateway.commands.output import say_error
from services.chassis.errors import FacetError


class _SaysDomainErrors(TyperGroup):
    """A domain error is for the caller to read: its message goes to stderr, without a traceback, and the exit is 1."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401  (typer's own signature)
        try:
            return super().invoke(ctx)
        except FacetError as error:
            say_error(error)
            raise typer.Exit(1) from error


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
app.command()(up.up)
app.command()(evaluate.evaluate)
app.command()(calibrate.calibrate)
app.command()(verify_receipt.verify_receipt)


@app.callback()
def _facet() -> None:
    """A callback keeps `facet` a group, however few commands it has."""
