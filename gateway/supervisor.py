"""Runs all tiers of one machine as separate processes: one readable log, one address, one Ctrl-C."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from gateway.settings import GatewaySettings

STARTUP_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
RESTART_DELAY_S = 1.0
POLL_S = 0.2
LEFT_OUT_OF_THE_LOG = ("time", "level", "tier", "event", "request_id")
_PR_SET_PDEATHSIG = 1

Say = Callable[[str, str, str], None]
"""Takes the tier's name, the level and the text of one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process."""

    name: str
    module: str


PARTS = (
    Part(name="detector", module="services.detector"),
    Part(name="anonymizer", module="services.anonymizer"),
    Part(name="gateway", module="gateway"),
)
"""In the order they start; they stop the other way round, so that the gateway's last requests are still answered."""


class Supervisor:
    """Starts the parts, restarts one that dies, stops them all."""

    def __init__(self, settings: GatewaySettings, say: Say) -> None:
        self._settings = settings
        self._say = say
        self._stopping = asyncio.Event()
        self._ready = False
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def run(self, announce: Callable[[str], None]) -> int:
        """Runs until SIGINT, SIGTERM or a part that cannot start; returns the exit code.

        Args:
            announce: Called once with the page's address when everything is ready.
        """
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signal_number, self._stopping.set)
        keepers = [asyncio.create_task(self._keep(part)) for part in PARTS]
        try:
            if not await self._until_ready(keepers):
                return 0 if self._stopping.is_set() else 1
            self._ready = True
            announce(self._address)
            await self._stopping.wait()
            return 0
        finally:
            self._stopping.set()
            await self._stop()
            await asyncio.gather(*keepers, return_exceptions=True)

    @property
    def _address(self) -> str:
        return f"http://localhost:{self._settings.port}"

    async def _until_ready(self, keepers: list[asyncio.Task[None]]) -> bool:
        async with asyncio.timeout(STARTUP_TIMEOUT_S), httpx.AsyncClient(trust_env=False) as client:
            while not self._stopping.is_set() and not any(keeper.done() for keeper in keepers):
                try:
                    if (await client.get(f"http://127.0.0.1:{self._settings.port}/readyz")).is_success:
                        return True
                except httpx.TransportError:
                    pass
                await asyncio.sleep(POLL_S)
        return False

    async def _keep(self, part: Part) -> None:
        """Runs one part until everything stops; ends early where it fails before everything was ready."""
        while True:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                part.module,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops the parts in order
                preexec_fn=_die_with_parent(os.getpid()),
            )
            self._processes[part.name] = process
            await self._relay(part, process)
            code = await process.wait()
            if self._stopping.is_set() or not self._ready:
                if not self._stopping.is_set():
                    self._say(part.name, "error", f"could not start (exit code {code})")
                return
            self._say(part.name, "error", f"ended unexpectedly (exit code {code}); starting it again")
            await asyncio.sleep(RESTART_DELAY_S)
            if self._stopping.is_set():
                return

    async def _relay(self, part: Part, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101  (for the type checker)
        async for line in process.stdout:
            level, text = readable(line.decode(errors="replace").rstrip())
            self._say(part.name, level, text)

    async def _stop(self) -> None:
        for part in reversed(PARTS):
            process = self._processes.get(part.name)
            if process is None or process.returncode is not None:
                continue
            process.send_signal(signal.SIGTERM)
            if part.name == "gateway":  # the tiers stop together, but only once nobody calls them any more
                await _ended(process)
        await asyncio.gather(*(_ended(process) for process in self._processes.values()))


def readable(line: str) -> tuple[str, str]:
    """The level and the text of a log line; a line that is no JSON object is passed on as it is."""
    try:
        record: Any = json.loads(line)
    except ValueError:
        return "info", line
    if not isinstance(record, dict):
        return "info", line
    fields = (f"{key}={value}" for key, value in record.items() if key not in LEFT_OUT_OF_THE_LOG)
    request_id = (record["request_id"],) if "request_id" in record else ()
    return str(record.get("level", "info")), " ".join((str(record.get("event", "")), *fields, *request_id))


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _die_with_parent(parent: int) -> Callable[[], None]:
    """Run in the child before it starts: no part outlives a supervisor that was killed."""
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # the supervisor died in between
            os._exit(1)

    return prepare
