"""What a request did, filled in by its route; read by the audit log and traces."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

Option = str | int | float | bool


@dataclass(slots=True, kw_only=True)
class CallRecord:
    """Counts, names of models and options that callers choose among; never what a caller could write freely."""

    options: dict[str, Option] = field(default_factory=dict)
    faces_found: int | None = None
    """None = not looked for, or not yet known."""
    faces_hidden: int | None = None
    models: list[str] = field(default_factory=list)
    """Those that answered."""

    def set_outcome(self, *models: str, faces_found: int | None) -> None:
        """Records the result; empty names of models are left out."""
        self.models = [model for model in models if model]
        self.faces_found = faces_found


def record_of(scope: MutableMapping[str, Any]) -> CallRecord:
    """The call record of an HTTP request."""
    record: CallRecord = scope["state"].setdefault("record", CallRecord())
    return record
