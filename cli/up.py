"""`facet up`: starts all tiers and the page on this machine."""

from __future__ import annotations

import asyncio

import typer
from rich.console import Console
from rich.markup import escape

_COLOURS = {"detector": "cyan", "embedder": "magenta", "anonymizer": "green", "gateway": "blue"}
_LEVEL_COLOURS = {"warning": "yellow", "error": "bold red"}


def up() -> None:
    """Start all tiers and the web page on this machine; Ctrl-C stops them.

    Ports and everything else are settings: see the README of each tier.
    """
    from cli.local_stack.supervisor import Supervisor  # noqa: PLC0415
    from gateway.settings import GatewaySettings  # noqa: PLC0415  (other commands need none of it)
    from services.chassis.process.settings import load_settings  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)

    def say(name: str, level: str, text: str) -> None:
        colour = _LEVEL_COLOURS.get(level)
        body = f"[{colour}]{escape(text)}[/]" if colour else escape(text)
        console.print(f"[{_COLOURS[name]}]{name:<10}[/] │ {body}")

    def announce(address: str) -> None:
        console.print(f"\n  Facet is ready: [bold]{address}[/]   (Ctrl-C stops it)\n")

    raise typer.Exit(asyncio.run(Supervisor(load_settings(GatewaySettings), say).run(announce)))
