"""The version of Facet that runs here."""

from __future__ import annotations

from importlib.metadata import version

DISTRIBUTION = "facet-privacy"
"""On package indexes the name `facet` belongs to somebody else."""


def facet_version() -> str:
    """As the installed distribution says it."""
    return version(DISTRIBUTION)
