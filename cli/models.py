"""`facet models`: list, fetch and check the weights. Imports the chassis alone, so that it runs in every image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from cli.options import Ca, Key
from cli.output import say_error, stderr, stdout
from services.chassis.models.manifest import ModelEntry
from services.chassis.models.store import ModelState, ModelStore
from services.chassis.process.settings import ModelSettings

STATE_STYLES = {ModelState.INSTALLED: "green", ModelState.ABSENT: "dim", ModelState.DAMAGED: "bold red"}

app = typer.Typer(
    help="List, fetch and check the model weights. Nothing else in Facet downloads anything.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("list")
def list_models(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, for scripts.")] = False,
    target: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Show what this gateway serves, instead of what is installed here."),
    ] = None,
    key: Key = None,
    ca: Ca = None,
) -> None:
    """Show every known model and whether its weights are installed.

    Examples: [bold]facet models list[/], [bold]facet models list --target https://facet.example[/]
    """
    if target is not None:
        _list_served(target, key, ca, as_json=as_json)
        return
    store = ModelStore(ModelSettings())
    if as_json:
        typer.echo(json.dumps([_as_json(store, entry) for entry in store.entries()], indent=2))
        return
    console = stdout()
    console.print(_table(store))
    console.print()
    for entry in store.entries():
        if entry.license_note:
            console.print(f"[dim]* {entry.name}: {entry.license_note}[/]")
    console.print(f"[dim]Weights are kept in {store.settings.dir}[/]", soft_wrap=True)


@app.command()
def pull(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Models, as `list` names them.")] = None,
    *,
    light: Annotated[
        bool, typer.Option("--light", help="The small models, as many as can be had: failing to get one is no error.")
    ] = False,
) -> None:
    """Fetch weights, check them and install them.

    They come from the folder FACET_MODELS_MIRROR if it has them, else from the manifest's sources.

    A download that broke off goes on where it ended.

    Examples: [bold]facet models pull mobilefacenet[/], [bold]facet models pull --light[/]
    """
    from services.chassis.models.pull import Puller, PullFailed  # noqa: PLC0415  (brings an HTTP client)

    if light == bool(names):
        raise typer.BadParameter("give either the names of models or --light")
    store = ModelStore(ModelSettings())
    entries = (
        [entry for entry in store.entries() if entry.light] if light else [store.entry(name) for name in names or ()]
    )
    report = _PullReport(stdout())
    failed = False
    with Puller(store, report) as puller:
        for entry in entries:
            try:
                was_needed = puller.pull(entry.name)
            except PullFailed as failure:
                report.clear()
                if light:
                    later = f"later: facet models pull {entry.name}"
                    stderr().print(f"[yellow]skipped[/]    {failure.summary}; {later}", soft_wrap=True)
                else:
                    say_error(failure)
                    failed = True
            else:
                report.installed(entry, was_needed=was_needed)
            finally:
                report.clear()
    if failed:
        raise typer.Exit(1)


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Models; none = all that are installed.")
    ] = None,
) -> None:
    """Check installed weights against the manifest.

    Exit 1 if one is damaged, or was named and is absent.

    Examples: [bold]facet models verify[/], [bold]facet models verify mobilefacenet[/]
    """
    store = ModelStore(ModelSettings())
    console = stdout()
    wanted = names or [entry.name for entry in store.entries() if store.path(entry.name).exists()]
    if not wanted:
        console.print(f"No weights are installed in {store.settings.dir}.")
    all_good = True
    for name in wanted:
        state = store.state(name)
        all_good &= state is ModelState.INSTALLED
        verdict = "ok" if state is ModelState.INSTALLED else state
        console.print(f"[{STATE_STYLES[state]}]{verdict:<9}[/] {_label(store.entry(name))}")
        if state is ModelState.DAMAGED:
            replace = f"[dim]run[/] facet models pull {name} [dim]to replace[/] {store.path(name)}"
            console.print(f"          {replace}", soft_wrap=True)
    if not all_good:
        raise typer.Exit(1)


class _PullReport:
    """Tells a person how a pull goes: a bar on a terminal, a line a step in a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: tuple[Progress, TaskID] | None = None

    def waiting(self) -> None:
        self._console.print("[dim]Another pull is under way; waiting for it to end.[/]")

    def started(self, entry: ModelEntry, origin: str) -> None:
        self.clear()
        if not self._console.is_terminal:
            line = f"fetching   {entry.model_id}  {_size(entry)} from {origin}"
            self._console.print(line, markup=False, soft_wrap=True)
            return
        bar = Progress(
            TextColumn("fetching   [bold]{task.description}[/]"),
            BarColumn(bar_width=None),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            expand=True,
        )
        self._bar = bar, bar.add_task(entry.name, total=None)
        bar.start()

    def received(self, done_bytes: int, total_bytes: int | None) -> None:
        if self._bar:
            bar, task = self._bar
            bar.update(task, completed=done_bytes, total=total_bytes)

    def installed(self, entry: ModelEntry, *, was_needed: bool) -> None:
        """The weights are there."""
        self.clear()
        verdict = "[green]installed[/] " if was_needed else "[dim]up to date[/]"
        self._console.print(f"{verdict} {_label(entry)}  [dim]{_size(entry)}[/]")

    def clear(self) -> None:
        """Takes the bar away, so that lines can follow."""
        if self._bar:
            self._bar[0].stop()
            self._bar = None


def _table(store: ModelStore) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("model", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("licence", no_wrap=True)
    for tier in dict.fromkeys(entry.tier for entry in store.entries()):
        table.add_row()
        table.add_row(f"[bold]{tier}[/]")
        for entry in store.entries():
            if entry.tier == tier:
                state = store.state(entry.name)
                licence = entry.license + ("*" if entry.license_note else "")
                table.add_row(f"  {_label(entry)}", f"[{STATE_STYLES[state]}]{state}[/]", _size(entry), licence)
    return table


def _list_served(target: str, key: str | None, ca: Path | None, *, as_json: bool) -> None:
    """What a gateway serves, and why not where it does not."""
    from facet_client import Facet  # noqa: PLC0415  (brings an HTTP client)

    with Facet(target, key=key, ca=ca) as facet:
        models = facet.models()
    if as_json:
        typer.echo(json.dumps([model.model_dump() for model in models], indent=2))
        return
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for heading in ("model", "tier", "state", "licence"):
        table.add_column(heading, overflow="fold")
    for model in models:
        state = "[green]default[/]" if model.is_default else "[green]served[/]"
        told = state if model.serving else f"[dim]{escape(model.detail)}[/]"
        table.add_row(model.model_id or model.name, model.tier, told, model.license)
    stdout().print(table)


def _as_json(store: ModelStore, entry: ModelEntry) -> dict[str, object]:
    return {
        "name": entry.name,
        "model_id": entry.model_id,
        "tier": entry.tier,
        "state": store.state(entry.name),
        "path": str(store.path(entry.name)),
        "sha256": entry.sha256,
        "size_bytes": entry.size_bytes,
        "size_exact": entry.size_exact,
        "license": entry.license,
        "license_note": entry.license_note,
        "threshold": entry.threshold and entry.threshold.model_dump(),
    }


def _label(entry: ModelEntry) -> str:
    return f"{entry.name}[dim]{entry.model_id.removeprefix(entry.name)}[/]"


def _size(entry: ModelEntry) -> str:
    return f"{'' if entry.size_exact else '~'}{decimal(entry.size_bytes)}"
