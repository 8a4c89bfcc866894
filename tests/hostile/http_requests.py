"""HTTP requests that are wrong somewhere, as the bytes that go over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from urllib.parse import quote

from tests.hostile.documents import EMBEDDED, FACES, PERSON, wrong_document
from tests.support.mutations import damage, files, mutated

_CALLS = ("detect", "anonymize", "embed", "compare")
_PATHS = (
    *("/", "/docs", "/openapi.json", "/static/app.js", "/static/../app.py", "/static/%2e%2e/app.py", "/v1/models"),
    *("/v1/receipt-key", "/healthz", "/readyz", "/metrics", "/v1", "/v1/", "/v1/detect/", "//v1//detect", "/v1/%00"),
    *("/v1/nosuch", "/%ff%fe", "/v1/detect;x=1", "/v1/detect%3Frecall=max", "/" + "a" * 3000, "/v1/d%65tect"),
)
_SEPARATORS = ("/", "//", "%2F", "%2f", "/./", "/%2e/", "/x/../", "\\", "%5C", "/;a=b/", "")
_SUFFIXES = (
    *("", "/", "//", "?", "#", ";", ";x=1", ".", "..", "%00", "%0A", "%0a%0A", "%0D%0A", "%09", "%20", "%7F", "%2F"),
    *("%C2%85", "%E2%80%A8", "%EF%BC%8F", "%CC%81", "%FF", "%", "%zz", "%250A", "?%0A", "\\", "/..", "/.", "*", "+"),
)
_PREFIXES = ("", "", "/", "http://facet", "HTTP://u@x:1", "//facet", "/%0A", "/static/..", "/%2e", "%2F", "/v1/..")
_OFFERS = (
    (("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAEAAEAAAAIAAAAA")),
    (("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")),
    (("Connection", "keep-alive, upgrade"), ("Upgrade", "h2c, TLS/1.0, websocket")),
    (("Upgrade", "h2c"),),
    (("Connection", "upgrade"),),
    (("Connection", "Upgrade"), ("Upgrade", "h2c"), ("Upgrade", "websocket"), ("Expect", "100-continue")),
    (("Connection", "close, Upgrade"), ("Upgrade", "")),
)
_NO_PATHS = ("*", "", "/%", "x", "http://x/v1/detect", "http://[::1")
_METHODS = ("GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE")
_NO_METHODS = ("CONNECT", "PROPFIND", "post", "BREW", "")
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "model": ("blazeface-short", "blazeface-full", "retinaface-mobilenet025", "retinaface-resnet50", ""),
    "recall": ("fast", "balanced", "max"),
    "min_confidence": ("0.02", "0.5", "1", "0.9999999999999999999"),
    "min_face_px": ("0", "16", "2147483647"),
    "max_faces": ("0", "1", "3", "2147483647"),
    "style": ("mosaic", "blur", "solid"),
    "shape": ("ellipse", "box"),
    "strength": ("0", "0.5", "1", "1e-320"),
    "margin": ("0", "0.3", "2"),
    "boxes": ("true", "false", "1", "on"),
    "format": ("jpeg", "png", "webp"),
    "allow_weak": ("true", "false"),
    "verify": ("true", "false"),
    "receipt": ("true", "false"),
}
_DETECTION = ("model", "recall", "min_confidence", "min_face_px", "max_faces")
_ODD_VALUES = (
    *("", "0", "-1", "nan", "inf", "-inf", "1e400", "1e-400", "2147483648", "9" * 400, "0x10", "1_0", "\u0661", "null"),
    *("true", "TRUE", "[]", "{}", "'", '"', "%", "\0", "\r\nX-Injected: 1", "../../etc/passwd", "\ud800", "a" * 3000),
    *("\N{GRINNING FACE}" * 40, "\x7f", "=", "&", "+", " ", "blazeface-full\0", "${jndi:x}", "%s%n", "<script>"),
)
_MEDIA_TYPES = (
    *("image/jpeg", "image/heic", "application/octet-stream", "application/json", "text/html; charset=x", ""),
    *("multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=x", "/", ";;;", "\xff"),
    *("multipart/form-data; boundary=x; charset=undefined", 'multipart/form-data; boundary="x y"', "a" * 500),
)
_TIMEOUTS = ("1", "0.001", "0", "-1", "nan", "inf", "1e-320", "1e308", "1e400", "", "soon", "9" * 400, "1;2", "\xb2")
_HEADERS = (
    *(("Accept-Encoding", "gzip, br;q=nan"), ("Content-Encoding", "gzip"), ("Expect", "100-continue")),
    *(("Connection", "upgrade"), ("Upgrade", "websocket"), ("Upgrade", "h2c"), ("Host", ""), ("Host", "a" * 2000)),
    *(("Transfer-Encoding", "identity"), ("Range", "bytes=0-"), ("If-None-Match", "*"), ("If-Range", "yesterday")),
    *(("X-Request-Id", "\xe9"), ("X-Request-Id", ""), ("X-Forwarded-For", "::1"), ("Cookie", "a=" + "b" * 5000)),
    *(("Origin", "null"), ("Content-Length", "0"), ("Forwarded", "for=;;"), ("X-" + "y" * 3000, "1"), ("", "no name")),
    *(("Traceparent", "00-" + "f" * 32 + "-" + "0" * 16 + "-ff"), ("Tracestate", "=,=,\t"), ("Baggage", "a=%ff")),
)
_CREDENTIALS = ("", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "bearer facet__", "Bearer " + "x" * 20_000)
_GET = b"GET /healthz HTTP/1.1\r\n"
_POST = b"POST /v1/detect HTTP/1.1\r\nHost: x\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n"
_ODD_REQUESTS = (
    b"\r\n\r\n\r\n",
    b"GET /healthz\r\n\r\n",
    b"GET /healthz HTTP/0.9\r\n\r\n",
    b"GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET http://x:99999/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /\xff\xfe\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    _GET + b"Host: x\r\n folded: 1\r\n\r\n",
    _GET + b"Host: x\r\n" + b"a: b\r\n" * 3000 + b"\r\n",
    _GET.replace(b"\r", b"") + b"Host: x\n\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(40),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    _CHUNKED + b"\r\nffffffffffffffffff\r\n",
    _CHUNKED + b"\r\n-1\r\nx\r\n0\r\n\r\n",
    _CHUNKED + b'\r\n5;a="\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n',
    _CHUNKED + b"Content-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    _POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    _POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    _POST + b"Content-Length: -5\r\n\r\nhello",
    _POST + b"Content-Length: +5\r\n\r\nhello",
    _POST + b"Content-Length: 99999999999999999999999\r\n\r\nhello",
    _POST + b"Content-Length: \xb2\r\n\r\nhello",
    _POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """Credentials to send; each is good."""

    key: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """What to send over a connection."""

    content: bytes
    method: str
    """By which the end of the answer is known."""
    framed: bool
    """Whether HTTP's own rules are kept: then there is one answer, and the connection may go on."""


def framed_request(chance: Random, request_id: str, identities: Identities) -> HttpRequest:
    """A request whose parts are wrong, in good HTTP."""
    usual = chance.random() < 0.9
    call = chance.choice(_CALLS)
    method = "POST" if usual else chance.choice(_METHODS)
    path = _path(chance, call) if usual else chance.choice(_PATHS)
    body, media_type = _body(chance, call)
    headers = [("Host", "facet"), ("X-Request-Id", request_id)]
    if chance.random() < 0.08:
        media_type = chance.choice(_MEDIA_TYPES)
    headers.append(("Content-Type", media_type))
    if chance.random() < 0.15:
        headers.append(("X-Facet-Timeout", chance.choice(_TIMEOUTS)))
    if chance.random() < 0.5:
        headers.append(("Authorization", _authorization(chance, identities)))
    if chance.random() < 0.1:
        headers += chance.choice(_OFFERS)
    target = path + (f"?{_query(chance, call)}" if chance.random() < 0.7 else "")
    if chance.random() < 0.1 and len(body) > 1:
        cut = chance.randrange(1, len(body))
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:cut], body[cut:], b""))
        headers.append(("Transfer-Encoding", "chunked"))
    else:
        headers.append(("Content-Length", str(len(body))))
    return HttpRequest(content=_head(method, target, headers) + body, method=method, framed=True)


def unframed_request(chance: Random, request_id: str, identities: Identities) -> HttpRequest:
    """Bytes that keep to none of HTTP's rules, or to some: malformed, pipelined, cut off."""
    match chance.randrange(6):
        case 0:
            content = bytearray(chance.choice(_ODD_REQUESTS))
            if chance.random() < 0.5:
                damage(content, chance)
        case 1:
            content = bytearray(chance.randbytes(chance.randint(1, 400)))
        case 2:
            pipelined = (framed_request(chance, request_id, identities).content for _ in range(chance.randint(2, 4)))
            content = bytearray(b"".join(pipelined))
        case 3:
            headers = [("Host", "x"), *(chance.choice(_HEADERS) for _ in range(chance.randint(1, 6)))]
            headers.append(("Content-Length", chance.choice(("0", "5", "-1", "", "1e3", "5, 5"))))
            method, path = chance.choice((*_METHODS, *_NO_METHODS)), chance.choice((*_PATHS, *_NO_PATHS))
            content = bytearray(_head(method, path, headers) + b"hello")
        case _:
            content = bytearray(framed_request(chance, request_id, identities).content)
            head = bytearray(content[: content.index(b"\r\n\r\n") + 4])
            rest = content[len(head) :]
            for _ in range(chance.choice((1, 1, 2, 4))):
                damage(head, chance)
            content = head + rest
    return HttpRequest(content=bytes(content), method="", framed=False)


def _head(method: str, target: str, headers: Sequence[tuple[str, str]]) -> bytes:
    lines = (f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers))
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def _path(chance: Random, call: str) -> str:
    """Of a picture call: as it is spelled, most of the time."""
    path = f"/v1/{call}"
    if chance.random() < 0.8:
        return path
    if chance.random() < 0.3:
        path = chance.choice(_SEPARATORS).join(("", "v1", call))
    if chance.random() < 0.3:
        path = "".join(f"%{ord(c):02x}" if c != "/" and chance.random() < 0.2 else c for c in path)
    if chance.random() < 0.1:
        path = "".join(c.upper() if chance.random() < 0.2 else c for c in path)
    return chance.choice(_PREFIXES) + path + chance.choice(_SUFFIXES)


def _query(chance: Random, call: str) -> str:
    """Mostly right, as what is wrong is refused before anything is done."""
    names = list(_PARAMETERS) if call == "anonymize" else list(_DETECTION)
    parts = []
    for name in chance.sample(names, chance.randint(0, 3)):
        odd = chance.random() < 0.06
        value = chance.choice(_ODD_VALUES if odd else _PARAMETERS[name])
        parts.append(f"{name}={quote(value, errors='surrogatepass')}")
    if chance.random() < 0.03:
        parts.append(f"{quote(chance.choice(_ODD_VALUES), errors='surrogatepass')}={chance.randrange(3)}")
    return chance.choice(("&", "&", "&", "&&", ";")).join(parts)


def _authorization(chance: Random, identities: Identities) -> str:
    credential = chance.choice((identities.key, identities.token))
    match chance.randrange(6):
        case 0:
            changed = bytearray(credential.encode())
            damage(changed, chance)
            credential = changed.decode("latin-1").translate({ord(c): "" for c in "\r\n\0"})
        case 1:
            return chance.choice(
                ("", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "bearer facet__", "Bearer " + "x" * 20_000)
            )
        case _:
            pass
    return f"Bearer {_printable(credential)}"


def _printable(text: str) -> str:
    return "".join(c for c in text if c == "\t" or (c >= " " and c != "\x7f"))


def _body(chance: Random, call: str) -> tuple[bytes, str]:
    """A body and its media type."""
    if call != "compare" and chance.random() < 0.5:
        return _picture(chance), chance.choice(("image/jpeg", "application/octet-stream"))
    boundary = chance.choice(("x", "----facet", "a" * 70))
    parts = _parts(chance, call)
    body = bytearray(b"".join(b"--%b\r\n%b\r\n" % (boundary.encode(), part) for part in parts))
    body += b"--%b--\r\n" % boundary.encode()
    if chance.random() < 0.2:
        damage(body, chance)
    return bytes(body), f"multipart/form-data; boundary={boundary}"


def _parts(chance: Random, call: str) -> list[bytes]:
    fields = {"compare": ["image_a", "image_b"]}.get(call, ["image"])
    parts = [_part(chance, field, _picture(chance)) for field in fields]
    if call == "anonymize":
        match chance.randrange(5):
            case 0 | 1:
                parts.append(_part(chance, "faces", wrong_document(chance, FACES)))
            case 2 | 3:
                field = chance.choice(("keep", "only"))
                people = (wrong_document(chance, chance.choice((PERSON, EMBEDDED))), _picture(chance))
                parts += [_part(chance, field, chance.choice(people)) for _ in range(chance.choice((1, 1, 2, 70)))]
            case _:
                pass
    if chance.random() < 0.1:
        parts.append(_part(chance, chance.choice(("image", "picture", "", "x" * 500, "\0", 'a"b')), b"data"))
    if chance.random() < 0.05:
        chance.shuffle(parts)
    if chance.random() < 0.05:
        del parts[chance.randrange(len(parts))]
    return parts


def _part(chance: Random, field: str, content: bytes) -> bytes:
    named = chance.choice(
        ('; filename="a.jpg"',) * 6 + ("", '; filename=""', '; filename="\xff\0"', "; filename*=utf-8''%ff")
    )
    lines = [f'Content-Disposition: form-data; name="{field}"{named}']
    if chance.random() < 0.1:
        odd = ("Content-Type: text/plain; charset=utf-7", "Content-Transfer-Encoding: base64", "X", ": ", "a" * 9000)
        lines.append(chance.choice(odd))
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


def _picture(chance: Random) -> bytes:
    """Damaged, most of the time."""
    if chance.random() < 0.8:
        return mutated(chance.randrange(10**9))[1]
    return files()[chance.choice(list(files()))]
