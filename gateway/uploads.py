"""Pictures out of HTTP requests: the raw body or multipart fields, bounded, in memory only."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from services.chassis.errors import InvalidRequest, TooLarge

_MULTIPART = "multipart/form-data"
_MULTIPART_OVERHEAD_BYTES = 64 * 1024  # part headers and boundaries
_MAX_PARTS = 8


class _MemoryParser(MultiPartParser):
    """Starlette's parser, which writes larger uploads to a temporary file unless told not to: no picture may."""

    spool_max_size = sys.maxsize


async def read_picture(request: Request, *, max_bytes: int) -> bytes:
    """The picture of a request: its raw body, or the multipart field `image`.

    Raises:
        TooLarge: More than `max_bytes`.
        InvalidRequest: A multipart body that is malformed or has no file field `image`.
    """
    if _is_multipart(request):
        [picture] = await read_pictures(request, ("image",), max_bytes=max_bytes)
        return picture
    chunks = [chunk async for chunk in _bounded(request, max_bytes)]
    return b"".join(chunks)


async def read_pictures(request: Request, fields: tuple[str, ...], *, max_bytes: int) -> list[bytes]:
    """The pictures of a multipart request's fields, in the order of `fields`.

    Raises:
        TooLarge: One has more than `max_bytes`.
        InvalidRequest: The body is not multipart, malformed, or lacks a field.
    """
    if not _is_multipart(request):
        raise InvalidRequest(f"send multipart/form-data with {_files(fields)}")
    stream = _bounded(request, len(fields) * max_bytes + _MULTIPART_OVERHEAD_BYTES)
    try:
        form = await _MemoryParser(request.headers, stream, max_files=_MAX_PARTS, max_fields=_MAX_PARTS).parse()
    except MultiPartException as error:
        raise InvalidRequest(f"the multipart body is malformed: {error.message}") from error
    except UnicodeError as error:  # some of Python's codecs raise more than Starlette expects
        raise InvalidRequest("the multipart body names a charset that is none of text; leave it out") from error
    pictures = []
    for field in fields:
        upload = form.get(field)
        if not isinstance(upload, UploadFile):
            raise InvalidRequest(f"the multipart body needs {_files(fields)}; {field!r} is missing")
        content = await upload.read()
        if len(content) > max_bytes:
            raise _too_large(max_bytes)
        pictures.append(content)
    await form.close()
    return pictures


async def _bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_bytes:
        raise _too_large(max_bytes)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > max_bytes:
            raise _too_large(max_bytes)
        yield chunk


def _is_multipart(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith(_MULTIPART)


def _files(fields: tuple[str, ...]) -> str:
    return "the file field " + " and ".join(repr(field) for field in fields)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the body is too large: at most {max_bytes} bytes a picture are accepted")
