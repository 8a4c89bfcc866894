"""Where anonymized pictures go: what is done there already, what must not be touched, how a result is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Protocol, Self

from cli.batch.journal import Written
from cli.batch.sources import Source


class Destination(Protocol):
    """A folder of this machine or of an object store; its methods block.

    What lies there decides nothing by itself: only what the user's key has sealed tells of earlier runs.
    """

    notices: list[str]
    """What to know of what was found there, for people; once it is open."""

    def is_one_name(self, one: str, other: str) -> bool:
        """Whether two names that differ in case or composition alone are one file here."""

    def refuse_inputs(self, outputs: Collection[str], inputs: Collection[Hashable]) -> None:
        """Makes sure that no output would fall on an input.

        Raises:
            InvalidRequest: One would.
        """

    def __enter__(self) -> Self:
        """Reads what earlier runs have done, and clears what they left unfinished.

        Raises:
            InvalidRequest: Another run is writing here for the same shard, or its own folder was not made by a run.
            OSError: It cannot be written to.
        """

    def __exit__(self, *_: object) -> None:
        """Makes sure that nothing that was done is forgotten."""

    def finished(self, source: Source, options: str) -> Written | None:
        """The result of an earlier run, if it is there and was made of this version with these options."""

    def is_taken(self, output: str) -> bool:
        """Whether something stands there that no earlier run has written."""

    def begin(self, outputs: Sequence[str]) -> None:
        """Takes note of what is going to be written, in this order."""

    def write(self, result: Written, content: bytes) -> None:
        """Writes one result, whole or not at all, so that a later run knows it; from any thread.

        Raises:
            FacetError: It must not be written.
            OSError: It cannot be written.
        """


class Memory:
    """What earlier runs have written."""

    def __init__(self, entries: Iterable[Written]) -> None:
        """Takes the lines of all journals, the latest last where their order matters."""
        self._by_path: defaultdict[str, dict[Written, None]] = defaultdict(dict)  # a repeated line takes nothing
        self._by_output: defaultdict[str, dict[Written, None]] = defaultdict(dict)
        for entry in entries:
            self._by_path[entry.path][entry] = None
            self._by_output[entry.output][entry] = None

    def of(self, path: str) -> Sequence[Written]:
        """Every result of a source."""
        return tuple(self._by_path.get(path, ()))

    def written(self, output: str) -> Sequence[Written]:
        """Every result that was written to a name."""
        return tuple(self._by_output.get(output, ()))
