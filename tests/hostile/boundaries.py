"""The largest requests that are allowed, and larger ones, each tier in 1 GiB: none may end, none may stand still.

`python -m tests.hostile.boundaries`; needs root, for control groups.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image
from skimage import data

from facet.v1 import (
    anonymizer_pb2,
    detector_pb2,
    embedder_pb2,
    geometry_pb2,
    image_pb2,
)
from services.chassis.process.settings import MIB
from tests.support.memory_group import MemoryGroup, can_limit_memory, memory_group
from tests.support.processes import RunningTier, start

LIMIT_BYTES = 1024 * MIB
STANDSTILL_S = 2.0
"""How late a health check may be on a busy machine; what this guards against took 3 to 12 s on an idle one."""
_PROBE_EVERY_S = 0.05
_WITHIN_S = 120.0
_TIERS = ("detector", "embedder", "anonymizer")
_HONEST = {200, 400, 413, 415, 422, 429, 503, 504}
_HONEST_CODES = {"OK", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A gateway and the tiers behind it, each in a group of its own."""

    gateway: RunningTier
    tiers: Mapping[str, RunningTier]
    groups: Mapping[str, MemoryGroup]

    @property
    def processes(self) -> dict[str, RunningTier]:
        """All, by name."""
        return {**self.tiers, "gateway": self.gateway}

    def post(self, path: str, **request: object) -> str:
        """The status of an answer, and why."""
        answer = httpx.post(self.gateway.url + path, timeout=_WITHIN_S, trust_env=False, **request)  # type: ignore[arg-type]
        honest = answer.status_code in _HONEST
        said = answer.json()["detail"] if answer.status_code != httpx.codes.OK and honest else ""
        return f"{answer.status_code if honest else f'FAULT {answer.status_code}'} {said}"

    def call(self, tier: str, method: str, content: bytes) -> str:
        """The code of a call's status, and why; the message goes out as it is."""
        with grpc.insecure_channel(self.tiers[tier].target, options=[("grpc.max_send_message_length", -1)]) as channel:
            send: Any = channel.unary_unary(f"/facet.v1.{tier.title()}Service/{method}")
            try:
                send(content, timeout=_WITHIN_S)
            except grpc.RpcError as error:
                code = error.code().name
                return f"{code if code in _HONEST_CODES else f'FAULT {code}'} {error.details()}"
        return "OK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary:
    """A request at a bound, or beyond."""

    name: str
    send: Callable[[Running], str]


@contextlib.contextmanager
def running_in(limit_bytes: int = LIMIT_BYTES, **settings: str) -> Iterator[Running]:
    """Starts all of it, each in a group with that limit. Keyword arguments are settings of every process."""
    settings = {"FACET_EMBEDDER_MODEL": "mobilefacenet", "OMP_NUM_THREADS": "1", **settings}
    with contextlib.ExitStack() as stack:
        groups = {name: stack.enter_context(memory_group(limit_bytes)) for name in (*_TIERS, "gateway")}
        tiers = {}
        for name in _TIERS:
            tiers[name] = start(name, groups[name].prefix, **settings)
            stack.callback(tiers[name].stop)
        for tier in tiers.values():
            tier.wait_ready()
        targets = {f"FACET_{name.upper()}_TARGET": tier.target for name, tier in tiers.items()}
        gateway = start("gateway", groups["gateway"].prefix, **targets, **settings)
        stack.callback(gateway.stop)
        yield Running(gateway=gateway, tiers=tiers, groups=groups)


def crowd(faces_a_side: int, face_px: int) -> bytes:
    """A JPEG of so many small faces in rows and columns."""
    face = Image.fromarray(data.astronaut()).crop((170, 60, 280, 180)).resize((face_px, face_px))
    picture = Image.new("RGB", (faces_a_side * face_px, faces_a_side * face_px))
    for index in range(faces_a_side**2):
        picture.paste(face, (index % faces_a_side * face_px, index // faces_a_side * face_px))
    return _file(picture, "JPEG", quality=60)


def tall_picture() -> bytes:
    """A small JPEG of 65,000 rows."""
    return _file(Image.new("RGB", (16, 65_000), (90, 120, 150)), "JPEG")


def document(width: int, height: int, boxes: Sequence[tuple[float, float, float, float]]) -> bytes:
    """As `/v1/detect` answers it."""
    names = ("x_min", "y_min", "x_max", "y_max")
    faces = [{"box": dict(zip(names, box, strict=True))} for box in boxes]
    return json.dumps({"width": width, "height": height, "faces": faces}, separators=(",", ":")).encode()


def boundaries() -> list[Boundary]:
    """What is sent, REST first."""
    tall = tall_picture()
    wide = _file(Image.new("RGB", (6000, 5000), (90, 120, 150)), "JPEG")
    small = _file(Image.new("RGB", (640, 480), (90, 120, 150)), "JPEG")
    people = crowd(100, 24)
    rows = document(16, 65_000, [(0, 0, 16, 65_000 - index) for index in range(10_000)])
    most_rows = document(16, 65_000, [(0, 0, 16, 65_000 - index) for index in range(60)])
    cells = [(index % 100 * 60.0, index // 100 * 50.0) for index in range(10_000)]
    spread = document(6000, 5000, [(x, y, x + 60, y + 50) for x, y in cells])
    spots = [(index % 240 * 10.0, index // 240 * 10.0) for index in range(10_000)]
    specks = document(2400, 2400, [(x, y, x + 0.1, y + 0.1) for x, y in spots])
    wrong = b'{"width":1,"height":1,"faces":[' + b",".join([b'{"bax":[]}'] * 10_000) + b"]}"
    many = b'{"width":1,"height":1,"faces":[' + b",".join([b"{}"] * 1_300_000) + b"]}"
    deep = b'{"width":' + b"[" * 2_000_000
    numbers = b'{"embedding_model":"x","embedding":[' + b",".join([b"1"] * 2_000_000) + b"]}"
    too_many_numbers = b'{"embedding_model":"x","embedding":[' + b",".join([b"1"] * 14_000_000) + b"]}"

    hard = "/v1/detect?recall=max&min_confidence=0.02"

    def faces(picture: bytes, document: bytes, query: str = "") -> Callable[[Running], str]:
        return lambda running: running.post(f"/v1/anonymize{query}", files={"image": picture, "faces": document})

    def picture(path: str, content: bytes) -> Callable[[Running], str]:
        return lambda running: running.post(path, content=content)

    def call(tier: str, method: str, content: bytes) -> Callable[[Running], str]:
        return lambda running: running.call(tier, method, content)

    image = image_pb2.Image(content=small)
    corners = [(index % 256, index // 256) for index in range(65_536)]
    boxes = [geometry_pb2.BoundingBox(x_min=x, y_min=y, x_max=x + 9, y_max=y + 9) for x, y in corners]
    regions = [anonymizer_pb2.Region(box=box) for box in boxes]
    align = detector_pb2.AlignFacesRequest(image=image, faces=[geometry_pb2.Face(box=box) for box in boxes[:1024]])
    embed = embedder_pb2.EmbedFacesRequest(faces=[geometry_pb2.AlignedFace(pixels=bytes(112 * 112 * 3))] * 1700)
    hide = anonymizer_pb2.AnonymizeImageRequest
    return [
        Boundary(name="10,000 regions as high as the picture", send=faces(tall, rows)),
        Boundary(name="60 regions as high as the picture", send=faces(tall, most_rows)),
        Boundary(name="10,000 regions in 30 megapixels", send=faces(wide, spread, "?margin=2&boxes=true")),
        Boundary(name="10,000 specks in a crowd, verified", send=faces(people, specks, "?margin=0&verify=true")),
        Boundary(
            name="10,000 faces searched for",
            send=picture(hard, people),
        ),
        Boundary(name="10,000 faces hidden", send=picture("/v1/anonymize?boxes=true", people)),
        Boundary(name="10,000 faces embedded", send=picture("/v1/embed", people)),
        Boundary(name="document of 10,000 mistakes", send=faces(small, wrong)),
        Boundary(name="document of 1,300,000 faces", send=faces(small, many)),
        Boundary(name="document 2,000,000 deep", send=faces(small, deep)),
        Boundary(
            name="20 references of 4 MB of numbers",
            send=lambda running: running.post("/v1/anonymize", files=[("image", small), *[("keep", numbers)] * 20]),
        ),
        Boundary(
            name="reference of 28 MB of numbers",
            send=lambda running: running.post("/v1/anonymize", files={"image": small, "keep": too_many_numbers}),
        ),
        Boundary(name="texts that decompress to 500 MB in a PNG", send=picture("/v1/anonymize", _png_of_texts(500))),
        Boundary(
            name="65,536 regions",
            send=call("anonymizer", "AnonymizeImage", hide(image=image, regions=regions).SerializeToString()),
        ),
        Boundary(name="30,000,000 empty regions", send=call("anonymizer", "AnonymizeImage", b"\x12\x00" * 30_000_000)),
        Boundary(
            name="3,000,000 landmarks of one region",
            send=call("anonymizer", "AnonymizeImage", _field(2, b"\x12\x00" * 3_000_000)),
        ),
        Boundary(
            name="1,024 faces to align",
            send=call(
                "detector",
                "AlignFaces",
                align.SerializeToString(),
            ),
        ),
        Boundary(
            name="1,700 faces to embed in a call",
            send=call("embedder", "EmbedFaces", embed.SerializeToString()),
        ),
        Boundary(name="30,000,000 empty faces to embed", send=call("embedder", "EmbedFaces", b"\x0a\x00" * 30_000_000)),
    ]


def check(running: Running, boundary: Boundary) -> list[str]:
    """Sends it and watches; says a line, and returns what was wrong."""
    for group in running.groups.values():
        group.forget_peak()
    started_s = time.monotonic()
    with _watched(running) as late_s:
        try:
            answer = boundary.send(running)
        except httpx.TransportError as error:
            answer = f"FAULT {error!r}"
    elapsed_s = time.monotonic() - started_s
    peaks = {name: group.peak_bytes / MIB for name, group in running.groups.items()}
    told = ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items())
    slowest = max(late_s, key=lambda name: late_s[name])
    say(f"{boundary.name:50} {answer[:60]:60} {elapsed_s:5.1f} s; {slowest} late {late_s[slowest]:.2f} s; MiB: {told}")
    wrong = [f"{name} has ended" for name, process in running.processes.items() if process.process.poll() is not None]
    wrong += [f"{name} stood still for {late:.1f} s" for name, late in late_s.items() if late > STANDSTILL_S]
    wrong += [answer] if answer.startswith("FAULT") else []
    return [f"{boundary.name}: {each}" for each in wrong]


@contextlib.contextmanager
def _watched(running: Running) -> Iterator[dict[str, float]]:
    """The slowest health check of each process meanwhile, seconds."""
    late_s = dict.fromkeys(running.processes, 0.0)
    done = threading.Event()

    def probe(name: str, ask: Callable[[], object]) -> None:
        while not done.is_set():
            asked_s = time.monotonic()
            with contextlib.suppress(grpc.RpcError, httpx.TransportError):  # one that has ended is told of otherwise
                ask()
            late_s[name] = max(late_s[name], time.monotonic() - asked_s)
            done.wait(_PROBE_EVERY_S)

    with contextlib.ExitStack() as stack:
        client = stack.enter_context(httpx.Client(base_url=running.gateway.url, timeout=60, trust_env=False))
        asks: dict[str, Callable[[], object]] = {"gateway": lambda: client.get("/healthz")}
        for name, tier in running.tiers.items():
            stub = health_pb2_grpc.HealthStub(stack.enter_context(grpc.insecure_channel(tier.target)))
            asks[name] = lambda stub=stub: stub.Check(health_pb2.HealthCheckRequest(), timeout=60)  # type: ignore[misc]
        probes = [threading.Thread(target=probe, args=each) for each in asks.items()]
        for thread in probes:
            thread.start()
        try:
            yield late_s
        finally:
            done.set()
            for thread in probes:
                thread.join()


def _png_of_texts(mib: int) -> bytes:
    """A PNG whose compressed texts are that large."""
    text = b"t\0\0" + zlib.compress(bytes(MIB))
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    plain = _file(Image.new("RGB", (64, 64)), "PNG")
    header_end = 33
    return plain[:header_end] + chunk * mib + plain[header_end:]


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a message."""
    length, left = b"", len(content)
    while left > 127:
        length += bytes((left & 127 | 128,))
        left >>= 7
    return bytes((number << 3 | 2,)) + length + bytes((left,)) + content


def _file(picture: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def say(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Sends everything; returns the exit code."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default="", help="send those whose name holds this")
    only = options.parse_args().only
    if not can_limit_memory():
        say("boundaries: skipped, as control groups need root")
        return 0
    wrong: list[str] = []
    with running_in() as running:
        for boundary in boundaries():
            if only in boundary.name:
                wrong += check(running, boundary)
    for each in wrong:
        say(f"FAILED: {each}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
