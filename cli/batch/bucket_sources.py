"""Objects of a store as sources: listed by prefix or pattern, sized before they are fetched."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cli.batch.bucket_errors import told_as_os_errors
from cli.batch.buckets import Bucket, open_bucket
from cli.batch.naming import OWN_FOLDER
from cli.batch.outcomes import Changed, Outcome, Status
from services.chassis.errors import TooLarge
from services.chassis.process.sizes import limit_text, size_text

_VERSION_FIELDS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "mtime", "updated")


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketObject:
    """One object."""

    path: str
    key: str
    size_bytes: int
    version: str
    bucket: Bucket = field(repr=False, compare=False)

    @property
    def identity(self) -> tuple[str, str]:
        """Store and key."""
        return str(self.bucket.files.protocol), self.key

    def read(self, max_bytes: int) -> bytes:
        """As Source says."""
        if self.size_bytes > max_bytes:
            raise TooLarge(f"it has {size_text(self.size_bytes)}; at most {limit_text(max_bytes)} are accepted")
        if not self.size_bytes:  # stores refuse to read a range of nothing
            return b""
        with told_as_os_errors():
            content: bytes = self.bucket.files.cat_file(self.key, start=0, end=self.size_bytes + 1)
        if len(content) != self.size_bytes:
            raise Changed("it has changed since it was found; the next run takes it as it is then")
        return content


def objects_at(url: str, *, hidden: bool) -> Iterator[BucketObject | Outcome]:
    """What an address stands for: an object, all below a prefix, or all that match a pattern.

    Raises:
        InvalidRequest: As `open_bucket`.
        OSError: The store cannot be listed.
    """
    bucket = open_bucket(url)
    with told_as_os_errors():
        if glob.has_magic(bucket.root):
            listed = bucket.files.glob(bucket.root, detail=True)
            fixed = bucket.root[: next(i for i, c in enumerate(bucket.root) if c in "*?[")].rpartition("/")[0]
        else:
            listed = bucket.files.find(bucket.root, detail=True)
            fixed = bucket.root if bucket.root not in listed else bucket.root.rpartition("/")[0]
    for key in sorted(listed):
        path = key.removeprefix(fixed + "/")
        if listed[key]["type"] != "file" or key.endswith("/") or path.split("/")[0] == OWN_FOLDER:
            continue
        if not hidden and any(part.startswith(".") for part in path.split("/")):
            message = "its name begins with a dot; --hidden takes such files too"
            yield Outcome(path=path, status=Status.SKIPPED, reason="HIDDEN", message=message)
            continue
        size = int(listed[key]["size"])
        yield BucketObject(path=path, key=key, size_bytes=size, version=_version(size, listed[key]), bucket=bucket)


def _version(size: int, told: Mapping[str, object]) -> str:
    tag = next((str(told[name]) for name in _VERSION_FIELDS if told.get(name)), "")
    return f"{size}-{tag.strip(chr(34))}"
