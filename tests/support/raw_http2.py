"""A gRPC client by the frame, with habits that no library has: answers are left untaken, requests unfinished."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4
TIMEOUT_S = 60.0
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_BYTES = 16384
_END_STREAM = ACK = 1
_END_HEADERS = 4


class RawHttp2:
    """One connection. It answers pings, as only a client that is alive does, and takes no byte of any answer."""

    def __init__(self, port: int, *, host: str = "127.0.0.1", window: int = 0) -> None:
        """Connects to a plaintext port; `window` is how many bytes of each answer it takes."""
        self.settings: dict[int, int] = {}
        """What the server has told."""
        self.ended: set[int] = set()
        """Streams that the server has ended."""
        self.closed = threading.Event()
        """Set once the server has closed the connection."""
        self._changed = threading.Condition()
        self._next_stream = 1
        self._socket = socket.create_connection((host, port))
        self._send(_PREFACE + _frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, window)))
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        """Is connected already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leaves."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def call(self, path: str, message: bytes | None = None, *, ends: bool = True) -> int:
        """Begins a call; returns its stream.

        Args:
            path: Of the method, such as /grpc.health.v1.Health/Watch.
            message: The request; None = headers alone, and the request is left to be awaited.
            ends: Whether this is all that is sent.
        """
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "localhost"}
        fields |= {"te": "trailers", "content-type": "application/grpc"}
        headers = b"".join(b"\x00" + _literal(name) + _literal(value) for name, value in fields.items())
        self._send(_frame(HEADERS, _END_HEADERS, stream, headers))
        if message is not None:
            content = b"\x00" + struct.pack(">I", len(message)) + message
            assert len(content) <= _FRAME_BYTES, "larger ones take several frames"
            self._send(_frame(DATA, _END_STREAM if ends else 0, stream, content))
        return stream

    def wait_for_settings(self) -> dict[int, int]:
        """What the server says of itself."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.settings, TIMEOUT_S)
            return self.settings

    def wait_for_end(self, stream: int) -> None:
        """Waits until the server has ended a call."""
        with self._changed:
            assert self._changed.wait_for(lambda: stream in self.ended, TIMEOUT_S)

    def _send(self, content: bytes) -> None:
        self._socket.sendall(content)

    def _listen(self) -> None:
        arrived = b""
        with suppress(OSError):
            while content := self._socket.recv(65536):
                arrived += content
                while len(arrived) >= 9 and len(arrived) >= (end := 9 + int.from_bytes(arrived[:3], "big")):
                    self._take(arrived[3], arrived[4], int.from_bytes(arrived[5:9], "big"), arrived[9:end])
                    arrived = arrived[end:]
        self.closed.set()

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == PING and not flags & ACK:
            self._send(_frame(PING, ACK, 0, payload))
        if kind == SETTINGS and not flags & ACK:
            self._send(_frame(SETTINGS, ACK, 0))
        with self._changed:
            if kind == SETTINGS and not flags & ACK:
                self.settings |= dict(struct.iter_unpack(">HI", payload))
            if kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & _END_STREAM):
                self.ended.add(stream)
            self._changed.notify_all()


def _literal(text: str) -> bytes:
    encoded = text.encode()
    assert len(encoded) < 127, "longer ones take more than a byte to tell their length"
    return bytes([len(encoded)]) + encoded


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload
