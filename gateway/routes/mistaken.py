"""What was sent in place of a picture: its first bytes tell, and so the answer can say what to send."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager

from services.chassis.errors import InvalidPicture, UnsupportedFormat
from services.chassis.pictures.picture_format import PictureFormat

_LOOKED_AT = 512
_SEND = "send the picture's bytes (`curl --data-binary @photo.jpg …` or `curl -F image=@photo.jpg …`)"
_TEXT = re.compile(rb"[\t\n\f\r\x20-\x7e\x80-\xff]+")
_BINARY = re.compile(rb"[\x80-\xff]")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\-\s]{16,}=*\s*")
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"GIF8")
_BOX = slice(4, 8)
_BRAND = slice(8, 12)
_MOVIES = (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"qt  ", b"M4V ", b"3gp4", b"3gp5")

_SURELY_WITH_LENGTHS = 32

_VIDEO = "the body is a video; save the frames you need as pictures"
_BY_BEGINNING = {
    b"%PDF-": "the body is a PDF; save its pages as pictures",
    b"\x1a\x45\xdf\xa3": _VIDEO,
    b"FLV": _VIDEO,
    b"\0\0\1\xba": _VIDEO,
    b"\x1f\x8b": f"the body is compressed with gzip; {_SEND}",
    b"\x28\xb5\x2f\xfd": f"the body is compressed with zstd; {_SEND}",
    b"PK\3\4": "the body is a ZIP archive; unpack it and send its pictures one by one",
}
_BY_WORD = {
    b"data:": f"the body is a data: URL; decode what follows the comma, and {_SEND}",
    b"{": f"the body is JSON; {_SEND}",
    b"[": f"the body is JSON; {_SEND}",
    b'"': f"the body is JSON; {_SEND}",
    b"--": "the body is multipart, but its Content-Type does not say so; do not set Content-Type yourself, so that "
    "your client sends multipart/form-data with its boundary",
    b"<svg": "the body is an SVG drawing, not a picture of pixels; save it as PNG and send that",
    b"<": f"the body is HTML or XML; {_SEND}",
    b"http://": f"the body is a URL, and this server does not fetch pictures; {_SEND}",
    b"https://": f"the body is a URL, and this server does not fetch pictures; {_SEND}",
    b"image=": f"the body is a URL-encoded form; {_SEND}",
}


@contextmanager
def naming_mistakes(content: bytes, *, name: str = "") -> Iterator[None]:
    """Says more of a picture that a tier refuses, where it is a mistake; with `name`, also which is meant.

    Raises:
        UnsupportedFormat: As `check_is_no_mistake`.
    """
    try:
        yield
    except InvalidPicture:
        try:
            check_is_no_mistake(content)
        except UnsupportedFormat as mistake:
            raise UnsupportedFormat(f"{name}: {mistake}" if name else str(mistake)) from mistake
        raise


def check_is_no_mistake(content: bytes) -> None:
    """Lets through whatever may be a picture.

    Raises:
        UnsupportedFormat: It is something else; the message names it and says what to send.
    """
    said = _mistake(content)
    if said is not None:
        raise UnsupportedFormat(f"{said}; send one of {', '.join(each.value for each in PictureFormat)}")


def _mistake(content: bytes) -> str | None:
    beginning = content[:_LOOKED_AT]
    for begins, said in _BY_BEGINNING.items():
        if beginning.startswith(begins):
            return said
    if beginning[_BOX] == b"ftyp" and beginning[_BRAND] in _MOVIES:
        return _VIDEO
    if beginning.startswith(b"RIFF") and beginning[_BRAND] == b"AVI ":
        return _VIDEO
    if _has_lost_its_line_breaks(content):
        return "the picture has lost its line breaks and NULs, as `curl -d` removes them; use --data-binary"
    return _text_mistake(beginning)


def _has_lost_its_line_breaks(content: bytes) -> bool:
    """Whether bytes are missing that a PNG begins with, or that the lengths in a JPEG are made of."""
    if content.startswith(b"\x89PNG") and not content.startswith(b"\x89PNG\r\n"):
        return content.startswith(b"\x89PNG\x1a")
    if not content.startswith(b"\xff\xd8\xff") or len(content) < _SURELY_WITH_LENGTHS:
        return False
    return not any(byte in content for byte in (b"\0", b"\n", b"\r"))


def _text_mistake(beginning: bytes) -> str | None:
    marked = beginning.startswith(_BYTE_ORDER_MARKS)
    text = beginning.replace(b"\0", b"") if marked else beginning
    for mark in _BYTE_ORDER_MARKS:
        text = text.removeprefix(mark)
    text = text.lstrip()
    if not text or _TEXT.fullmatch(text) is None or _BINARY.match(text):
        return None
    for begins, said in _BY_WORD.items():
        if text.lower().startswith(begins):
            return said
    if _is_base64_picture(text):
        return f"the body is base64 text; decode it, and {_SEND}"
    if _BINARY.search(text) and not _is_utf8(text):
        return None
    return f"the body is text; {_SEND}"


def _is_base64_picture(text: bytes) -> bool:
    if _BASE64.fullmatch(text) is None:
        return False
    letters = re.sub(rb"\s", b"", text).translate(bytes.maketrans(b"-_", b"+/"))[:64]
    decoded = b64decode(letters[: len(letters) // 4 * 4])
    return decoded.startswith(_PICTURES) or decoded[_BOX] == b"ftyp"


def _is_utf8(text: bytes) -> bool:
    try:
        text[:-3].decode()  # the last letter may have been cut
    except UnicodeDecodeError as error:
        return error.start > len(text) - 8
    return True
