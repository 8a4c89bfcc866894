"""Which of several workers treats a file: by a hash of its path, so that each is treated by exactly one."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from services.chassis.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One of `count` workers, counted from 0."""

    index: int
    count: int

    def __post_init__(self) -> None:
        """Refuses what is no shard.

        Raises:
            InvalidRequest: The index is not below the count.
        """
        if not 0 <= self.index < self.count:
            raise InvalidRequest(f"shard {self.index} of {self.count}: shards are counted from 0 to {self.count - 1}")

    def __contains__(self, path: str) -> bool:
        """Whether a file is this worker's; stays so whatever other files come and go."""
        digest = hashlib.sha256(os.fsencode(path)).digest()
        return int.from_bytes(digest[:8]) % self.count == self.index

    @property
    def label(self) -> str:
        """For file names."""
        return f"{self.index}-of-{self.count}"

    def named(self, path: str) -> str:
        """A file's name with the shard before the suffix where there are several: faces.csv -> faces-2-of-4.csv."""
        if self.count == 1:
            return path
        folder, slash, name = path.rpartition("/")
        stem, dot, suffix = name.rpartition(".")
        return f"{folder}{slash}{stem}-{self.label}.{suffix}" if dot else f"{path}-{self.label}"


WHOLE = Shard(index=0, count=1)
