"""How often each caller may ask, and for how much at once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.identity.caller import Allowance, Caller, CallerKind
from services.chassis.errors import LimitReached

MAX_CALLERS = 10_000


@dataclass(slots=True, kw_only=True)
class _Usage:
    """A token bucket and a count."""

    tokens: float
    filled_at_s: float
    at_once: int = 0


class Limits:
    """Counts by caller, in memory: of the MAX_CALLERS that asked last, and of whoever is being served."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, max_callers: int = MAX_CALLERS) -> None:
        self._clock = clock
        self._max_callers = max_callers
        self._usages: OrderedDict[tuple[CallerKind, str], _Usage] = OrderedDict()

    @contextmanager
    def admitted(self, caller: Caller) -> Iterator[None]:
        """For as long as a request of the caller takes.

        Raises:
            LimitReached: It asks too often, or for too much at once.
        """
        if caller.allowance is None:
            yield
            return
        usage = self._usage(caller, caller.allowance)
        self._take(usage, caller.allowance)
        usage.at_once += 1
        try:
            yield
        finally:
            usage.at_once -= 1

    def _usage(self, caller: Caller, allowance: Allowance) -> _Usage:
        """The caller's, filled up to now."""
        now_s = self._clock()
        who = (caller.kind, caller.id)
        usage = self._usages.pop(who, None) or _Usage(tokens=allowance.burst, filled_at_s=now_s)
        self._usages[who] = usage
        gained = (now_s - usage.filled_at_s) * allowance.requests_per_s
        usage.tokens = min(float(allowance.burst), usage.tokens + gained)
        usage.filled_at_s = now_s
        if len(self._usages) > self._max_callers:
            self._forget_one()
        return usage

    def _take(self, usage: _Usage, allowance: Allowance) -> None:
        if usage.at_once >= allowance.at_once:
            raise LimitReached(f"limit of {allowance.at_once} concurrent requests reached")
        if usage.tokens < 1:
            error = LimitReached(f"limit of {allowance.requests_per_s:g} requests a second reached")
            error.retry_after_s = (1 - usage.tokens) / allowance.requests_per_s
            raise error
        usage.tokens -= 1

    def _forget_one(self) -> None:
        """Whoever has not asked for longest; a request under way is never forgotten."""
        for who, usage in self._usages.items():
            if usage.at_once == 0:
                del self._usages[who]
                return
