"""Full disks: where weights are installed and where logs are written. Tiers write nothing else."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import httpx
import pytest

from services.chassis.models.store import ModelStore
from services.chassis.process.settings import ModelSettings
from tests.faults.callers import Callers, Verdict
from tests.faults.disks import fill, logging_to, make_room, small_disk
from tests.faults.questions import Questions
from tests.faults.replicas import ready, restart, seconds_until_used, stop
from tests.faults.table import Tell
from tests.scaling.fleet import TIERS, Fleet
from tests.support.facet_command import facet
from tests.support.waiting import eventually

REQUESTS = 100
BACK_S = 2.0
"""After this a disk with room is written to again, and requests answered."""
MODEL = "mobilefacenet"
LOG_DISK_KIB = 512
MODELS_DISK_KIB = 16 * 1024

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("as_root")]


async def test_weights_pulled_to_a_full_disk_are_not_there_at_all_and_are_served_once_there_is_room(
    fleet: Fleet, questions: Questions, tell: Tell, tmp_path: Path
) -> None:
    replica = fleet.members["embedder"][1]
    with small_disk(tmp_path / "models", size_kib=MODELS_DISK_KIB) as folder:
        fill(folder)
        source = ModelStore(ModelSettings()).require(MODEL).parent
        settings = {"FACET_MODELS_DIR": str(folder), "FACET_MODELS_MIRROR": str(source)}
        await restart(replica, FACET_MODELS_DIR=str(folder))
        async with Callers(fleet.members["gateway"][0].url, questions.in_turn()) as callers:
            started_s = time.monotonic()
            pulled = await asyncio.to_thread(facet, "models", "pull", MODEL, settings=settings)
            assert pulled.returncode == 1
            assert "No space left on device" in pulled.stderr.decode()
            assert str(folder) in pulled.stderr.decode().replace("\n", "")
            assert sorted(path.name for path in folder.iterdir()) == [".lock", "filler"]
            await callers.more(REQUESTS)
            make_room(folder)
            assert (await asyncio.to_thread(facet, "models", "pull", MODEL, settings=settings)).returncode == 0
            mended_s = time.monotonic()
            await ready(replica)
            await seconds_until_used(replica)
            back_s = time.monotonic() - mended_s
        tell("full disk under the weights of a replica", callers, since_s=started_s, back_s=back_s)
        assert callers.dishonest() == []
        assert callers.refused() == []
        await restart(replica, FACET_MODELS_DIR=str(source))
        await ready(replica)


async def test_full_disk_under_the_logs_stops_nobody_and_logging_goes_on_once_there_is_room(
    fleet: Fleet, questions: Questions, tell: Tell, tmp_path: Path
) -> None:
    replicas = [fleet.members[tier][1] for tier in TIERS]
    with small_disk(tmp_path / "logs", size_kib=LOG_DISK_KIB) as folder:
        logs = [folder / f"{tier}.log" for tier in TIERS]
        for replica, log in zip(replicas, logs, strict=True):
            replica.prefix = logging_to(log)
        await restart(*replicas)
        await ready(*replicas)
        gateway = await asyncio.to_thread(fleet.start, "gateway", logging_to(folder / "gateway.log"))
        logs.append(folder / "gateway.log")
        async with Callers(gateway.url, questions.in_turn()) as callers:
            fill(folder)
            full_s = time.monotonic()
            await callers.more(3 * REQUESTS)
            sizes = [log.stat().st_size for log in logs]
            await seconds_until_used(*replicas)
            assert [log.stat().st_size for log in logs] == sizes
            make_room(folder)
            room_s = time.monotonic()
            await asyncio.to_thread(eventually, lambda: all(map(_grown, logs, sizes)))
            back_s = time.monotonic() - room_s
            await callers.more(REQUESTS)
        tell("full disk under the logs", callers, since_s=full_s, back_s=back_s)
        assert callers.dishonest() == []
        assert callers.refused() == []
        await stop(gateway, *replicas)
        for replica in replicas:
            replica.prefix = ()
        for log in logs:
            for line in log.read_text().splitlines():
                json.loads(line)
    await restart(*replicas)
    await ready(*replicas)


async def test_full_disk_under_the_audit_log_is_an_error_and_never_an_answer_that_is_not_entered(
    fleet: Fleet, questions: Questions, tell: Tell, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "audit", size_kib=LOG_DISK_KIB) as folder:
        log = folder / "audit.jsonl"
        gateway = await asyncio.to_thread(fleet.start, "gateway", FACET_GATEWAY_AUDIT_LOG=str(log))
        async with Callers(gateway.url, questions.in_turn()) as callers:
            fill(folder)
            full_s = time.monotonic()
            await callers.more(REQUESTS)
            make_room(folder)
            room_s = time.monotonic()
            await callers.more(REQUESTS)
        right = [one for one in callers.outcomes if one.verdict is Verdict.RIGHT]
        back_s = min(one.ended_s for one in right if one.ended_s > room_s) - room_s
        tell("full disk under the audit log", callers, since_s=full_s, back_s=back_s)
        await stop(gateway)
        assert callers.dishonest() == []
        assert callers.refused(after_s=room_s + BACK_S) == []
        assert {one.status for one in callers.refused()} == {httpx.codes.SERVICE_UNAVAILABLE}
        assert all("the audit log cannot be written" in one.detail for one in callers.refused())
        entered = {entry["request_id"] for entry in map(json.loads, log.read_text().splitlines())}
        assert {one.mark for one in right} <= entered
        verified = await asyncio.to_thread(facet, "audit", "verify", log)
        assert verified.returncode == 0, verified.stderr


def _grown(log: Path, size_bytes: int) -> bool:
    return log.stat().st_size > size_bytes
