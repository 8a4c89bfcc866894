"""Runs all tiers of one machine as separate processes: one readable log, one address, one Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from facet_client import ServiceError, calls
from gateway.http.tls import context_trusting
from gateway.settings import GatewaySettings
from services.chassis.process import announcement
from services.chassis.process.announcement import Announcement, State

STARTUP_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
RESTART_DELAY_S = 1.0
POLL_S = 0.1
LONGEST_LINE_BYTES = 1024 * 1024  # the frames of a deep recursion take more than the 64 KiB that asyncio allows
LAST_LINES = 4
"""So many of a part that could not start are given as the reason."""
LEFT_OUT_OF_THE_LOG = ("time", "level", "tier", "event", "request_id")

Say = Callable[[str, str, str], None]
"""Takes the tier's name, the level and the text of one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process."""

    name: str
    module: str


TIERS = (
    Part(name="detector", module="services.detector"),
    Part(name="embedder", module="services.embedder"),
    Part(name="anonymizer", module="services.anonymizer"),
)
GATEWAY = Part(name="gateway", module="gateway")
"""Starts once the tiers listen, and stops before them, so that its last requests are still answered."""

ANONYMIZING = ("detector", "anonymizer")
"""What `facet up` waits for: without the embedder, anonymizing works all the same."""

_TIERS_HOST = "127.0.0.1"  # whatever FACET_HOST opens to the network, it is the gateway alone
_LOCAL_HOSTS = (_TIERS_HOST, "0.0.0.0", "::", "::1")  # noqa: S104  (compared, not bound)


class Supervisor:
    """Starts the parts, restarts one that dies, stops them all."""

    def __init__(
        self,
        settings: GatewaySettings,
        say: Say,
        *,
        tiers: Sequence[Part] = TIERS,
        needed: Sequence[str] = ANONYMIZING,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        """Starts nothing yet.

        Args:
            settings: The gateway's, as the environment has them.
            say: Takes every line of the log.
            tiers: Those to start; the environment tells the gateway where the others are.
            needed: The names of the tiers, started or not, without which nothing is ready.
            environment: Of every part.
        """
        self._settings = settings
        self._say = say
        self._tiers = tiers
        self._needed = needed
        self._base = environment
        self._patient = True
        self.failure = ""
        """Why not all became ready: the part's name, and what is wrong with it."""
        self._stopping = asyncio.Event()
        self._ready = False
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._ports: dict[str, int] = {}
        self._lacking: dict[str, str] = {}
        self._last_lines: defaultdict[str, deque[str]] = defaultdict(partial(deque, maxlen=LAST_LINES))

    async def run(self, announce: Callable[[str], None]) -> int:
        """Runs until SIGINT, SIGTERM or a part that cannot start; returns the exit code.

        Args:
            announce: Called once with the page's address when everything is ready.
        """
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signal_number, self.stop)
        return await self.serve(announce)

    def stop(self) -> None:
        """Has everything end; to be called in the event loop."""
        self._stopping.set()

    async def serve(self, announce: Callable[[str], None], *, patient: bool = True) -> int:
        """As `run`, but until `stop`: a thread other than the first gets no signals.

        Args:
            announce: As `run` takes it.
            patient: Wait for a tier that lacks something, which may appear; otherwise everything ends at once.
        """
        self._patient = patient
        try:
            self._ready = await self._start()
            if self._ready:
                announce(self._address)
                await self._stopping.wait()
            return 0 if self._stopping.is_set() else 1
        finally:
            self._stopping.set()
            await self._stop()
            await asyncio.gather(*self._keepers, return_exceptions=True)

    @property
    def _address(self) -> str:
        host = self._settings.shared.host
        scheme = "http" if self._settings.tls.certificate is None else "https"
        return f"{scheme}://{'localhost' if host in _LOCAL_HOSTS else host}:{self._ports[GATEWAY.name]}"

    async def _start(self) -> bool:
        """Starts everything; whether all became ready."""
        certificate = self._settings.tls.certificate
        verify = True if certificate is None else context_trusting(certificate)
        try:
            async with asyncio.timeout(STARTUP_TIMEOUT_S), httpx.AsyncClient(trust_env=False, verify=verify) as client:
                self._begin(*self._tiers)
                if not await self._until(self._listening):
                    return False
                self._begin(GATEWAY)
                return await self._until(partial(self._answering, client))
        except TimeoutError:
            lacking = (f"{name}: {self._lacking[name]}" for name in self._needed if name in self._lacking)
            why = "; ".join(lacking) or "the lines above say why"
            self._fail(GATEWAY, f"not ready after {STARTUP_TIMEOUT_S:g} s; {why}")
            return False

    def _begin(self, *parts: Part) -> None:
        self._keepers.extend(asyncio.create_task(self._keep(part)) for part in parts)

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> bool:
        """Waits for it; False where everything stops or a part has failed before."""
        while not self._stopping.is_set() and not any(keeper.done() for keeper in self._keepers):
            if await condition():
                return True
            await asyncio.sleep(POLL_S)
        return False

    async def _listening(self) -> bool:
        return all(part.name in self._ports for part in self._tiers)

    async def _answering(self, client: httpx.AsyncClient) -> bool:
        if GATEWAY.name not in self._ports:  # what answers at its address is not ours
            return False
        try:
            readiness = calls.ready().read(await client.get(f"{self._address}/readyz"))
        except (httpx.TransportError, ServiceError):
            return False
        return all(readiness.tiers[name].ready for name in self._needed)

    def _environment(self, part: Part) -> dict[str, str]:
        """The gateway is told where the tiers listen; a part that is started again keeps its port."""
        own = {f"FACET_{part.name.upper()}_PORT": str(self._ports[part.name])} if part.name in self._ports else {}
        if part == GATEWAY:
            targets = {
                f"FACET_{tier.name.upper()}_TARGET": f"{_TIERS_HOST}:{self._ports[tier.name]}" for tier in self._tiers
            }
            return {**self._base, **targets, **own}
        # One port for all would be taken: no kubelet asks here.
        base = {name: value for name, value in self._base.items() if name != "FACET_HEALTH_PORT"}
        return {**base, "FACET_HOST": _TIERS_HOST, **own}

    async def _keep(self, part: Part) -> None:
        """Runs one part until everything stops; ends early where it fails before everything was ready."""
        while True:
            process, read_end = await self._spawn(part)
            self._processes[part.name] = process
            if self._stopping.is_set():  # while it was being started, and so too late for `_stop` to see it
                process.terminate()
            await asyncio.gather(self._relay(part, process), self._follow(part, read_end))
            code = await process.wait()
            if self._stopping.is_set():
                return
            if not self._ready:
                self._fail(part, f"could not start (exit code {code})", self._last_lines[part.name])
                return
            self._say(part.name, "error", f"ended unexpectedly (exit code {code}); starting it again")
            await asyncio.sleep(RESTART_DELAY_S)
            if self._stopping.is_set():
                return

    async def _spawn(self, part: Part) -> tuple[asyncio.subprocess.Process, int]:
        """Its process, and the descriptor that its announcements are read from."""
        read_end, write_end = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # nothing is imported from the working folder, which may be one that somebody sent
                "-m",
                "cli.local_stack.child",  # no part outlives a supervisor that was killed
                str(os.getpid()),
                part.module,
                env={**self._environment(part), announcement.VARIABLE: str(write_end)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                limit=LONGEST_LINE_BYTES,
                pass_fds=(write_end,),
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops the parts in order
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        return process, read_end

    async def _relay(self, part: Part, process: asyncio.subprocess.Process) -> None:
        """Shows the log of a part to people."""
        assert process.stdout is not None  # noqa: S101  (for the type checker)
        async for line in process.stdout:
            level, text = readable(log_record(line.decode(errors="replace").rstrip()))
            self._last_lines[part.name].append(text)
            self._say(part.name, level, text)

    async def _follow(self, part: Part, read_end: int) -> None:
        """Takes what a part announces, until it has ended."""
        async for heard in _announcements(read_end):
            if heard.state is State.LISTENING and heard.port is not None:
                self._ports[part.name] = heard.port
            elif heard.state is State.READY:
                self._lacking.pop(part.name, None)
            elif heard.state is State.NOT_READY:
                self._take_lack(part, heard.reason or "")

    def _take_lack(self, part: Part, reason: str) -> None:
        self._lacking[part.name] = reason
        if not self._patient and not self._ready:
            self.failure = f"{part.name}: not ready: {reason}"
            self.stop()
        elif part.name in self._needed and self._settings.shared.log_level == "ERROR":  # its log leaves it out
            self._say(part.name, "warning", f"not ready: {reason}")

    def _fail(self, part: Part, text: str, lines_before: Iterable[str] = ()) -> None:
        self._say(part.name, "error", text)
        self.failure = f"{part.name}: " + "\n".join((*lines_before, text))

    async def _stop(self) -> None:
        """The gateway first; the tiers stop together, but only once nobody calls them any more."""
        for parts in ((GATEWAY,), self._tiers):
            running = [self._processes[part.name] for part in parts if part.name in self._processes]
            for process in running:
                if process.returncode is None:
                    process.terminate()
            await asyncio.gather(*(_ended(process) for process in running))


async def _announcements(read_end: int) -> AsyncIterator[Announcement]:
    """Until the other end of the pipe is closed."""
    lines = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(read_end, "rb", buffering=0)
    )
    with contextlib.closing(transport):
        async for line in lines:
            if (heard := Announcement.parse(line)) is not None:
                yield heard


def log_record(line: str) -> dict[str, Any]:
    """The fields of a log line; a line that is no JSON object is an event of its own."""
    try:
        record: Any = json.loads(line)
    except ValueError:
        record = None
    return {"event": line, **record} if isinstance(record, dict) else {"event": line}


def readable(record: dict[str, Any]) -> tuple[str, str]:
    """The level and the text of a log line."""
    fields = (f"{key}={value}" for key, value in record.items() if key not in LEFT_OUT_OF_THE_LOG)
    request_id = (record["request_id"],) if "request_id" in record else ()
    return str(record.get("level", "info")), " ".join((str(record["event"]), *fields, *request_id))


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
