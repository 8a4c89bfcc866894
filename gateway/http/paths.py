"""Paths of requests: which are refused for their characters, and what is near one that leads nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import Scope

# C0, DEL, C1, the line and paragraph separators, and what turns the direction of text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_SLASHES = re.compile(r"[/\\]+")


def has_control_character(path: str) -> bool:
    """Whether a decoded path holds one; a line break at the end passes any pattern that ends in `$`."""
    return _CONTROL.search(path) is not None


def what_is_near(path: str, routes: Iterable[BaseRoute]) -> str:
    """What to tell whoever asked for a path that leads nowhere."""
    meant = _SLASHES.sub("/", path.partition(";")[0].strip().lower()).rstrip("/") or "/"
    if meant != path and _leads_somewhere(meant, routes):
        return f"there is nothing at this path; it is spelled {meant}"
    return "there is nothing at this path; /docs lists the paths"


def _leads_somewhere(path: str, routes: Iterable[BaseRoute]) -> bool:
    scope: Scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
    return any(route.matches(scope)[0] is not Match.NONE for route in routes)
