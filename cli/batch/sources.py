"""What is to be treated: files, folders and patterns of this machine or of an object store, as one sorted list."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from cli.batch.buckets import is_url
from cli.batch.local_sources import Rules, files_at
from cli.batch.naming import safe, shown
from cli.batch.outcomes import NameTaken, Outcome
from services.chassis.errors import InvalidRequest


class Source(Protocol):
    """A file that may be a picture."""

    @property
    def path(self) -> str:
        """Below what was given, with `/`: where the output belongs below the destination."""

    @property
    def version(self) -> str:
        """Another one as soon as the file is written to."""

    @property
    def identity(self) -> Hashable:
        """The same for two paths that lead to one file."""

    def read(self, max_bytes: int) -> bytes:
        """The content; blocks.

        Raises:
            TooLarge: It has more than `max_bytes`; it is not read, then.
            Changed: It is not what was found any more.
            OSError: It cannot be read.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that was found, in the order of the paths."""

    sources: Sequence[Source]
    passed_over: Sequence[Outcome]
    """What is not even tried, and why."""


def find(given: Sequence[str], rules: Rules) -> Findings:
    """Looks up everything that was given; reads no file.

    Args:
        given: Paths, patterns and addresses.
        rules: What counts of what is there.

    Raises:
        InvalidRequest: A path is not there, or nothing is found at all.
    """
    sources: dict[tuple[Hashable, str], Source] = {}
    passed_over: list[Outcome] = []
    for text in given:
        found_any = False
        for found in _found(text, rules):
            found_any = True
            if isinstance(found, Outcome):
                passed_over.append(found)
                continue
            try:
                safe(found.path)
            except NameTaken as error:
                passed_over.append(Outcome.of_error(found.path, error))
            else:
                sources[found.identity, found.path] = found  # given twice, it is still one
        if not found_any:
            raise InvalidRequest(f"{shown(text)}: nothing is there")
    return Findings(sources=sorted(sources.values(), key=lambda source: source.path), passed_over=passed_over)


def _found(text: str, rules: Rules) -> Iterator[Source | Outcome]:
    if is_url(text):
        from cli.batch.bucket_sources import objects_at  # noqa: PLC0415  (loads fsspec and a store's own client)

        return objects_at(text, hidden=rules.hidden)
    return files_at(text, rules)


def identities(sources: Iterable[Source]) -> frozenset[Hashable]:
    """Of all sources, to keep outputs from falling on them."""
    return frozenset(source.identity for source in sources)
