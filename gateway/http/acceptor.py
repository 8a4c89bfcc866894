"""Accepts connections up to a limit; at the limit a newcomer replaces the one that has been idle for longest.

So nobody keeps others out by opening connections and sending nothing, not even a TLS handshake. asyncio's own way knows
no bound; where descriptors run out it fills the log with hundreds of thousands of lines and does not recover (3.11).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from gateway.http.throttled_warning import ThrottledWarning

if sys.platform != "win32":
    import resource

_OTHER_DESCRIPTORS = 256
"""Of the process: channels to the tiers, files, listeners."""

_log = logging.getLogger("facet.connections")


class Droppable(Protocol):
    """A connection, or what will be one."""

    def drop(self) -> None:
        """Ends it at once."""


class ConnectionLimit:
    """Limits open connections, and knows which has been idle for longest."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._idle: dict[Droppable, None] = {}
        self._busy: set[Droppable] = set()
        self._dropped = ThrottledWarning(_log, "too many connections", "dropped")

    def mark_idle(self, who: Droppable) -> None:
        """It waits for its client, from now on."""
        self.remove(who)
        self._idle[who] = None

    def mark_busy(self, who: Droppable) -> None:
        """It has a request to answer."""
        self.remove(who)
        self._busy.add(who)

    def remove(self, who: Droppable) -> None:
        """It is gone."""
        self._idle.pop(who, None)
        self._busy.discard(who)

    def make_room(self) -> bool:
        """Whether there is room for one more, perhaps as an idle one was dropped for it."""
        if len(self._idle) + len(self._busy) < self._most:
            return True
        self._dropped.note()
        if not self._idle:
            return False
        longest = next(iter(self._idle))
        self.remove(longest)
        longest.drop()
        return True


class Acceptor:
    """Accepts on one listener, on the running event loop."""

    at_once: ClassVar[int] = 64
    """Others have their turn in between."""
    pause_s: ClassVar[float] = 1.0

    def __init__(
        self,
        listener: socket.socket,
        limit: ConnectionLimit,
        protocol: Callable[[], asyncio.BaseProtocol],
        context: ssl.SSLContext | None,
        patience_s: float,
    ) -> None:
        """Begins at once.

        Args:
            listener: Listens already; stays its maker's.
            limit: Whatever `protocol` makes keeps its own place from its connection on.
            protocol: Makes that of a connection.
            context: For TLS.
            patience_s: How long a TLS handshake may take, and each end of one.
        """
        self._listener = listener
        self._limit = limit
        self._protocol = protocol
        self._tls: dict[str, Any] = {}
        if context is not None:
            self._tls = {"ssl": context, "ssl_handshake_timeout": patience_s, "ssl_shutdown_timeout": patience_s}
        self._beginning: set[_PendingHandshake] = set()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self._resume()

    def close(self) -> None:
        """Accepts no more, and drops those who have not shaken hands."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        for beginning in self._beginning:
            beginning.drop()

    async def wait_closed(self) -> None:
        """Returns when they are gone."""
        await asyncio.gather(*(beginning.task for beginning in self._beginning), return_exceptions=True)

    def _resume(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(self.at_once):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # out of descriptors or memory
                _log.warning("cannot accept connections", extra={"fields": {"why": str(error)}})
                self._loop.remove_reader(self._listener)
                self._pause = self._loop.call_later(self.pause_s, self._resume)
                return
            if self._limit.make_room():
                self._begin(connection)
            else:
                connection.close()

    def _begin(self, connection: socket.socket) -> None:
        connecting = self._loop.connect_accepted_socket(self._protocol, connection, **self._tls)
        beginning = _PendingHandshake(self._loop.create_task(connecting))
        self._beginning.add(beginning)
        self._limit.mark_idle(beginning)

        def end(task: asyncio.Task[object]) -> None:
            self._beginning.discard(beginning)
            self._limit.remove(beginning)
            if task.cancelled():
                connection.close()
            elif (error := task.exception()) is not None and not isinstance(error, OSError):
                raise error  # OSError: no TLS came about, which is the client's affair

        beginning.task.add_done_callback(end)


class _PendingHandshake:
    """A connection that has not shaken hands."""

    def __init__(self, task: asyncio.Task[object]) -> None:
        self.task = task

    def drop(self) -> None:
        """Ends it at once."""
        self.task.cancel()


def raise_fd_limit(connections: int) -> int:
    """Raises this process's limit of descriptors as needed; returns how many of `connections` the system allows."""
    if sys.platform == "win32":  # which sets none
        return connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_DESCRIPTORS
    if soft < wanted:
        soft = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < wanted:
        _log.warning("few descriptors", extra={"fields": {"descriptors": soft, "wanted": wanted}})
    return min(connections, max(soft // 2, soft - _OTHER_DESCRIPTORS))
