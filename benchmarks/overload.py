"""The gateway under more requests than it can answer: goodput, latency of the accepted, speed of refusals, memory.

Run with `make bench-overload`. Clients send one JPEG of 3 megapixels over and over: each as soon as it is answered,
and at 1, 2 and 5 times the capacity. That is what 32 clients reach who wait for their answers, and it is measured
before and after every run: a shared machine's speed drifts by more than what is looked for. What is left of that is
told as the standard error of the runs' mean. The load comes from a process of its own that takes few cycles, as it
shares the machine's processors with what it measures.
"""

from __future__ import annotations

import argparse
import io
import itertools
import math
import os
import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table
from skimage import data

from tests.support.processes import Stack
from tests.support.usage import memory_mib

CLIENTS = (1, 8, 32, 128)
CAPACITY_CLIENTS = 32
OVERLOADS = (1, 2, 5)
DEADLINE_S = 10.0
WARM_UP_S = 2.0


@dataclass(slots=True)
class Came:
    """What came of the requests of one run."""

    answered_after_s: list[float] = field(default_factory=list)
    refused_after_s: list[float] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    """Other statuses."""
    goodput: float = 0.0
    """Answers a second, after the warm-up."""
    of_capacity: float = 0.0
    """The same, as a share of the capacity just before and after."""


def three_megapixels() -> bytes:
    """A 2000 x 1500 JPEG of about 0.6 MB: one face, and noise like a camera's."""
    picture = Image.fromarray(np.asarray(data.astronaut())[:384]).resize((2000, 1500), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(1).normal(0, 4, (1500, 2000, 3))
    file = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
    return file.getvalue()


def run(port: int, content: bytes, clients: int, rate: float | None, seconds: float) -> Came:
    """Sends for so long; blocks. `rate` is requests a second in all; None = each client sends once it is answered."""
    head = (
        "POST /v1/anonymize HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        f"X-Facet-Timeout: {DEADLINE_S}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    began_s = time.monotonic()
    counted_from_s = began_s + WARM_UP_S
    ends_s = counted_from_s + seconds
    requests = itertools.count()
    gap_s = 0.0 if rate is None else 1 / rate
    answers: list[tuple[int, float, float]] = []

    def turns() -> Iterator[float]:
        """Waits for moments at which requests are due, and tells them, until the run ends."""
        while max(due_s := began_s + next(requests) * gap_s, time.monotonic()) < ends_s:
            time.sleep(max(0.0, due_s - time.monotonic()))
            yield time.monotonic()

    def client(request: BinaryIO) -> None:
        with socket.socket() as connection:
            for turn, sent_s in enumerate(turns()):
                if turn == 0:  # the gateway closes connections whose first request is long in coming
                    connection.connect(("127.0.0.1", port))
                answers.append((_answer(connection, request), sent_s, time.monotonic()))

    with TemporaryFile() as request, ThreadPoolExecutor(clients) as threads:
        request.write(head.encode() + content)
        request.flush()
        for ended in [threads.submit(client, request) for _ in range(clients)]:
            ended.result()
    came = Came()
    for status, sent_s, answered_s in answers:
        if status == HTTPStatus.OK:
            came.answered_after_s.append(answered_s - sent_s)
            came.goodput += (counted_from_s <= answered_s < ends_s) / seconds
        elif status == HTTPStatus.TOO_MANY_REQUESTS:
            came.refused_after_s.append(answered_s - sent_s)
        else:
            came.others.append(status)
    return came


def _answer(connection: socket.socket, request: BinaryIO) -> int:
    """Sends a request and reads its answer; returns the status."""
    left = size = os.fstat(request.fileno()).st_size
    while left:
        left -= os.sendfile(connection.fileno(), request.fileno(), size - left, left)
    with connection.makefile("rb") as answer:
        status_line, *lines = itertools.takewhile(bytes.strip, answer)
        [length] = [int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")]
        if len(answer.read(length)) < length:
            raise ConnectionError("the gateway closed the connection amid its answer")
    return int(status_line.split()[1])


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run, after its warm-up")
    parser.add_argument("--rounds", type=int, default=2, help="how often all runs take turns, 2 or more")
    parser.add_argument("--model", default="retinaface-mobilenet025", help="the detector's; k8s/overlays name this one")
    arguments = parser.parse_args()
    if arguments.rounds < 2:  # noqa: PLR2004
        parser.error("--rounds: one run has no standard error; take 2 or more")
    seconds: float = arguments.seconds
    content = three_megapixels()
    stack = Stack(FACET_DETECTOR_MODEL=arguments.model, FACET_GATEWAY_DEADLINE_S=str(DEADLINE_S))
    table = Table(
        title=f"{arguments.model}, a JPEG of 3 megapixels ({len(content) / 1e6:.1f} MB), deadline {DEADLINE_S:g} s"
    )
    for heading in (
        "rate",
        "clients",
        "goodput/s",
        "of capacity",
        "accepted p99 s",
        "refused",
        "refused p50 ms",
        "else",
    ):
        table.add_column(heading, justify="right")
    with ExitStack() as ending:
        ending.callback(stack.stop)
        load = ending.enter_context(ProcessPoolExecutor(1))

        def came_of(clients: int, rate: float | None) -> Came:
            return load.submit(run, stack.gateway.port, content, clients, rate, seconds).result()

        capacity = came_of(CAPACITY_CLIENTS, None).goodput
        came: dict[tuple[int | None, int], list[Came]] = {
            (times, clients): [] for times in (None, *OVERLOADS) for clients in CLIENTS
        }
        for _ in range(arguments.rounds):
            for (times, clients), runs in came.items():
                runs.append(one := came_of(clients, times and times * capacity))
                before, capacity = capacity, came_of(CAPACITY_CLIENTS, None).goodput
                one.of_capacity = one.goodput / statistics.mean((before, capacity))
        parts = {"detector": stack.detector, "anonymizer": stack.anonymizer, "gateway": stack.gateway}
        peaks = {name: memory_mib(part.process.pid, "VmHWM") for name, part in parts.items()}
    for (times, clients), runs in came.items():
        shares = [one.of_capacity for one in runs]
        answered_s = [after_s for one in runs for after_s in one.answered_after_s]
        refused_s = [after_s for one in runs for after_s in one.refused_after_s]
        table.add_row(
            f"{times} x" if times else "as answered",
            str(clients),
            f"{statistics.mean(one.goodput for one in runs):.1f}",
            f"{100 * statistics.mean(shares):.0f} ± {100 * statistics.stdev(shares) / math.sqrt(len(shares)):.0f} %",
            f"{np.quantile(answered_s, 0.99):.2f}",
            str(len(refused_s)),
            f"{1000 * statistics.median(refused_s):.0f}" if refused_s else "",
            str(sum(len(one.others) for one in runs)),
        )
    console = Console(width=100)
    console.print(table)
    console.print("peak memory, MiB: " + ", ".join(f"{name} {peak:.0f}" for name, peak in peaks.items()))


if __name__ == "__main__":
    main()
