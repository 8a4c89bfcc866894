"""The memory budget: what does not fit waits for its turn, what never fits is told."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from services.chassis.errors import TooLarge
from services.chassis.process import memory_limit
from services.chassis.process.memory_budget import MemoryBudget

MIB = 1024 * 1024


class Holder:
    """A thread that holds a share of the budget until it is let go."""

    def __init__(self, memory: MemoryBudget, needed_bytes: int) -> None:
        self.holds = threading.Event()
        self.let_go = threading.Event()
        self._thread = threading.Thread(target=self._hold, args=(memory, needed_bytes))
        self._thread.start()

    def _hold(self, memory: MemoryBudget, needed_bytes: int) -> None:
        with memory.hold(needed_bytes):
            self.holds.set()
            assert self.let_go.wait(10)

    def ends(self) -> None:
        self.let_go.set()
        self._thread.join(10)
        assert not self._thread.is_alive()


def test_those_that_fit_hold_together() -> None:
    memory = MemoryBudget(100)
    with memory.hold(60), memory.hold(40):
        pass


def test_one_that_does_not_fit_waits_until_enough_is_free() -> None:
    memory = MemoryBudget(100)
    with memory.hold(60):
        waiting = Holder(memory, 50)
        assert not waiting.holds.wait(0.1)
    assert waiting.holds.wait(10)
    waiting.ends()


def test_a_small_one_does_not_overtake_a_large_one_for_ever() -> None:
    memory = MemoryBudget(100)
    first = Holder(memory, 60)
    assert first.holds.wait(10)
    large = Holder(memory, 90)
    assert not large.holds.wait(0.1)
    small = Holder(memory, 10)
    assert not small.holds.wait(0.1)
    first.ends()
    assert large.holds.wait(10)
    assert small.holds.wait(10)
    large.ends()
    small.ends()


def test_what_is_held_is_free_again_after_an_error() -> None:
    memory = MemoryBudget(100)
    with pytest.raises(ZeroDivisionError), memory.hold(100):
        raise ZeroDivisionError
    with memory.hold(100):
        pass


def test_one_that_never_fits_is_told_how_much_there_is() -> None:
    with (
        pytest.raises(TooLarge, match=r"about 300 MiB .* has 100; send it with fewer pixels"),
        MemoryBudget(100 * MIB).hold(300 * MIB),
    ):
        pytest.fail("must not be held")


def test_the_containers_limit_less_what_the_process_holds_is_the_total(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(str(64 * 1024 * MIB))  # more than the machine has: that counts then
    monkeypatch.setattr(memory_limit, "CGROUP_V2_LIMIT", limit)
    memory = MemoryBudget()
    memory.measure()
    with memory.hold(100 * MIB):
        pass
    limit.write_text("1000")  # less than the process holds already
    memory.measure()
    with pytest.raises(TooLarge), memory.hold(1):
        pytest.fail("must not be held")
