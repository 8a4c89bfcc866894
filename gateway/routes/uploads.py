"""Pictures and what goes with them out of HTTP requests: the raw body or multipart fields, bounded, in memory only."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from gateway.anonymize.choosing import AnonymizationUpload
from gateway.anonymize.documents import MAX_DOCUMENT_BYTES
from gateway.routes.preamble import from_first_boundary
from services.chassis.errors import InvalidRequest, TooLarge, UnsupportedFormat
from services.chassis.process.sizes import limit_text

MAX_REFERENCES = 64
MAX_REFERENCE_PICTURES = 2
"""All references of a request together may be as large as so many of the largest pictures."""

_MULTIPART = "multipart/form-data"
_MULTIPART_OVERHEAD_BYTES = 64 * 1024  # part headers and boundaries
_MAX_PARTS = 8
_ANONYMIZATION_FIELDS = frozenset({"image", "faces", "keep", "only"})


class _MemoryParser(MultiPartParser):
    """Starlette's parser, which writes larger uploads to a temporary file unless told not to: no picture may.

    Every part is taken for a file, whether or not its sender names one.
    """

    spool_max_size = sys.maxsize

    def on_headers_finished(self) -> None:
        """Its name makes a part a file, for Starlette."""
        part = self._current_part
        if b"filename" not in parse_options_header(part.content_disposition)[1]:
            part.content_disposition = (part.content_disposition or b"") + b'; filename=""'
        super().on_headers_finished()


async def read_picture(request: Request, *, max_bytes: int) -> bytes:
    """The picture of a request: its raw body, or the multipart field `image`.

    Raises:
        TooLarge: More than `max_bytes`.
        InvalidRequest: A multipart body that is malformed or has no file field `image`.
    """
    if _is_multipart(request):
        [picture] = await read_pictures(request, ("image",), max_bytes=max_bytes)
        return picture
    return b"".join([chunk async for chunk in _bounded(request, max_bytes)])


async def read_pictures(request: Request, fields: tuple[str, ...], *, max_bytes: int) -> list[bytes]:
    """The pictures of a multipart request's fields, in the order of `fields`.

    Raises:
        TooLarge: One has more than `max_bytes`.
        InvalidRequest: The body is not multipart, malformed, or lacks a field.
    """
    if not _is_multipart(request):
        raise InvalidRequest(f"send multipart/form-data with {_files(fields)}")
    async with _form(request, max_bytes=len(fields) * max_bytes, max_parts=_MAX_PARTS) as form:
        return [await _picture(form, field, fields, max_bytes) for field in fields]


async def read_anonymization(request: Request, *, max_bytes: int) -> AnonymizationUpload:
    """What `POST /v1/anonymize` takes: the raw picture, or the fields of AnonymizationUpload.

    Raises:
        TooLarge: The picture or a reference has more than `max_bytes`, or a document or everything too many.
        InvalidRequest: A multipart body that is malformed, has no `image`, too many of a field, or one unknown.
    """
    if not _is_multipart(request):
        return AnonymizationUpload(image=await read_picture(request, max_bytes=max_bytes))
    total_bytes = (1 + MAX_REFERENCE_PICTURES) * max_bytes + MAX_DOCUMENT_BYTES
    async with _form(request, max_bytes=total_bytes, max_parts=2 * MAX_REFERENCES + _MAX_PARTS) as form:
        image = await _picture(form, "image", ("image",), max_bytes)
        if not form.keys() <= _ANONYMIZATION_FIELDS:  # a misspelt `faces` would hide other faces than those meant
            raise InvalidRequest(f"a multipart field is not one of {', '.join(sorted(_ANONYMIZATION_FIELDS))}")
        documents = await _parts(form, "faces", max_parts=1, max_bytes=MAX_DOCUMENT_BYTES)
        return AnonymizationUpload(
            image=image,
            faces=documents[0] if documents else None,
            keep=await _parts(form, "keep", max_parts=MAX_REFERENCES, max_bytes=max_bytes),
            only=await _parts(form, "only", max_parts=MAX_REFERENCES, max_bytes=max_bytes),
        )


@asynccontextmanager
async def _form(request: Request, *, max_bytes: int, max_parts: int) -> AsyncIterator[FormData]:
    """The parsed body, for as long as the context lasts."""
    bounded = _bounded(request, max_bytes + _MULTIPART_OVERHEAD_BYTES)
    stream = from_first_boundary(bounded, request.headers["content-type"])
    try:
        form = await _MemoryParser(request.headers, stream, max_files=max_parts, max_fields=max_parts).parse()
    except MultiPartException as error:
        raise InvalidRequest(f"the multipart body is malformed: {error.message}") from error
    except UnicodeError as error:  # some of Python's codecs raise more than Starlette expects
        raise InvalidRequest("the multipart body names an unknown charset; leave it out") from error
    try:
        yield form
    finally:
        await form.close()


async def _picture(form: FormData, field: str, fields: tuple[str, ...], max_bytes: int) -> bytes:
    uploads = form.getlist(field)
    if len(uploads) > 1:
        raise InvalidRequest(f"Too many files named {field!r}: {len(uploads)}; send one picture a request")
    if not uploads or not isinstance(uploads[0], UploadFile):
        raise InvalidRequest(f"the multipart body needs {_files(fields)}; {field!r} is missing")
    content = await uploads[0].read()
    if len(content) > max_bytes:
        raise _too_large(max_bytes)
    return content


async def _parts(form: FormData, field: str, *, max_parts: int, max_bytes: int) -> list[bytes]:
    """The parts of a field that may be repeated, each a file or text."""
    values = form.getlist(field)
    if len(values) > max_parts:
        raise InvalidRequest(f"{field}: at most {max_parts} are accepted, not {len(values)}")
    parts = [await v.read() if isinstance(v, UploadFile) else v.encode(errors="replace") for v in values]
    if any(len(part) > max_bytes for part in parts):
        raise TooLarge(f"{field}: at most {limit_text(max_bytes)} each are accepted")
    return parts


async def _bounded(request: Request, max_bytes: int) -> AsyncGenerator[bytes, None]:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise UnsupportedFormat("the body has a Content-Encoding; send the picture uncompressed")
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
    return TooLarge(f"the body is too large: at most {limit_text(max_bytes)} a picture are accepted")
