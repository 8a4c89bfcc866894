"""Object stores: which addresses are one, and how one is opened. Loads fsspec only when one is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.chassis.errors import InvalidRequest

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_EXTRAS = {"s3": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfs": "az"}
"""The schemes, each with the extra that installs its client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A place in an object store."""

    files: AbstractFileSystem
    root: str
    """Bucket and prefix, without scheme and without a slash at the end."""

    def at(self, path: str) -> str:
        """A path below the root as the store knows it."""
        return f"{self.root}/{path}"


def is_url(text: str) -> bool:
    """Whether this names a place in an object store.

    Raises:
        InvalidRequest: It names something else that is no file of this machine.
    """
    scheme, separator, _ = text.partition("://")
    if not separator or "/" in scheme:
        return False
    if scheme not in _EXTRAS:
        raise InvalidRequest(f"{scheme}:// cannot be read; use a path, s3://, gs:// or az://")
    return True


def open_bucket(url: str) -> Bucket:
    """Opens a place; connects to nothing yet.

    Credentials and endpoints are what the store's own client finds, such as AWS_ACCESS_KEY_ID and AWS_ENDPOINT_URL.

    Raises:
        InvalidRequest: The store's client is not installed, or no bucket is named.
    """
    extra = _EXTRAS[url.partition("://")[0]]
    try:
        from fsspec.core import url_to_fs  # noqa: PLC0415

        files, root = url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise InvalidRequest(f"{url} needs a client: pip install 'facet-privacy[{extra}]'") from error
    except ValueError as error:
        raise InvalidRequest(f"{url} cannot be opened: {error}") from error
    if not root.strip("/"):
        raise InvalidRequest(f"{url} names no bucket")
    return Bucket(files=files, root=root.rstrip("/"))
