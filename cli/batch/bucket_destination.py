"""A prefix of an object store as a destination; a put is atomic, and the journal is many small objects in `.facet`."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from collections import deque
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from cli.batch.bucket_errors import told_as_os_errors
from cli.batch.buckets import Bucket
from cli.batch.destinations import Memory
from cli.batch.journal import Claimed, Written, entries_of, line_of
from cli.batch.journal_key import journal_key
from cli.batch.local_destination import not_believed
from cli.batch.naming import OWN_FOLDER, shown
from cli.batch.seal import Seal, SealedLines
from cli.batch.shards import Shard
from cli.batch.sources import Source
from services.chassis.errors import InvalidRequest

CLAIMED_AT_ONCE = 256
FLUSH_EVERY_S = 5.0
"""A run that is killed does again what it did since the last flush, with the same result."""


LONGEST_LINE_BYTES = 16 * 1024 * 1024
"""Of 256 claimed names."""
_BLOCK_BYTES = 4 * 1024 * 1024
_SEGMENT = re.compile(
    rf"{re.escape(OWN_FOLDER)}/journal-([0-9]{{1,9}}-of-[0-9]{{1,9}})-([0-9]{{8,12}})\.jsonl", re.ASCII
)
_MD5 = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(slots=True)
class _Journals:
    """What the journals of a prefix tell."""

    written: dict[Written, None] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)
    own: dict[str, bytes] = field(default_factory=dict)
    """This shard's segments in which nothing but sealed lines lies, with those lines."""


class BucketFolder:
    """Mirrors the sources below a prefix.

    Objects cannot be appended to, so that the journal grows by an object every few seconds. Before outputs are
    written they are claimed in it: what is claimed and there, but not noted as done, was written by a killed run.
    """

    def __init__(self, bucket: Bucket, shard: Shard) -> None:
        """Nothing is read yet."""
        self._bucket = bucket
        self._label = shard.label
        self._journal = f"{OWN_FOLDER}/journal-{shard.label}-"
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._flushed_at = time.monotonic()
        self._ahead: deque[str] = deque()
        self.notices: list[str] = []

    def _seal_of(self, label: str) -> Seal:
        return Seal(self._key, f"bucket {self._bucket.files.protocol} {self._bucket.root} {label}")

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
        self._key = journal_key()
        self._seal = self._seal_of(self._label)
        with told_as_os_errors():
            listed = self._bucket.files.find(self._bucket.root, detail=True)
            start = len(self._bucket.root) + 1
            self._listed = {key[start:]: told for key, told in listed.items()}
        segments = {path: match for path in sorted(self._listed) if (match := _SEGMENT.fullmatch(path))}
        told = _Journals()
        for path, match in segments.items():
            self._read(path, match[1], told)
        self._segment = 1 + max((int(match[2]) for match in segments.values()), default=0)
        if len(told.own) > 1:
            with told_as_os_errors():
                self._put_segment(b"".join(told.own.values()))
                self._bucket.files.rm([self._bucket.at(path) for path in told.own])
        # Only the last result to a name can be what is there.
        self._memory = Memory(sorted(told.written, key=lambda entry: entry.mtime_ns))
        self._claimed = told.claimed
        return self

    def _read(self, path: str, label: str, told: _Journals) -> None:
        """Takes what is sealed in one object of the journals."""
        seal = self._seal_of(label)
        kept: dict[bytes, None] = {}  # a line that somebody repeats takes nothing
        key = self._bucket.at(path)
        with told_as_os_errors(), self._bucket.files.open(key, "rb", block_size=_BLOCK_BYTES) as file:
            lines = SealedLines(file, seal, name=shown(key), longest_bytes=LONGEST_LINE_BYTES)
            for _, fields in lines:
                told.written |= dict.fromkeys(entries_of([fields], Written))
                told.claimed.update(name for claim in entries_of([fields], Claimed) for name in claim.claimed)
                if label == self._label:
                    kept[seal.sealed(fields)] = None
        if lines.others:
            self.notices.append(not_believed(key, lines.others))
        elif label == self._label:
            told.own[path] = b"".join(kept)

    def finished(self, source: Source, options: str) -> Written | None:
        """As Destination says."""
        for entry in self._memory.of(source.path)[-1:]:
            is_asked_for = (entry.source, entry.options) == (source.version, options)
            if is_asked_for and self._stands(entry):
                return entry
        return None

    def _stands(self, entry: Written) -> bool:
        """Whether a result is where it belongs: by its MD5, where the store tells one, else by its content."""
        told = self._listed.get(entry.output)
        if told is None or int(told["size"]) != entry.size_bytes:
            return False
        if entry.md5 and _told_md5(told) == entry.md5:
            return True
        with told_as_os_errors():
            content: bytes = self._bucket.files.cat_file(self._bucket.at(entry.output))
        return hashlib.sha256(content).hexdigest() == entry.sha256

    def is_taken(self, output: str) -> bool:
        """As Destination says."""
        return output in self._listed and output not in self._claimed and not self._memory.written(output)

    def begin(self, outputs: Sequence[str]) -> None:
        """As Destination says."""
        self._ahead = deque(output for output in outputs if output not in self._claimed)

    def write(self, result: Written, content: bytes) -> None:
        """As Destination says."""
        self._claim(result.output)
        with told_as_os_errors():
            self._bucket.files.pipe_file(self._bucket.at(result.output), content)
        with self._lock:
            md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
            self._lines.append(line_of(replace(result, mtime_ns=time.time_ns(), md5=md5), self._seal))
            if time.monotonic() - self._flushed_at > FLUSH_EVERY_S:
                self._flush()

    def _claim(self, output: str) -> None:
        """Makes sure that an output is claimed, with those that come next."""
        with self._lock:
            if output in self._claimed:
                return
            names = {output, *(self._ahead.popleft() for _ in range(min(CLAIMED_AT_ONCE, len(self._ahead))))}
            self._lines.append(line_of(Claimed(claimed=sorted(names)), self._seal))
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


def _told_md5(told: Mapping[str, object]) -> str:
    """In hexadecimal digits, if the listing tells one."""
    tag = str(told.get("ETag") or told.get("etag") or "").strip('"').lower()
    if _MD5.fullmatch(tag):
        return tag
    content = told.get("md5Hash") or ""
    try:
        return base64.b64decode(str(content)).hex()
    except ValueError:
        return ""
