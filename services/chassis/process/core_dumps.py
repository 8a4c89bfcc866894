"""A crash leaves nothing behind: a core dump would hold every picture in work."""

from __future__ import annotations

import sys

if sys.platform != "win32":
    import resource

_NOWHERE_BYTES = 1
"""0 would keep dumps out of files alone: to one byte Linux does not pipe them to a program either (see do_coredump)."""


def leave_no_core_dumps() -> None:
    """For this process and those that it starts, whatever the limit was that it was started with."""
    if sys.platform == "win32":  # writes none unasked
        return
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    limit = _NOWHERE_BYTES if most == resource.RLIM_INFINITY else min(_NOWHERE_BYTES, most)
    resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
