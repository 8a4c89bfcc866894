"""Searching what was written for what is secret: as it is, escaped, in base64, in hexadecimal, as decimal numbers."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

WINDOW_BYTES = 16
_LEAST_DIFFERENT = 6
"""Windows of fewer different bytes stand in anything: zeros, padding, one colour."""
_LEAST_VALUE = 0.01
"""Numbers below it, rounded, are too often the same."""
_TRIPLE = 3

_Hashes = NDArray[np.uint64]
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{22,}")
_HEXADECIMAL = re.compile(rb"(?:[0-9A-Fa-f]{2}){16,}")
_ESCAPED = re.compile(rb"\\x([0-9a-fA-F]{2})|\\u00([0-9a-fA-F]{2})")
_BYTES_AS_NUMBERS = re.compile(rb"\d{1,3}(?:[,\s]+\d{1,3}){15,}")
_NUMBER = re.compile(rb"-?\d+\.\d+(?:[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What must be found nowhere."""

    contents: Sequence[bytes] = ()
    """Files, pixels, crops: any WINDOW_BYTES of each."""
    vectors: Sequence[NDArray[np.float32]] = ()
    """Embeddings: any four values as bytes, any three as decimal numbers."""
    texts: Sequence[str] = ()
    """Names, keys, tokens: each as a whole, in upper or lower case."""
    _hashes: _Hashes = field(init=False)
    _triples: frozenset[tuple[float, ...]] = field(init=False)

    def __post_init__(self) -> None:
        """Prepares the search."""
        contents = [*self.contents]
        for vector in self.vectors:
            contents += [vector.astype(kind).tobytes() for kind in ("<f4", ">f4", "<f8")]
        triples = (triple for vector in self.vectors for triple in _triples(vector.tolist()))
        object.__setattr__(self, "_hashes", np.unique(np.concatenate([_windows(c, telling=True) for c in contents])))
        object.__setattr__(self, "_triples", frozenset(triples))

    def found_in(self, written: bytes) -> list[str]:
        """What of it stands in there; a few words each."""
        found = []
        for form, content in _forms(written):
            if self._stand_in(_windows(content, telling=False)):
                found.append(f"{WINDOW_BYTES} bytes of a picture, crop or embedding, {form}")
            lower = content.lower()
            found += [f"{text[:12]}…, {form}" for text in self.texts if text.lower().encode() in lower]
        numbers = [float(number) for number in _NUMBER.findall(written)]
        if not self._triples.isdisjoint(_triples(numbers)):
            found.append(f"{_TRIPLE} values of an embedding, as decimal numbers")
        return found

    def _stand_in(self, hashes: _Hashes) -> bool:
        places = np.searchsorted(self._hashes, hashes)
        return bool((self._hashes[np.minimum(places, self._hashes.size - 1)] == hashes).any())


def _forms(written: bytes) -> Iterator[tuple[str, bytes]]:
    """The same content as it may have been before it was written."""
    yield "as it is", written
    yield "escaped", _ESCAPED.sub(lambda found: bytes([int(found[1] or found[2], 16)]), written)
    yield "in hexadecimal", b"\n".join(binascii.unhexlify(run) for run in _HEXADECIMAL.findall(written))
    yield "as decimal numbers", b"\n".join(_from_numbers(run) for run in _BYTES_AS_NUMBERS.findall(written))
    runs = [run.translate(bytes.maketrans(b"-_", b"+/")) for run in _BASE64.findall(written)]
    yield "in base64", b"\n".join(_from_base64(run[skipped:]) for run in runs for skipped in range(4))


def _from_numbers(run: bytes) -> bytes:
    return bytes(int(number) for number in re.findall(rb"\d+", run) if int(number) < 256)


def _from_base64(run: bytes) -> bytes:
    return base64.b64decode(run[: len(run) // 4 * 4])


def _windows(content: bytes, *, telling: bool) -> _Hashes:
    """A hash of every WINDOW_BYTES of the content; with `telling`, only of those that stand in nothing else."""
    if len(content) < WINDOW_BYTES:
        return np.empty(0, np.uint64)
    windows = np.ascontiguousarray(sliding_window_view(np.frombuffer(content, np.uint8), WINDOW_BYTES))
    if telling:
        ordered = np.sort(windows, axis=1)
        windows = windows[(np.diff(ordered, axis=1) != 0).sum(axis=1) + 1 >= _LEAST_DIFFERENT]
    first, second = windows.view(np.uint64).T
    hashes: _Hashes = first * np.uint64(0x9E3779B97F4A7C15) ^ second
    return hashes


def _triples(values: Iterable[float]) -> Iterator[tuple[float, ...]]:
    """Neighbouring values to three places, as nobody writes fewer of an embedding."""
    listed = list(values)
    for triple in zip(listed, listed[1:], listed[2:], strict=False):
        if min(map(abs, triple)) >= _LEAST_VALUE:
            yield tuple(round(value, _TRIPLE) for value in triple)
