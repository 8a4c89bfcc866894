"""The errors of the stores' clients, which share no class, as OSError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.chassis.errors import FacetError


@contextmanager
def told_as_os_errors() -> Iterator[None]:
    """Raises OSError for whatever a client raises; errors of ours stay."""
    try:
        yield
    except (OSError, FacetError):
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
