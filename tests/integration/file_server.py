"""A real HTTP server on loopback whose files behave as badly as a test asks."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class FileServer:
    """What is served, and what was asked for."""

    url: str
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of every request, in order."""

    def serve(self, path: str, reply: Reply) -> str:
        """Puts a reply behind a path; returns the URL."""
        self.replies[path] = reply
        return self.url + path

    def ranges_of(self, path: str) -> list[str | None]:
        """Range header of every request for that path."""
        return [range_ for asked, range_ in self.asked if asked == path]


Reply = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def file_server() -> Iterator[FileServer]:
    """Runs a server on a free port for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.asked.append((self.path, self.headers["Range"]))
            try:
                server.replies.get(self.path, status(404))(self)
            except ConnectionError:  # the client was killed, as some tests want
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.daemon_threads = True
        server = FileServer(f"http://127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()


def status(code: int) -> Reply:
    """No file, only a status."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_error(code)

    return reply


def file(content: bytes) -> Reply:
    """A file from a server that does ranges."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        start = _start_in(request, content)
        if start is not None:
            request.wfile.write(content[start:])

    return reply


def file_without_ranges(content: bytes) -> Reply:
    """A file from a server that always sends all of it."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        del request.headers["Range"]
        file(content)(request)

    return reply


def file_cut_off(content: bytes, *, after_bytes: int) -> Reply:
    """A file of which every request gets so many bytes at most before the connection breaks."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        start = _start_in(request, content)
        if start is not None:
            request.wfile.write(content[start : start + after_bytes])
            request.close_connection = True

    return reply


def file_held_back(content: bytes, *, after_bytes: int, until: threading.Event) -> Reply:
    """A file that stops after so many bytes and goes on when the test says so."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        start = _start_in(request, content)
        if start is not None:
            request.wfile.write(content[start : start + after_bytes])
            until.wait()
            request.wfile.write(content[start + after_bytes :])

    return reply


def _start_in(request: BaseHTTPRequestHandler, content: bytes) -> int | None:
    """Sends the headers; where to begin, or None where the range asked for is beyond the end."""
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers["Range"] or "")
    start = int(asked[1]) if asked else 0
    if asked and start >= len(content):
        request.send_response(416)
        request.send_header("Content-Range", f"bytes */{len(content)}")
        request.send_header("Content-Length", "0")
        request.end_headers()
        return None
    request.send_response(206 if asked else 200)
    if asked:
        request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    request.send_header("Content-Length", str(len(content) - start))
    request.end_headers()
    return start
