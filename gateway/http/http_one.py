"""Parses HTTP/1.1 and nothing else: a request that offers another protocol is served in this one (RFC 9110, 7.8).

httptools takes what follows the headers of such a request for the other protocol's, and so its body would be lost.
Java's HttpClient and `curl --http2` offer HTTP/2 with every request, bodies included.
"""

from __future__ import annotations

from array import array
from typing import Protocol

import httptools

_OFFER = b"upgrade"
_TUNNEL = b"CONNECT"


class Begun(Protocol):
    """The protocol that is called back; it holds what came of the request in hand."""

    url: bytes
    headers: list[tuple[bytes, bytes]]


class HttpOneParser(httptools.HttpRequestParser):
    """Has the head of a request with an offer parsed again, without the offer.

    Between `on_message_begin` and that, `should_upgrade` is true; whatever is called back then does not count.
    """

    def __init__(self, begun: Begun) -> None:
        super().__init__(begun)
        self._begun = begun

    def feed_data(self, data: bytes | bytearray | memoryview[int] | array[int]) -> None:
        """Parses the next bytes.

        Raises:
            httptools.HttpParserError: They are not HTTP/1.1.
        """
        while True:
            try:
                super().feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if self.get_method() == _TUNNEL:
                    raise httptools.HttpParserError("this server is not a proxy") from offer
                data = memoryview(data)[offer.args[0] :]
                super().feed_data(self._head_without_offer())
            else:
                return

    def _head_without_offer(self) -> bytes:
        begun = self._begun
        lines = [b"%b %b HTTP/%b" % (self.get_method(), begun.url, self.get_http_version().encode())]
        lines += [b"%b: %b" % header for header in begun.headers if header[0] != _OFFER]
        return b"\r\n".join((*lines, b"", b""))
