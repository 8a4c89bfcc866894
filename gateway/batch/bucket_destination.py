"""A prefix of an object store as a destination; a put is atomic, and the journal is many small objects in `.facet`."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Collection, Hashable, Sequence
from dataclasses import replace
from typing import Self

from gateway.batch.bucket_errors import told_as_os_errors
from gateway.batch.buckets import Bucket
from gateway.batch.destinations import Memory
from gateway.batch.journal import Claimed, Written, entries_in, line_of
from gateway.batch.naming import OWN_FOLDER, shown
from gateway.batch.shards import Shard
from gateway.batch.sources import Source
from services.chassis.errors import InvalidRequest

CLAIMED_AT_ONCE = 256
FLUSH_EVERY_S = 5.0
"""A run that is killed does again what it did since the last flush, with the same result."""


class BucketFolder:
    """Mirrors the sources below a prefix.

    Objects cannot be appended to, so that the journal grows by an object every few seconds. Before outputs are
    written they are claimed in it: what is claimed and there, but not noted as done, was written by a killed run.
    """

    def __init__(self, bucket: Bucket, shard: Shard) -> None:
        """Nothing is read yet."""
        self._bucket = bucket
        self._journal = f"{OWN_FOLDER}/journal-{shard.label}-"
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._flushed_at = time.monotonic()
        self._ahead: deque[str] = deque()

    def is_one_name(self, one: str, other: str) -> bool:
        """As Destination says: stores keep names as they are."""
        del one, other
        return False

    def refuse_inputs(self, outputs: Collection[str], inputs: Collection[Hashable]) -> None:
        """As Destination says."""
        protocol = str(self._bucket.files.protocol)
        for output in outputs:
            if (protocol, self._bucket.at(output)) in inputs:
                raise InvalidRequest(
                    f"{shown(self._bucket.at(output))} is one of the pictures; write to another prefix"
                )

    def __enter__(self) -> Self:
        """As Destination says; also puts this shard's journal together into one object."""
        with told_as_os_errors():
            listed = self._bucket.files.find(self._bucket.root, detail=True)
            start = len(self._bucket.root) + 1
            self._sizes = {key[start:]: int(told["size"]) for key, told in listed.items()}
            journals = sorted(path for path in self._sizes if path.startswith(f"{OWN_FOLDER}/journal-"))
            contents = {path: self._bucket.files.cat_file(self._bucket.at(path)) for path in journals}
            own = [path for path in journals if path.startswith(self._journal)]
            self._segment = 1 + max((int(path[len(self._journal) :].partition(".")[0]) for path in own), default=0)
            if len(own) > 1:
                self._put_segment(b"".join(contents[path] for path in own))
                self._bucket.files.rm([self._bucket.at(path) for path in own])
        lines = [line for content in contents.values() for line in content.splitlines()]
        # A store tells the size alone, so that only the last result to a name can be what is there.
        self._memory = Memory(sorted(entries_in(lines, Written), key=lambda entry: entry.mtime_ns))
        self._claimed = {output for claim in entries_in(lines, Claimed) for output in claim.claimed}
        return self

    def finished(self, source: Source, options: str) -> Written | None:
        """As Destination says."""
        for entry in self._memory.of(source.path)[-1:]:
            is_asked_for = (entry.source, entry.options) == (source.version, options)
            if is_asked_for and self._sizes.get(entry.output) == entry.size_bytes:
                return entry
        return None

    def is_taken(self, output: str) -> bool:
        """As Destination says."""
        return output in self._sizes and output not in self._claimed and not self._memory.written(output)

    def begin(self, outputs: Sequence[str]) -> None:
        """As Destination says."""
        self._ahead = deque(output for output in outputs if output not in self._claimed)

    def write(self, result: Written, content: bytes) -> None:
        """As Destination says."""
        self._claim(result.output)
        with told_as_os_errors():
            self._bucket.files.pipe_file(self._bucket.at(result.output), content)
        with self._lock:
            self._lines.append(line_of(replace(result, mtime_ns=time.time_ns())))
            if time.monotonic() - self._flushed_at > FLUSH_EVERY_S:
                self._flush()

    def _claim(self, output: str) -> None:
        """Makes sure that an output is claimed, with those that come next."""
        with self._lock:
            if output in self._claimed:
                return
            names = {output, *(self._ahead.popleft() for _ in range(min(CLAIMED_AT_ONCE, len(self._ahead))))}
            self._lines.append(line_of(Claimed(claimed=sorted(names))))
            self._flush()
            self._claimed |= names

    def _flush(self) -> None:
        if self._lines:
            with told_as_os_errors():
                self._put_segment(b"".join(self._lines))
            self._lines.clear()
        self._flushed_at = time.monotonic()

    def _put_segment(self, content: bytes) -> None:
        self._bucket.files.pipe_file(self._bucket.at(f"{self._journal}{self._segment:08d}.jsonl"), content)
        self._segment += 1

    def __exit__(self, *_: object) -> None:
        """As Destination says."""
        with self._lock:
            self._flush()
