"""The Python client: what it sends, what it makes of answers, when it asks again."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import ssl
import threading
import time
import traceback
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from facet_client import (
    AsyncFacet,
    DetectionOptions,
    Facet,
    RecallName,
    RedactionOptions,
    StyleName,
    asynchronous,
    calls,
)
from facet_client.api import BoxAnswer, EmbedAnswer, EmbeddedFaceAnswer
from facet_client.errors import (
    DeadlinePassedError,
    InvalidPictureError,
    InvalidRequestError,
    NotReadyError,
    OverloadedError,
    ServiceError,
    TooLargeError,
    UnexpectedAnswerError,
)
from facet_client.failures import error_of
from gateway.http import problems
from gateway.routes.parameters import AnonymizationParameters, DetectionParameters
from services.chassis import errors
from services.chassis.errors import FacetError, NotReady, Overloaded

DETECTION = b'{"width":4,"height":3,"model":"m@1","notice":"","faces":[]}'


def answer(status: int, body: bytes = DETECTION, **headers: str) -> bytes:
    told = {"content-length": str(len(body)), "content-type": "application/json", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {status} Told\r\n{lines}\r\n".encode() + body


def problem(error: FacetError, *, retry_after_s: int | None = None) -> bytes:
    """What the gateway itself answers for an error."""
    told = problems.of_error(error)
    if retry_after_s is not None:
        told.headers["retry-after"] = str(retry_after_s)
    return answer(told.status_code, bytes(told.body), **told.headers)


BUSY = problem(Overloaded("the queue is full"), retry_after_s=0)
CLOSED = b""


@dataclass(slots=True)
class Script:
    """Answers requests one after the other, the last one for ever; remembers what was asked."""

    answers: Sequence[bytes]
    pause_s: float = 0.0
    url: str = ""
    requests: list[str] = field(default_factory=list)
    connections: int = 0
    most_connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.most_connections = max(self.most_connections, self.connections)
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                length = next(line for line in head.lower().split("\r\n") if line.startswith("content-length:"))
                await reader.readexactly(int(length.partition(":")[2]))
                told = self.answers[min(len(self.requests), len(self.answers) - 1)]
                self.requests.append(head)
                await asyncio.sleep(self.pause_s)
                if told == CLOSED:
                    break
                writer.write(told)
                if b"connection: close" in told:
                    break
        except asyncio.IncompleteReadError:
            pass  # the client has left
        finally:
            self.connections -= 1
            writer.close()


@asynccontextmanager
async def scripted(*answers: bytes, pause_s: float = 0.0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Script]:
    script = Script(answers=answers, pause_s=pause_s)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    script.url = f"http{'s' if tls else ''}://localhost:{port}"
    try:
        yield script
    finally:
        server.close()


@contextmanager
def scripted_in_a_thread(*answers: bytes) -> Iterator[Script]:
    """The same for code that blocks."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = scripted(*answers)
    try:
        yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def response(status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> httpx.Response:
    request = httpx.Request("POST", "http://facet.example/v1/anonymize?style=blur")
    return httpx.Response(status, content=content, headers=headers, request=request)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a gateway says that it may be asked again at once."""
    monkeypatch.setattr(asynchronous, "FIRST_PAUSE_S", 0.01)


def names(options: type[DetectionOptions | RedactionOptions]) -> set[str]:
    return {each.name for each in fields(options)}


def test_options_are_the_parameters_of_the_gateway() -> None:
    assert names(DetectionOptions) == set(DetectionParameters.model_fields)
    own = set(AnonymizationParameters.model_fields) - set(DetectionParameters.model_fields)
    assert names(RedactionOptions) == own - {"verify", "receipt"}


def test_what_is_sent_is_what_the_gateway_takes() -> None:
    redaction = RedactionOptions(style=StyleName.SOLID, strength=1.0, boxes=True, allow_weak=False)
    detection = DetectionOptions(recall=RecallName.MAX, max_faces=3)
    query = calls.anonymize(b"", redaction, detection, verify=True, keep=(), only=()).query
    taken = AnonymizationParameters.model_validate(query)
    assert taken.model_dump(exclude_unset=True) == {
        "style": "solid",
        "strength": 1.0,
        "boxes": True,
        "allow_weak": False,
        "recall": "max",
        "max_faces": 3,
        "verify": True,
    }


def test_embeddings_arrive_as_they_were_sent_and_show_in_no_repr() -> None:
    face = EmbeddedFaceAnswer(
        box=BoxAnswer(x_min=1, y_min=2, x_max=3, y_max=4),
        confidence=0.9,
        landmarks={"left_eye": (1.5, 2.5)},
        embedding=[0.6, 0.8],
        norm=12.0,
        alignment="five_point",
    )
    unclear = face.model_copy(update={"embedding": None, "norm": None, "alignment": None})
    sent = EmbedAnswer(width=9, height=8, model="d@1", embedding_model="e@1", faces=[face, unclear])
    embedded = calls.embed(b"", DetectionOptions()).read(response(200, sent.model_dump_json().encode()))
    first, second = embedded.faces
    assert first.embedding is not None
    assert first.embedding == [0.6, 0.8]
    assert second.embedding is None
    assert first.landmarks["left_eye"] == (1.5, 2.5)
    assert (first.box.width, first.box.height) == (2, 2)
    assert "0.6" not in repr(embedded)
    assert embedded == sent
    assert embedded.model_dump_json() == sent.model_dump_json()


def test_embedding_of_an_answer_that_is_none_shows_in_no_error() -> None:
    sent = json.dumps({"width": 1, "height": 1, "faces": [{"embedding": [0.1234567, "x"]}]}).encode()
    with pytest.raises(UnexpectedAnswerError) as refused:
        calls.embed(b"", DetectionOptions()).read(response(200, sent))
    assert "0.1234567" not in "".join(traceback.format_exception(refused.value))


def reasons(kind: type[FacetError | ServiceError]) -> list[str]:
    """Its own, and those that it is a special case of."""
    return [
        each.reason for each in kind.__mro__ if issubclass(each, FacetError | ServiceError) and "reason" in vars(each)
    ]


@pytest.mark.parametrize("kind", problems._KINDS)  # noqa: SLF001  (every error that the gateway knows)
def test_every_problem_becomes_the_error_that_it_was(kind: type[FacetError]) -> None:
    told = problems.of_error(kind("what to do"))
    body = json.loads(bytes(told.body)) | {"request_id": "r1"}
    waits = {name: value for name, value in told.headers.items() if name == "retry-after"}
    error = error_of(response(told.status_code, json.dumps(body).encode(), waits))
    assert reasons(type(error)) == reasons(kind)
    assert str(error) == "what to do"
    assert error.status == told.status_code
    assert error.request_id == "r1"
    assert (error.retry_after_s is not None) == ("retry-after" in waits)


@pytest.mark.parametrize("content", [b"<html>", b"{}", b""])
def test_an_answer_that_is_no_problem_of_facet_names_the_address_and_no_option(content: bytes) -> None:
    error = error_of(response(502, content, {"x-request-id": "r2"}))
    assert isinstance(error, UnexpectedAnswerError)
    assert (error.status, error.request_id) == (502, "r2")
    assert "http://facet.example/v1/anonymize answered 502" in str(error)
    assert "r2" in str(error)
    assert "blur" not in str(error)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"picture", {"content-type": "image/jpeg"}),
        (b"", {"content-type": "image/jpeg", "x-facet-faces": "1"}),
        (b"<html>", {"content-type": "text/html", "x-facet-faces": "1"}),
    ],
)
def test_what_does_not_say_how_many_faces_it_hides_is_not_taken_for_anonymized(
    content: bytes, headers: dict[str, str]
) -> None:
    call = calls.anonymize(b"", RedactionOptions(), DetectionOptions(), verify=False, keep=(), only=())
    with pytest.raises(UnexpectedAnswerError):
        call.read(response(200, content, headers))


@pytest.mark.usefixtures("short_pauses")
async def test_a_gateway_too_busy_is_asked_again() -> None:
    async with scripted(BUSY, BUSY, answer(200)) as script, AsyncFacet(script.url) as facet:
        assert (await facet.detect(b"x")).model == "m@1"
        assert len(script.requests) == 3


async def test_it_is_asked_again_no_sooner_than_it_says() -> None:
    busy = problem(Overloaded("full"), retry_after_s=1)
    async with scripted(busy, answer(200)) as script, AsyncFacet(script.url) as facet:
        started = time.monotonic()
        await facet.detect(b"x")
        assert time.monotonic() - started >= 1


@pytest.mark.usefixtures("short_pauses")
async def test_a_tier_that_stays_down_is_told_after_a_few_attempts() -> None:
    down = problem(NotReady("the embedder does not answer"), retry_after_s=0)
    async with scripted(down) as script, AsyncFacet(script.url) as facet:
        with pytest.raises(NotReadyError, match="the embedder does not answer"):
            await facet.embed(b"x")
        assert 1 < len(script.requests) < 10


async def test_waiting_that_would_outlast_the_time_out_is_not_begun() -> None:
    busy = problem(Overloaded("full"), retry_after_s=30)
    async with scripted(busy) as script, AsyncFacet(script.url, timeout_s=5) as facet:
        with pytest.raises(OverloadedError) as refused:
            await facet.detect(b"x")
    assert refused.value.retry_after_s == 30
    assert len(script.requests) == 1


async def test_a_wrong_request_is_not_repeated() -> None:
    async with scripted(problem(errors.InvalidPicture("damaged"))) as script, AsyncFacet(script.url) as facet:
        with pytest.raises(InvalidPictureError, match="damaged"):
            await facet.detect(b"x")
        assert len(script.requests) == 1


async def test_a_connection_closed_before_the_answer_is_tried_once_more() -> None:
    async with scripted(CLOSED, answer(200)) as script, AsyncFacet(script.url) as facet:
        await facet.detect(b"x")
        assert len(script.requests) == 2


async def test_a_gateway_that_only_closes_connections_is_not_ready() -> None:
    async with scripted(CLOSED) as script, AsyncFacet(script.url) as facet:
        with pytest.raises(NotReadyError, match=script.url):
            await facet.detect(b"x")
        assert len(script.requests) == 2


async def test_an_answer_cut_short_is_no_answer() -> None:
    whole = answer(200, b"picture", content_type="image/jpeg", x_facet_faces="1", connection="close")
    cut = whole.replace(b"content-length: 7", b"content-length: 8")
    async with scripted(cut) as script, AsyncFacet(script.url) as facet:
        with pytest.raises(NotReadyError):
            await facet.anonymize(b"x")
    assert len(script.requests) == 2


async def test_silence_ends_with_the_time_out() -> None:
    async with scripted(answer(200), pause_s=30) as script, AsyncFacet(script.url, timeout_s=0.2) as facet:
        with pytest.raises(DeadlinePassedError, match=r"no answer within 0\.2 s"):
            await facet.detect(b"x")


async def test_an_address_where_nothing_listens_is_named() -> None:
    async with AsyncFacet("http://127.0.0.1:1") as facet:
        with pytest.raises(NotReadyError, match=r"http://127\.0\.0\.1:1 cannot be reached"):
            await facet.ready()


async def test_calls_share_no_more_connections_than_allowed() -> None:
    async with scripted(answer(200), pause_s=0.01) as script, AsyncFacet(script.url, connections=3) as facet:
        await asyncio.gather(*(facet.detect(b"x") for _ in range(20)))
        assert len(script.requests) == 20
        assert script.most_connections == 3


@pytest.mark.parametrize(
    "url", ["localhost:8080", "ftp://host", "http://", "http://host:port", "http://user:hunter2@host"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        AsyncFacet(url)
    assert "hunter2" not in str(refused.value)


def test_a_key_that_is_none_is_refused_and_not_told() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        AsyncFacet("http://localhost", key="secret\r\nX-Other: 1")
    assert "secret" not in str(refused.value)


async def test_the_key_goes_with_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACET_KEY", "from-the-environment\n")
    async with scripted(answer(200)) as script:
        async with AsyncFacet(script.url) as facet:
            await facet.detect(b"x")
        async with AsyncFacet(script.url, key="given") as facet:
            await facet.detect(b"x")
    first, second = script.requests
    assert "Authorization: Bearer from-the-environment\r\n" in first
    assert "Authorization: Bearer given\r\n" in second


async def test_the_gateway_is_told_how_long_it_is_waited_for() -> None:
    async with scripted(answer(200)) as script, AsyncFacet(script.url, timeout_s=7) as facet:
        await facet.detect(b"x")
    [told] = re.findall(r"X-Facet-Timeout: ([\d.]+)", script.requests[0])
    assert 6 < float(told) <= 7


async def test_no_proxy_of_the_environment_sees_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(answer(500)) as proxy, scripted(answer(200)) as script:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with AsyncFacet(script.url) as facet:
            await facet.detect(b"x")
    assert proxy.requests == []


async def test_an_authority_of_ones_own_is_trusted_and_no_other(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    async with scripted(answer(200), tls=tls) as script:
        async with AsyncFacet(script.url, ca=certificate) as facet:
            await facet.detect(b"x")
        async with AsyncFacet(script.url) as facet:
            with pytest.raises(NotReadyError, match="certificate"):
                await facet.detect(b"x")
    with pytest.raises(InvalidRequestError, match=r"nowhere\.pem"):
        AsyncFacet(script.url, ca=tmp_path / "nowhere.pem")


async def test_no_answer_stays_in_memory_after_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers() -> int:
        return sum(type(each) is httpx.Response for each in gc.get_objects())  # isinstance would wake other libraries

    gc.collect()
    async with scripted(BUSY, answer(200)) as script, AsyncFacet(script.url) as facet:
        monkeypatch.setattr(asynchronous, "FIRST_PAUSE_S", 0.0)
        before = answers()
        gc.disable()
        try:
            await facet.detect(b"picture")
            assert answers() == before
        finally:
            gc.enable()


def test_the_blocking_client_serves_several_threads_and_leaves_none_behind() -> None:
    before = threading.active_count()
    with scripted_in_a_thread(answer(200)) as script, Facet(script.url) as facet:
        found: list[str] = []
        threads = [threading.Thread(target=lambda: found.append(facet.detect(b"x").model)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == ["m@1"] * 4
        facet.close()  # closing twice does no harm
    assert threading.active_count() == before


def test_the_blocking_client_raises_what_the_other_does() -> None:
    refusal = problem(errors.TooLarge("too many pixels"))
    with (
        scripted_in_a_thread(refusal) as script,
        Facet(script.url) as facet,
        pytest.raises(TooLargeError, match="too many pixels"),
    ):
        facet.anonymize(b"x")


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate of localhost that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "own.pem", folder / "own-key.pem"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file
