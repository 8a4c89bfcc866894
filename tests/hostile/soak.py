"""`python -m tests.hostile.soak`: many pictures of all sizes and formats, and processes that take no more for it.

The same pictures come again in every tenth of the run. After each the processes rest until they have given back what
they keep for the next picture: what they hold then after the first three tenths is compared with the last three, and
so are medians of descriptors and threads under load. Ends with 1 where a process has grown or a picture was not
answered.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from random import Random
from statistics import median
from uuid import uuid4

import pillow_heif
from PIL import Image
from skimage import data

from services.chassis.process.memory import REST_S
from tests.support.pictures import encode
from tests.support.processes import RunningTier, Stack
from tests.support.usage import Usage, usage_of

CLIENTS = 8
WINDOWS = 10
LARGEST_GROWTH = 0.02
SLACK = 4
"""Descriptors and threads that come and go with gRPC's connections, which are renewed, and its pool of threads."""
LARGE_A_WINDOW = 2 * CLIENTS
"""Pictures of 12 megapixels for each of two tiers. They come first, all clients' at once: the most memory that a tier
can take, all its workers on a large picture, is taken in every window then and does not depend on chance."""
_LARGE_PX = (4000, 3000)
_SIDES_PX = (48, 64, 96, 128, 160, 200, 256, 320, 480)
_FORMATS = ("JPEG", "JPEG", "JPEG", "PNG", "WEBP", "BMP", "TIFF", "HEIF")
_SAMPLE_EVERY_S = 0.25
_REST_S = 2.5 * REST_S
"""Within two spans of rest, one of which begins anywhere, memory is given back."""
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One request."""

    path: str
    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A tenth of the run, by process."""

    under_load: list[list[Usage]]
    at_rest: list[Usage]


def small_pictures() -> list[bytes]:
    """One a size and format."""
    pillow_heif.register_heif_opener()
    face = Image.fromarray(data.astronaut()).crop((80, 0, 400, 320))
    pictures = []
    for index, side in enumerate(_SIDES_PX):
        for file_format in dict.fromkeys(_FORMATS):
            options = {"progressive": True} if file_format == "JPEG" and index % 2 else {}
            pictures.append(encode(face.resize((side, side * 3 // 4)), file_format, **options))
    return pictures


def window_of_requests(count: int) -> list[Sent]:
    """The same every time: large pictures, then small ones for every call."""
    chance = Random(1)  # noqa: S311
    large = encode(Image.fromarray(data.astronaut()).resize(_LARGE_PX), "JPEG", quality=90)
    small = small_pictures()
    face = encode(Image.fromarray(data.astronaut()).resize((256, 256)), "JPEG")
    box = {"x_min": 1328, "y_min": 350, "x_max": 2150, "y_max": 1050}
    faces = json.dumps({"width": _LARGE_PX[0], "height": _LARGE_PX[1], "faces": [{"box": box}]}).encode()
    requests = [_raw("/v1/detect?recall=fast", large)] * LARGE_A_WINDOW
    requests += [_form("/v1/anonymize", image=large, faces=faces)] * LARGE_A_WINDOW
    makers: tuple[Callable[[bytes], Sent], ...] = (
        *[lambda picture: _raw("/v1/anonymize?recall=fast", picture)] * 12,
        *[lambda picture: _form("/v1/anonymize?recall=fast&style=blur", image=picture)] * 6,
        *[lambda picture: _raw("/v1/anonymize?recall=fast&style=solid&format=png", picture)] * 3,
        *[lambda picture: _raw("/v1/detect?recall=fast", picture)] * 2,
        lambda picture: _raw("/v1/anonymize", picture),
        lambda picture: _form("/v1/anonymize?recall=fast&verify=true", image=picture),
        lambda picture: _raw("/v1/embed?recall=fast", picture),
        lambda _picture: _form("/v1/compare?recall=fast", image_a=face, image_b=face),
    )
    return requests + [chance.choice(makers)(chance.choice(small)) for _ in range(count - len(requests))]


def _raw(path: str, picture: bytes) -> Sent:
    return Sent(path=path, body=picture, media_type="application/octet-stream")


def _form(path: str, **pictures: bytes) -> Sent:
    boundary = uuid4().hex
    parts = (
        b'--%b\r\nContent-Disposition: form-data; name="%b"; filename="a"\r\n\r\n%b\r\n'
        % (boundary.encode(), name.encode(), picture)
        for name, picture in pictures.items()
    )
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return Sent(path=path, body=body, media_type=f"multipart/form-data; boundary={boundary}")


class Clients:
    """One connection a thread."""

    def __init__(self, gateway: RunningTier) -> None:
        self._gateway = gateway
        self._of_thread = threading.local()

    def send(self, request: Sent) -> int:
        """The status of the answer, all of which was taken."""
        if not hasattr(self._of_thread, "connection"):
            self._of_thread.connection = HTTPConnection(self._gateway.host, self._gateway.port, timeout=_TIMEOUT_S)
        connection: HTTPConnection = self._of_thread.connection
        connection.request("POST", request.path, request.body, {"Content-Type": request.media_type})
        answer = connection.getresponse()
        answer.read()
        return answer.status


@contextmanager
def sampled(tiers: Sequence[RunningTier]) -> Iterator[list[list[Usage]]]:
    """Looks at the processes again and again while the context lasts, and reads their logs away."""
    samples: list[list[Usage]] = [[] for _ in tiers]
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(_SAMPLE_EVERY_S):
            for tier, of_process in zip(tiers, samples, strict=True):
                of_process.append(usage_of(tier.process.pid))
                tier.taken_log()

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield samples
    finally:
        ended.set()
        sampler.join()


def soak(pictures: int) -> bool:
    """Sends the pictures and tells of what they took; whether nothing has grown and all were answered."""
    requests = window_of_requests(pictures // WINDOWS)
    stack = Stack(embedder=True, FACET_EMBEDDER_MODEL="mobilefacenet")
    try:
        clients = Clients(stack.gateway)
        windows: list[Window] = []
        refused: list[int] = []
        started_s = time.monotonic()
        with ThreadPoolExecutor(CLIENTS) as pool:
            for number in range(1, WINDOWS + 1):
                with sampled(stack.started) as under_load:
                    refused += [status for status in pool.map(clients.send, requests) if status != 200]
                time.sleep(_REST_S)
                at_rest = [usage_of(tier.process.pid) for tier in stack.started]
                windows.append(Window(under_load=under_load, at_rest=at_rest))
                resident = " ".join(f"{each.resident_mib:6.1f}" for each in at_rest)
                spent_s = time.monotonic() - started_s
                say(f"{number * len(requests):6} pictures, {spent_s:4.0f} s: {resident} MiB at rest")
        grown = _told(stack.started, windows[:3], windows[-3:])
    finally:
        stack.stop()
    if refused:
        say(f"FAILED: {len(refused)} not answered with 200")
    return not (grown or refused)


def _told(tiers: Sequence[RunningTier], early: Sequence[Window], late: Sequence[Window]) -> bool:
    """One table; whether something has grown."""
    say(f"\n{'early, late':20} {'resident at rest, MiB':>25} {'at most, MiB':>14} {'descriptors':>13} {'threads':>9}")
    any_grown = False
    for index, tier in enumerate(tiers):
        before, after = (median(window.at_rest[index].resident_mib for window in part) for part in (early, late))
        was, now = ([sample for window in part for sample in window.under_load[index]] for part in (early, late))
        most = [max(sample.resident_mib for sample in samples) for samples in (was, now)]
        descriptors = [round(median(sample.descriptors for sample in samples)) for samples in (was, now)]
        threads = [round(median(sample.threads for sample in samples)) for samples in (was, now)]
        growth = after / before - 1
        grown = growth >= LARGEST_GROWTH or max(descriptors[1] - descriptors[0], threads[1] - threads[0]) > SLACK
        any_grown |= grown
        say(
            f"{tier.module:20} {before:8.1f} {after:8.1f} {growth:+7.2%} {most[0]:7.0f} {most[1]:6.0f} "
            f"{descriptors[0]:7} {descriptors[1]:5} {threads[0]:5} {threads[1]:3}   {'GROWN' if grown else ''}"
        )
    return any_grown


def say(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Reads the options; returns the exit code."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pictures", type=int, default=20_000)
    return 0 if soak(options.parse_args().pictures) else 1


if __name__ == "__main__":
    sys.exit(main())
