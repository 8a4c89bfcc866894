"""An HTTP proxy that works, and says who came to it: for tests that nobody does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CONNECT = b"CONNECT "


class Proxy:
    """Carries what CONNECT asks for; anything else it refuses."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        """The first line of each connection."""
        self.port = 0
        self._listening = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def variables(self) -> dict[str, str]:
        """Every environment variable that has a library of ours use it."""
        address = f"127.0.0.1:{self.port}"
        names = ("grpc_proxy", "http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        return {
            **dict.fromkeys(names, f"http://{address}"),
            "GRPC_ADDRESS_HTTP_PROXY": address,
            "GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES": "0.0.0.0/0,::/0",
            **dict.fromkeys(("no_proxy", "NO_PROXY", "no_grpc_proxy"), ""),
        }

    def start(self) -> None:
        """Listens on a free port of loopback."""
        self._thread.start()
        self._listening.wait()

    def stop(self) -> None:
        """Ends it, with all that it carries."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_until_complete(self._listen())
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._server.close()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._listening.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                head = await reader.readuntil(b"\r\n\r\n")
                self.asked.append(head.partition(b"\r\n")[0].decode(errors="replace"))
                if head.startswith(_CONNECT):
                    await self._carry(head.split()[1].decode(), reader, writer)
                else:
                    writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        finally:
            writer.close()

    async def _carry(self, asked: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = asked.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(reader, far_writer))
                both.create_task(_pump(far_reader, writer))
        finally:
            far_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while content := await reader.read(65536):
            writer.write(content)
            await writer.drain()
        writer.write_eof()


@contextmanager
def running_proxy() -> Iterator[Proxy]:
    """A proxy for as long as the context lasts."""
    proxy = Proxy()
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
