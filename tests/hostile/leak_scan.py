"""`python -m tests.hostile.leak_scan`: whether anything that was sent, or found in it, was written anywhere.

All tiers and a gateway with keys, an audit log, traces and DEBUG logs are sent marked pictures, good and bad, and two
tiers crash at work. Then logs, metrics, traces, the audit log and every file that was opened to write to are searched.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import grpc
import httpx
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from facet.v1 import detector_pb2, detector_pb2_grpc, embedder_pb2, embedder_pb2_grpc, geometry_pb2, image_pb2
from services.chassis.process.settings import ModelSettings
from tests.hostile.collector import Collector, collecting
from tests.hostile.guarded import Guarded, guarded
from tests.hostile.leaks import Secrets
from tests.hostile.written_files import crashed, dumped, opened_to_write, traced_by
from tests.support.pictures import decode, encode, huge_header, noise, with_metadata
from tests.support.processes import RunningTier, Stack, suspended
from tests.support.ways import MESSAGE_OPTIONS

MARKER = "MRS-EXAMPLE-7f3a"
"""In metadata, names of files and fields, parameters, paths and headers."""
FILE_NAME = f"holiday-of-{MARKER}.jpg"
MAX_BYTES = 1_000_000
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "HEIF")
_HARMLESS = ("/dev/null", "/dev/tty", "picture")
"""What may be opened to write to: no file, no terminal, and the memory without a place (memfd) that a decoder reads."""
_TIMEOUT_S = 60.0


@dataclass(slots=True, kw_only=True)
class Sent:
    """What went to the servers or came from them and is to stay between them and the caller."""

    contents: list[bytes] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    """How each request ended, by what it was; 0 = without an answer."""


class Sender:
    """A client that remembers what it has sent and received."""

    def __init__(self, stack: Stack, identity: Guarded) -> None:
        self.sent = Sent(texts=[MARKER, identity.key, identity.token, *identity.token.split(".")])
        self.stack = stack
        self._http = httpx.Client(
            base_url=stack.gateway.url, headers={"Authorization": f"Bearer {identity.key}"}, timeout=_TIMEOUT_S
        )

    def post(self, what: str, call: str, content: bytes, **more: object) -> httpx.Response | None:
        """Sends it as the body, or what `more` has instead of it; returns the answer, if one came."""
        self.sent.contents.append(content)
        try:
            body = {} if "files" in more else {"content": content}
            answer = self._http.post(call, **body, **more)  # type: ignore[arg-type]  # what httpx takes
        except httpx.HTTPError:
            self.sent.statuses[what] = 0
            return None
        self.sent.statuses[what] = answer.status_code
        if answer.headers.get("content-type", "").startswith("image/"):
            self.sent.contents.append(answer.content)
        return answer


def picture(size_px: int, seed: int) -> Image.Image:
    """A face in noise that is like no other."""
    scene = noise(size_px, size_px, seed=seed)
    scene.paste(Image.fromarray(data.astronaut()).resize((size_px // 2, size_px // 2)), (size_px // 4, size_px // 4))
    return scene


def send_good(sender: Sender, identity: Guarded) -> None:
    """Every call, with every format, marked wherever it can be."""
    embeddings: list[list[float]] = []
    for index, file_format in enumerate(_FORMATS):
        content = with_metadata(picture(192, index), file_format, MARKER.encode())
        sender.sent.contents += _pixels(content)
        named = {"image": (FILE_NAME, content, f"image/x-{MARKER}")}
        sender.post(f"{file_format} anonymized", "/v1/anonymize?verify=true", content)
        sender.post(f"{file_format} in a form", "/v1/anonymize?style=blur", content, files=named)
        sender.post(f"{file_format} detected", "/v1/detect?recall=max", content)
        answer = sender.post(f"{file_format} embedded", "/v1/embed", content, headers=_bearer(identity.token))
        both = {"image_a": (FILE_NAME, content), "image_b": (FILE_NAME, content)}
        sender.post(f"{file_format} compared", "/v1/compare", content, files=both)
        if answer is not None and answer.status_code == 200:
            embeddings += [face["embedding"] for face in answer.json()["faces"] if face["embedding"]]
            people = {"image": (FILE_NAME, content), "keep": (FILE_NAME, content), "only": (MARKER, answer.content)}
            for field_name in ("keep", "only"):
                parts = {"image": people["image"], field_name: people[field_name]}
                sender.post(f"{file_format} {field_name}", "/v1/anonymize", content, files=parts)
    sender.sent.vectors += [np.array(embedding, np.float32) for embedding in embeddings]
    _call_tiers(sender)


def _call_tiers(sender: Sender) -> None:
    """The tiers themselves, for crops and the embeddings of each."""
    assert sender.stack.embedder is not None
    content = encode(picture(300, 77), "PNG")
    sender.sent.contents += [content, *_pixels(content)]
    with (
        grpc.insecure_channel(sender.stack.detector.target, MESSAGE_OPTIONS) as to_detector,
        grpc.insecure_channel(sender.stack.embedder.target, MESSAGE_OPTIONS) as to_embedder,
    ):
        config = detector_pb2.DetectionConfig(include_aligned=True)
        request = detector_pb2.DetectFacesRequest(image=image_pb2.Image(content=content), config=config)
        found = detector_pb2_grpc.DetectorServiceStub(to_detector).DetectFaces(request, timeout=_TIMEOUT_S)
        crops = [face.aligned for face in found.faces if face.aligned.pixels]
        sender.sent.contents += [crop.pixels for crop in crops]
        embedder = embedder_pb2_grpc.EmbedderServiceStub(to_embedder)
        answer = embedder.EmbedFaces(embedder_pb2.EmbedFacesRequest(faces=crops), timeout=_TIMEOUT_S)
        sender.sent.vectors += [np.array(embedding.values, np.float32) for embedding in answer.embeddings]
        wrong_crop = geometry_pb2.AlignedFace(pixels=crops[0].pixels[:-1])
        _refused(sender, "crop cut off", to_embedder, "EmbedderService/EmbedFaces", wrong_crop.SerializeToString())
        config.model = MARKER
        request.config.CopyFrom(config)
        _refused(sender, "unknown model", to_detector, "DetectorService/DetectFaces", request.SerializeToString())
        _refused(sender, "no message", to_detector, "DetectorService/DetectFaces", content)
        _refused(sender, "unknown method", to_detector, f"DetectorService/{MARKER}", content)
        _refused(sender, "unknown service", to_detector, f"{MARKER}/DetectFaces", content)


def _refused(sender: Sender, what: str, channel: grpc.Channel, method: str, content: bytes) -> None:
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/facet.v1.{method}")
    try:
        call(content, timeout=_TIMEOUT_S, metadata=(("x-name", MARKER), ("x-request-id", f"{MARKER} {MARKER}")))
    except grpc.RpcError as error:
        sender.sent.statuses[f"gRPC: {what}"] = error.code().value[0]


def send_bad(sender: Sender, identity: Guarded) -> None:
    """What is refused, each time for another reason."""
    content = with_metadata(picture(192, 99), "JPEG", MARKER.encode())
    sender.sent.contents += _pixels(content)
    wrong_key = identity.key[:-4] + "AAAA"
    wrong_token = identity.token[:-6] + "AAAAAA"
    sender.sent.texts += [wrong_key, wrong_token]
    bad: Mapping[str, tuple[str, bytes, dict[str, object]]] = {
        "cut off": ("/v1/anonymize", content[: len(content) // 2], {}),
        "text": ("/v1/anonymize", f"this is {MARKER}".encode() * 50, {}),
        "damaged": ("/v1/detect", content[:2000] + picture(64, 5).tobytes() + content[2000:], {}),
        "too many bytes": ("/v1/anonymize", content + noise(600, 600, seed=4).tobytes(), {}),
        "too many pixels": ("/v1/anonymize", huge_header("PNG"), {}),
        "unknown model": ("/v1/detect", content, {"params": {"model": MARKER}}),
        "unknown parameter": ("/v1/detect", content, {"params": {MARKER: MARKER}}),
        "unknown path": (f"/v1/detect/{MARKER}", content, {}),
        "unknown field": ("/v1/anonymize", content, {"files": {"image": content, MARKER: (FILE_NAME, content)}}),
        "wrong document": ("/v1/anonymize", content, {"files": {"image": content, "faces": f'{{"{MARKER}": 1}}'}}),
        "malformed form": ("/v1/anonymize", content, {"headers": {"Content-Type": "multipart/form-data; boundary=x"}}),
        "wrong key": ("/v1/anonymize", content, {"headers": _bearer(wrong_key)}),
        "wrong token": ("/v1/anonymize", content, {"headers": _bearer(wrong_token)}),
        "no key": ("/v1/anonymize", content, {"headers": {"Authorization": f"Basic {MARKER}"}}),
        "no time": ("/v1/anonymize", content, {"headers": {"X-Facet-Timeout": "0.001"}}),
        "odd headers": (
            "/v1/detect",
            content,
            {"headers": {"Cookie": MARKER, "User-Agent": MARKER, "Referer": MARKER}},
        ),
        "odd request id": ("/v1/detect", content, {"headers": {"X-Request-Id": f"{MARKER} {MARKER}"}}),
        "odd trace": ("/v1/detect", content, {"headers": {"traceparent": MARKER, "tracestate": f"a={MARKER}"}}),
    }
    for what, (call, body, more) in bad.items():
        sender.post(what, call, body, **more)
    with suspended(sender.stack.detector):
        sender.post("time-out", "/v1/anonymize", content, headers={"X-Facet-Timeout": "1"})
    _send_raw(sender, b"GET /%b HTTP/1.1\r\nHost: %b\r\nX\0: 1\r\n\r\n" % (MARKER.encode(), MARKER.encode()))
    head = f"POST /v1/anonymize HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {identity.key}\r\n".encode()
    _send_raw(sender, head + b"Content-Length: 900000\r\n\r\n" + content)  # and leaves


def _send_raw(sender: Sender, content: bytes) -> None:
    with socket.create_connection((sender.stack.gateway.host, sender.stack.gateway.port), timeout=5) as connection:
        connection.sendall(content)
        time.sleep(0.5)


def crash_at_work(sender: Sender, tier: RunningTier, call: str) -> None:
    """Ends a tier by SIGABRT while it works on pictures."""
    content = with_metadata(picture(420, 123), "PNG", MARKER.encode())
    sender.sent.contents += _pixels(content)
    senders = [
        threading.Thread(target=sender.post, args=(f"{tier.module} crashes {n}", call, content)) for n in range(4)
    ]
    for each in senders:
        each.start()
    time.sleep(0.5)
    tier.signal(signal.SIGABRT)
    for each in senders:
        each.join()
    tier.wait()


def _pixels(content: bytes) -> list[bytes]:
    """The decoded picture as tiers may hold it: its rows, channels in either order."""
    pixels = np.asarray(decode(content).convert("RGB"))
    return [pixels.tobytes(), np.ascontiguousarray(pixels[..., ::-1]).tobytes()]


def _bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


def _metrics(tiers: list[RunningTier]) -> dict[str, bytes]:
    found = {}
    for tier in tiers:
        with urlopen(f"http://{tier.host}:{tier.metrics_port}/metrics", timeout=10) as answer:
            found[f"metrics of {tier.module}"] = answer.read()
    return found


@contextmanager
def _running(folder: Path, identity: Guarded, collector: Collector) -> Iterator[Stack]:
    """All tiers, under strace, with folders of their own for whatever they may write."""
    home = folder / "home"
    home.mkdir()
    stack = Stack(
        traced_by(_made(folder / "traces")),
        embedder=True,
        **identity.settings,
        HOME=str(home),
        TMPDIR=str(_made(home / "tmp")),
        XDG_CACHE_HOME=str(_made(home / "cache")),
        PYTHONDONTWRITEBYTECODE="1",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        FACET_MODELS_DIR=str(ModelSettings().dir),
        FACET_EMBEDDER_MODEL="mobilefacenet",
        FACET_GATEWAY_AUDIT_LOG=str(folder / "audit.log"),
        FACET_LOG_LEVEL="DEBUG",
        FACET_MAX_IMAGE_BYTES=str(MAX_BYTES),
    )
    try:
        yield stack
    finally:
        stack.stop()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def scan(folder: Path, plant: Callable[[Path, Sent], None]) -> bool:
    """Runs it all; whether nothing was found."""
    identity = guarded(_made(folder / "keys"), subject="a-subject")
    shared_memory = set(Path("/dev/shm").iterdir())  # noqa: S108  (to see what is new)
    with collecting() as collector:
        with _running(folder, identity, collector) as stack:
            sender = Sender(stack, identity)
            send_good(sender, identity)
            send_bad(sender, identity)
            written = _metrics(stack.started)
            crash_at_work(sender, stack.anonymizer, "/v1/anonymize")
            crash_at_work(sender, stack.detector, "/v1/detect?recall=max")
            sender.post("tiers down", "/v1/anonymize", encode(picture(128, 3), "PNG"))
        written |= {f"log of {tier.module}": "".join(tier.output).encode() for tier in stack.started}
        written |= {"traces": b"\n".join(collector.exports)}
    plant(folder, sender.sent)
    paths = {folder / "audit.log", *(path for path in (folder / "home").rglob("*") if path.is_file())}
    opened = {path for path in opened_to_write(folder / "traces") if not _is_harmless(path, folder)}
    written |= {str(path): path.read_bytes() for path in paths if path.exists()}
    return _told(folder, sender.sent, written, opened, set(Path("/dev/shm").iterdir()) - shared_memory)  # noqa: S108


def _is_harmless(path: str, folder: Path) -> bool:
    known = (*_HARMLESS, str(folder / "audit.log"), str(folder / "audit.log.lock"))
    return any(path == each or path.startswith(f'"{each}"') for each in known)


def _told(folder: Path, sent: Sent, written: Mapping[str, bytes], opened: set[str], shared_memory: set[Path]) -> bool:
    secrets = Secrets(contents=sent.contents, vectors=sent.vectors, texts=sent.texts)
    say(f"{len(sent.statuses)} requests: {dict(sorted(_counted(sent.statuses).items()))}")
    failures = []
    for where, content in sorted(written.items()):
        found = secrets.found_in(content)
        say(f"  {len(content):10} bytes  {where}")
        failures += [f"{where}: {what}" for what in found]
    failures += [f"opened to write to: {path}" for path in sorted(opened)]
    failures += [f"left in shared memory: {path}" for path in sorted(shared_memory)]
    failures += [f"{dumped(folder / 'traces')} threads dumped core"] if dumped(folder / "traces") else []
    failures += [] if crashed(folder / "traces") else ["no tier has crashed, which was to be seen"]
    failures += [f"nothing was written there: {where}" for where in ("traces",) if not written[where]]
    for failure in failures:
        say(f"FAILED: {failure}")
    say(
        f"{sum(map(len, written.values()))} bytes searched for {len(sent.contents)} files, pixels and crops, "
        f"{len(sent.vectors)} embeddings and {len(sent.texts)} texts: {len(failures) or 'no'} failures"
    )
    return not failures


def _counted(statuses: Mapping[str, int]) -> dict[int, int]:
    return {status: list(statuses.values()).count(status) for status in statuses.values()}


def _nothing(_folder: Path, _sent: Sent) -> None:
    """Plants no leak."""


def _a_leak(folder: Path, sent: Sent) -> None:
    """Plants one, to see it found."""
    (folder / "home" / "left-behind").write_bytes(sent.contents[0][500:600])


def say(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Reads the options; returns the exit code."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--plant", action="store_true", help="leave a part of a picture in a file: the scan must fail")
    given = options.parse_args()
    if shutil.which("strace") is None:
        sys.exit("strace is needed: apt-get install strace")
    pillow_heif.register_heif_opener()
    with tempfile.TemporaryDirectory(prefix="facet-leaks-") as folder:
        return 0 if scan(Path(folder), _a_leak if given.plant else _nothing) else 1


if __name__ == "__main__":
    sys.exit(main())
