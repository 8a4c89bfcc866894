"""A gateway for one command: started with its tiers on free loopback ports, silent, ended with the command."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Thread

from cli.local_stack.supervisor import TIERS, Supervisor
from cli.output import say_error
from gateway.settings import GatewaySettings, GatewayTlsSettings
from gateway.tiers.channels import Tiers
from services.chassis.errors import NotReady
from services.chassis.process.settings import load_settings

LOOPBACK = "127.0.0.1"

_NOT_FOR_ONE_USER = ("FACET_GATEWAY_KEYS", "FACET_GATEWAY_OIDC_", "FACET_GATEWAY_TLS_")
"""Settings of a gateway for many callers, which one on the loopback address for one command does not have."""


class OwnGateway:
    """A gateway and tiers, kept by a supervisor in a thread of its own.

    Of the tiers, those that FACET_<TIER>_TARGET names are used, and the others started.
    """

    def __init__(self, needed: Sequence[str]) -> None:
        """Starts nothing yet; `needed` are the names of the tiers."""
        settings = load_settings(GatewaySettings)
        self._given = [name for name in needed if _target_variable(name) in os.environ]
        shared = settings.shared.model_copy(update={"host": LOOPBACK})
        self._supervisor = Supervisor(
            settings.model_copy(update={"shared": shared, "tls": GatewayTlsSettings(certificate=None, key=None)}),
            self._hear,
            tiers=[tier for tier in TIERS if tier.name in needed and tier.name not in self._given],
            needed=needed,
            environment=_environment(),
        )
        self._address: Future[str] = Future()
        self._loop = asyncio.new_event_loop()
        # What a thread starts gets its death signal when the thread ends: it lives as long as the parts do.
        self._thread = Thread(target=self._keep, name="supervisor", daemon=True)

    def start(self) -> str:
        """Starts everything and waits; answers the address.

        Raises:
            NotReady: A part cannot start, or what it needs is missing; the message says what to do.
        """
        if self._given:
            asyncio.run(_refuse_unless_serving(self._given))
        self._thread.start()
        return self._address.result()

    def stop(self) -> None:
        """Ends everything and waits for it."""
        if self._thread.ident is None:  # never started
            self._loop.close()
            return
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended by itself
            self._loop.call_soon_threadsafe(self._supervisor.stop)
        self._thread.join()

    def _keep(self) -> None:
        try:
            self._loop.run_until_complete(self._supervisor.serve(self._address.set_result, patient=False))
        finally:
            self._loop.close()
            if not self._address.done():
                self._address.set_exception(NotReady(self._supervisor.failure or "the parts did not become ready"))

    def _hear(self, name: str, level: str, text: str) -> None:
        """Takes a line of the log, in the supervisor's thread."""
        if self._address.done() and level == "error":
            say_error(RuntimeError(f"{name}: {text}"))


def _environment() -> dict[str, str]:
    """Of every part: any free port, nothing to wait for at the end."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_ONE_USER)}
    parts = ("DETECTOR", "EMBEDDER", "ANONYMIZER", "GATEWAY")
    ports = {f"FACET_{part}_{port}": "0" for part in parts for port in ("PORT", "METRICS_PORT")}
    return {**kept, **ports, "FACET_HOST": LOOPBACK, "FACET_DRAIN_S": "0"}


async def _refuse_unless_serving(names: Sequence[str]) -> None:
    settings = load_settings(GatewaySettings)
    tiers = Tiers(settings.targets, settings.shared)
    try:
        states = await tiers.states()
    finally:
        await tiers.close()
    for name in names:
        if not states[name].ready:
            variable = _target_variable(name)
            raise NotReady(f"{states[name].detail} {variable} says that it is at {os.environ[variable]}.")


def _target_variable(name: str) -> str:
    return f"FACET_{name.upper()}_TARGET"
