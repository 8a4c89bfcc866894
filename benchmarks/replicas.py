"""How throughput grows with replicas: one, two and three of a tier, each held to 0.4 processors, behind one name.

Run with `make bench-replicas`, as root, on an idle machine with two processors or more. The calls go the gateway's own
way, through its channels and a real name server. The numbers of replicas take turns within every round.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from PIL import Image
from rich.console import Console
from rich.table import Table
from skimage import data

from benchmarks.cpu_quota import CpuQuota
from facet.v1 import detector_pb2
from gateway.settings import TargetSettings
from gateway.tiers.channels import Tiers
from gateway.tiers.deadline import Deadline
from gateway.tiers.pipeline import Pipeline
from services.chassis.process.settings import SharedSettings
from tests.scaling.dns import NameServer
from tests.support.clients import ASTRONAUTS_FACE, anonymize_request, metrics_of
from tests.support.processes import RunningTier

REPLICAS = 3
PROCESSORS = 0.4
CALLERS = 12
WARM_UP_S = 1.0
DEADLINE_S = 30.0

Call = Callable[[Pipeline], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """So many replicas under load, once."""

    calls_per_second: float
    replica_processors: float
    """What the replicas have used, all together."""
    client_processors: float
    """What this process has used."""


def calls_of_tiers() -> dict[str, Call]:
    """The work of each tier on a 512 x 512 JPEG with one face."""
    file = io.BytesIO()
    Image.fromarray(data.astronaut()).save(file, "JPEG", quality=95)
    picture = file.getvalue()
    config = detector_pb2.DetectionConfig(recall=detector_pb2.RECALL_FAST)
    hiding = anonymize_request(picture, ASTRONAUTS_FACE)
    return {
        "detector": lambda pipeline: pipeline.detect(picture, config, Deadline(DEADLINE_S)),
        "anonymizer": lambda pipeline: pipeline.hide(hiding, Deadline(DEADLINE_S)),
    }


class Replicas:
    """All replicas of a tier, each in a control group of its own, of which the name server tells some."""

    def __init__(self, tier: str, owned: contextlib.ExitStack) -> None:
        """Starts them; they end with `owned`."""
        self._name = f"{tier}.test"
        self._told: list[RunningTier] = []
        self._names = NameServer()
        owned.callback(self._names.close)
        self._all: list[RunningTier] = []
        prefix = f"FACET_{tier.upper()}_"
        for number in range(REPLICAS):
            quota = CpuQuota(f"{tier}-{number}", PROCESSORS)
            owned.callback(quota.close)
            settings = {
                "FACET_HOST": f"127.0.0.{number + 2}",
                "FACET_DRAIN_S": "0",
                "FACET_DETECTOR_MODEL": "blazeface-full",
                f"{prefix}PORT": str(self._all[0].port if self._all else 0),
                f"{prefix}METRICS_PORT": "0",
                f"{prefix}WORKERS": "1",  # what a container's limit of 0.4 is rounded up to
            }
            replica = RunningTier(f"services.{tier}", settings)
            owned.callback(replica.stop)
            replica.wait_ready()
            quota.add(replica.process.pid)
            self._all.append(replica)
        self.target = self._names.target(self._name, self._all[0].port)

    def tell(self, count: int, first: int) -> None:
        """Has the name stand for so many of them, from one of them on."""
        for replica in self._told:
            self._names.remove(self._name, replica.host)
        self._told = [self._all[(first + number) % REPLICAS] for number in range(count)]
        for replica in self._told:
            self._names.add(self._name, replica.host)

    def processor_seconds(self) -> float:
        """What those that are told have used since they started."""
        return sum(metrics_of(replica)["process_cpu_seconds_total"] for replica in self._told)


async def turn(call: Call, targets: TargetSettings, replicas: Replicas, duration_s: float) -> Turn:
    """Keeps the replicas busy, through channels that are opened for it."""
    tiers = Tiers(targets, SharedSettings())
    pipeline = Pipeline(tiers)
    answered, leaving = 0, False

    async def keep_calling() -> None:
        nonlocal answered
        while not leaving:
            await call(pipeline)
            answered += 1

    callers = [asyncio.create_task(keep_calling()) for _ in range(CALLERS)]
    await asyncio.sleep(WARM_UP_S)
    used_s = await asyncio.to_thread(replicas.processor_seconds)
    own_s, started_s, first = time.process_time(), time.monotonic(), answered
    await asyncio.sleep(duration_s)
    own_s, passed_s, calls = time.process_time() - own_s, time.monotonic() - started_s, answered - first
    used_s = await asyncio.to_thread(replicas.processor_seconds) - used_s
    leaving = True
    await asyncio.gather(*callers)
    await tiers.close()
    return Turn(
        calls_per_second=calls / passed_s, replica_processors=used_s / passed_s, client_processors=own_s / passed_s
    )


def measure(tier: str, call: Call, *, rounds: int, duration_s: float) -> dict[int, list[Turn]]:
    """The turns of each number of replicas."""
    turns: dict[int, list[Turn]] = {count: [] for count in range(1, REPLICAS + 1)}
    with contextlib.ExitStack() as owned:
        replicas = Replicas(tier, owned)
        targets = TargetSettings().model_copy(update={f"{tier}_target": replicas.target})
        for round_, count in itertools.product(range(rounds), turns):
            replicas.tell(count, first=round_)
            turns[count].append(asyncio.run(turn(call, targets, replicas, duration_s)))
    return turns


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3, help="how often they take turns (default 3)")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long a turn takes (default 6)")
    arguments = parser.parse_args()

    table = Table(title=f"Replicas held to {PROCESSORS:g} processors each, {CALLERS} callers")
    for heading in ("tier", "replicas", "calls/s", "times one", "processors: replicas", "this client"):
        table.add_column(heading, justify="left" if heading == "tier" else "right")
    for tier, call in calls_of_tiers().items():
        try:
            turns = measure(tier, call, rounds=arguments.rounds, duration_s=arguments.seconds)
        except PermissionError as error:
            raise SystemExit(f"only root can hold replicas to a share of a processor: {error}") from error
        rates = {count: statistics.median(t.calls_per_second for t in taken) for count, taken in turns.items()}
        for count, taken in turns.items():
            table.add_row(
                tier,
                str(count),
                f"{rates[count]:.1f}",
                f"{rates[count] / rates[1]:.2f}",
                f"{statistics.median(t.replica_processors for t in taken):.2f}",
                f"{statistics.median(t.client_processors for t in taken):.2f}",
            )
    Console().print(table)


if __name__ == "__main__":
    main()
