"""Replicas of every tier on loopback addresses of their own, found by name, started and ended as Kubernetes does it."""

from __future__ import annotations

import contextlib
import itertools
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import httpx

from tests.scaling.dns import NameServer
from tests.support.clients import metrics_of
from tests.support.processes import RunningTier
from tests.support.waiting import eventually

TIERS = ("detector", "embedder", "anonymizer")
REPLICAS = 3
GATEWAYS = 2
INGRESS_BEHIND_S = 1.0
_SETTINGS = {
    "FACET_DETECTOR_MODEL": "blazeface-full",
    "FACET_EMBEDDER_MODEL": "mobilefacenet",
    "FACET_EMBEDDER_DEVICE": "cpu",
    "FACET_EMBEDDER_THREADS": "1",
}


class Fleet:
    """Replicas of each tier and gateways; what `_SETTINGS` and the test leave out is as the product ships it."""

    def __init__(self, *, replicas: int = REPLICAS, gateways: int = GATEWAYS, **settings: str) -> None:
        """Keyword arguments are settings of every process."""
        self._replicas = replicas
        self._gateways = gateways
        self._settings = {**_SETTINGS, **settings}
        self.members: dict[str, list[RunningTier]] = {name: [] for name in (*TIERS, "gateway")}
        """Who can be found, the oldest first: replicas by their tier's name, gateways by the ingress."""
        self._names = NameServer()
        self._addresses = (f"127.0.0.{last}" for last in itertools.count(2))
        self._ports = dict.fromkeys(TIERS, 0)
        self._started: list[RunningTier] = []

    def __enter__(self) -> Self:
        """Starts all and waits until they are ready."""
        with contextlib.ExitStack() as unless_started:
            unless_started.push(self)
            for _ in range(self._replicas):
                with ThreadPoolExecutor() as pool:
                    for tier, replica in zip(TIERS, pool.map(self.start, TIERS), strict=True):
                        self.publish(tier, replica)
            for _ in range(self._gateways):
                self.publish("gateway", self.start("gateway"))
            unless_started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        """Ends all."""
        for running in self._started:
            running.signal(signal.SIGCONT)
            running.signal(signal.SIGTERM)
        for running in self._started:
            running.stop()
        self._names.close()

    def start(self, name: str, prefix: tuple[str, ...] = (), /, **settings: str) -> RunningTier:
        """Starts one more of a tier or of the gateways and waits until it is ready; nobody knows of it yet.

        It runs under the command `prefix`; keyword arguments are settings of its own.
        """
        setting = f"FACET_{name.upper()}_"
        running = RunningTier(
            "gateway" if name == "gateway" else f"services.{name}",
            {
                **self._settings,
                **{f"FACET_{tier.upper()}_TARGET": self.target(tier) for tier in TIERS},
                "FACET_HOST": next(self._addresses),
                f"{setting}PORT": str(self._ports.get(name, 0)),
                f"{setting}METRICS_PORT": "0",
                **settings,
            },
            prefix=prefix,
        )
        self._started.append(running)
        if name == "gateway":
            eventually(lambda: httpx.get(f"{running.url}/readyz", trust_env=False).status_code == httpx.codes.OK)
        else:
            self._ports[name] = running.port
            running.wait_ready()
        return running

    def target(self, tier: str) -> str:
        """Where all replicas of a tier are found."""
        return self._names.target(f"{tier}.test", self._ports[tier])

    def publish(self, name: str, running: RunningTier) -> None:
        """Lets callers find it."""
        self.members[name].append(running)
        if name in TIERS:
            self._names.add(f"{name}.test", running.host)

    def withdraw(self, name: str, running: RunningTier) -> None:
        """Lets callers find it no more; it serves on."""
        self.members[name].remove(running)
        if name in TIERS:
            self._names.remove(f"{name}.test", running.host)

    def replace(self, name: str) -> int:
        """One step of a rolling update with a surge of one: a new one, then the end of the oldest; its exit code."""
        oldest = self.members[name][0]
        self.publish(name, self.start(name))
        if name in TIERS:
            self.withdraw(name, oldest)
            oldest.signal(signal.SIGTERM)
        else:  # an ingress hears of it later than the gateway itself
            oldest.signal(signal.SIGTERM)
            time.sleep(INGRESS_BEHIND_S)
            self.withdraw(name, oldest)
        return oldest.wait()


def answered_calls(replica: RunningTier) -> int:
    """How many calls a replica has answered, by its own metrics."""
    return round(sum(value for name, value in metrics_of(replica).items() if "_calls_total{code=OK," in name))
