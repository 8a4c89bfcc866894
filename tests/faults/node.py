"""A network namespace that only this machine reaches: a node of its own, which can be cut off. Made by root alone."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

_OUTSIDE = "198.18.77.1/30"  # RFC 2544: of no network that anybody has
_INSIDE = "198.18.77.2"
_DEVICE = "eth0"


class Node:
    """What runs under `prefix` listens on `address`; both vanish with it."""

    address = _INSIDE

    def __init__(self) -> None:
        self._name = f"facet-faults-{os.getpid()}"
        self._link = f"facet{os.getpid()}"
        self.prefix = ("ip", "netns", "exec", self._name)

    def __enter__(self) -> Self:
        """Makes it."""
        _run("ip", "netns", "add", self._name)
        _run("ip", "link", "add", self._link, "type", "veth", "peer", "name", _DEVICE, "netns", self._name)
        _run("ip", "address", "add", _OUTSIDE, "dev", self._link)
        _run("ip", "link", "set", self._link, "up")
        _run("ip", "-n", self._name, "address", "add", f"{_INSIDE}/30", "dev", _DEVICE)
        _run("ip", "-n", self._name, "link", "set", _DEVICE, "up")
        _run("ip", "-n", self._name, "link", "set", "lo", "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Removes it, once nothing runs there."""
        _run("ip", "netns", "delete", self._name)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Drops every packet to and from it, without a word to either side."""
        _run(*self.prefix, "iptables", "-A", "INPUT", "-i", _DEVICE, "-j", "DROP")
        _run(*self.prefix, "iptables", "-A", "OUTPUT", "-o", _DEVICE, "-j", "DROP")
        try:
            yield
        finally:
            _run(*self.prefix, "iptables", "-F")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
