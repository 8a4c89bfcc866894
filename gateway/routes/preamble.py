"""What may stand in front of a multipart body's first part (RFC 2046, 5.1.1), and that the parser does not know."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator

from python_multipart.multipart import parse_options_header
from starlette.formparsers import MultiPartException

_LINE_BREAK = b"\r\n"


async def from_first_boundary(stream: AsyncIterator[bytes], content_type: str) -> AsyncGenerator[bytes, None]:
    """The body without its preamble.

    Raises:
        MultiPartException: Its boundary never comes.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    delimiter = re.compile(rb"\n--%b(?=\r\n|--)" % re.escape(boundary))
    longest = len(boundary) + len(b"\n----")
    held, begun = _LINE_BREAK, False
    async for chunk in stream:
        if begun:
            yield chunk
            continue
        held += chunk
        found = delimiter.search(held)
        if found is not None:
            begun = True
            yield held[found.start() + 1 :]
        else:
            held = held[-longest:]
    if not begun and held != _LINE_BREAK:
        raise MultiPartException("the boundary named in its Content-Type never appears.")
