"""Each caller has a rate, a burst and a number of requests at once, and what is remembered is bounded."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from gateway.identity.caller import Allowance, Caller, CallerKind
from gateway.identity.limits import Limits
from services.chassis.errors import LimitReached


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def caller(name: str = "alice", *, rate: float = 2, burst: int = 3, at_once: int = 100) -> Caller:
    allowance = Allowance(requests_per_s=rate, burst=burst, at_once=at_once)
    return Caller(kind=CallerKind.TOKEN, id=name, name=name, scopes=frozenset(), allowance=allowance)


def served(limits: Limits, who: Caller, times: int) -> int:
    """How many of so many requests in a row are let in."""
    count = 0
    for _ in range(times):
        try:
            with limits.admitted(who):
                count += 1
        except LimitReached:
            pass
    return count


def test_burst_is_served_and_then_the_rate() -> None:
    clock = Clock()
    limits = Limits(clock=clock)
    assert served(limits, caller(), 10) == 3
    clock.now_s += 0.5
    assert served(limits, caller(), 10) == 1
    clock.now_s += 1
    assert served(limits, caller(), 10) == 2
    clock.now_s += 3600
    assert served(limits, caller(), 10) == 3


def test_refusal_says_when_the_next_request_is_served() -> None:
    clock = Clock()
    limits = Limits(clock=clock)
    slow = caller(rate=0.1, burst=1)
    assert served(limits, slow, 1) == 1
    clock.now_s += 2.5
    with pytest.raises(LimitReached, match=r"limit of 0\.1 requests a second") as raised, limits.admitted(slow):
        pass
    assert raised.value.retry_after_s == pytest.approx(7.5)
    clock.now_s += 7.5 + 1e-6
    assert served(limits, slow, 2) == 1


def test_so_many_requests_are_served_at_once_and_a_refused_one_costs_nothing() -> None:
    limits = Limits(clock=Clock())
    who = caller(burst=4, at_once=2)
    with ExitStack() as serving:
        serving.enter_context(limits.admitted(who))
        serving.enter_context(limits.admitted(who))
        for _ in range(5):
            with pytest.raises(LimitReached, match="limit of 2 concurrent requests"), limits.admitted(who):
                pass
    assert served(limits, who, 5) == 2


def test_place_is_given_back_where_a_request_fails() -> None:
    limits = Limits(clock=Clock())
    who = caller(burst=100, at_once=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limits.admitted(who):
            raise ZeroDivisionError
    assert served(limits, who, 1) == 1


def test_one_caller_takes_nothing_from_another() -> None:
    limits = Limits(clock=Clock())
    assert served(limits, caller("alice"), 5) == 3
    assert served(limits, caller("bob"), 5) == 3


def test_limit_that_was_lowered_counts_at_once() -> None:
    limits = Limits(clock=Clock())
    assert served(limits, caller(burst=5), 1) == 1
    assert served(limits, caller(burst=2), 5) == 2


def test_caller_without_limits_is_always_served() -> None:
    anyone = Caller(kind=CallerKind.ANONYMOUS, id="", name="anonymous", scopes=frozenset(), allowance=None)
    assert served(Limits(clock=Clock()), anyone, 1000) == 1000


def test_who_asked_longest_ago_is_forgotten_but_nobody_being_served() -> None:
    limits = Limits(clock=Clock(), max_callers=2)
    busy, idle = caller("busy", burst=2), caller("idle", burst=1)
    with limits.admitted(busy):
        assert served(limits, idle, 2) == 1
        assert served(limits, caller("new"), 1) == 1
        assert served(limits, busy, 2) == 1
    assert served(limits, idle, 2) == 1
