"""Whether the audit log of a gateway has every picture call that it answered: no spelling of a path leads past it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from gateway.audit.middleware import AUDITED

_CALLS = re.compile(r"facet_gateway_calls_total\{code=(\d+),method=([^,}]+)\}")
_WRONG_METHOD = "405"
"""It reached a route, and nothing of it."""


def entered(audit_log: Path) -> int:
    """How many calls are entered, one by one or counted."""
    with audit_log.open("rb") as lines:
        return sum(fields["count"] if fields["event"] == "refused" else 1 for fields in map(json.loads, lines))


def answered(metrics: Mapping[str, float]) -> int:
    """How many picture calls a gateway has answered, by its own count; those refused at the door had no route yet."""
    total = metrics["facet_gateway_refusals_total"]
    for name, value in metrics.items():
        found = _CALLS.fullmatch(name)
        if found is not None and found[1] != _WRONG_METHOD and found[2] in AUDITED:
            total += value
    return round(total)
