"""A caller: who it is, what it may do, how often."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a caller may be allowed to do: the call under `/v1` of the same name."""

    DETECT = "detect"
    ANONYMIZE = "anonymize"
    EMBED = "embed"
    COMPARE = "compare"


class CallerKind(StrEnum):
    """How a caller showed who it is."""

    ANONYMOUS = "anonymous"
    KEY = "key"
    TOKEN = "token"  # noqa: S105  (a kind, not a secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """How often a caller may ask, and for how much at once."""

    requests_per_s: float
    """In the long run."""
    burst: int
    """Requests at once after a pause."""
    at_once: int
    """Requests being worked on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. Nothing of it is secret."""

    kind: CallerKind
    id: str
    """A key's id, or a token's subject: unique within its kind."""
    name: str
    """For people to read in logs."""
    scopes: frozenset[Scope]
    allowance: Allowance | None
    """None = no limit."""

    @property
    def label(self) -> str:
        """In one word, for logs: `key:newsletter/4f2a91c0d3b5`, `token:alice`, `anonymous`."""
        match self.kind:
            case CallerKind.KEY:
                return f"key:{self.name}/{self.id}"
            case CallerKind.TOKEN:
                return f"token:{self.name}"
            case CallerKind.ANONYMOUS:
                return self.name
