"""Replicas with weights that are damaged, of another network, or of another model."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from pathlib import Path

import httpx
import pytest
from PIL import Image

from services.chassis.models.store import ModelStore
from services.chassis.process.announcement import State
from services.chassis.process.settings import ModelSettings
from services.embedder.mobilefacenet import MobileFaceNet
from tests.faults.callers import Callers
from tests.faults.questions import Questions, examined, of_both
from tests.faults.replicas import ready, restart, seconds_until_used, stop
from tests.faults.table import Tell
from tests.scaling.fleet import Fleet, answered_calls
from tests.support.embedders import write_random_weights

REQUESTS = 100

pytestmark = pytest.mark.timeout(300)


def url_of(fleet: Fleet) -> str:
    return fleet.members["gateway"][0].url


def right_weights(name: str) -> Path:
    return ModelStore(ModelSettings()).require(name)


def damaged(weights: Path) -> bytes:
    """With one byte changed in the middle, as by a bad disk."""
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    return bytes(content)


@pytest.mark.parametrize("model", ["blazeface-full", "mobilefacenet"])
async def test_replica_with_damaged_weights_serves_nobody_until_they_are_mended(
    fleet: Fleet, questions: Questions, tell: Tell, tmp_path: Path, model: str
) -> None:
    tier, right = ModelStore(ModelSettings()).entry(model).tier, right_weights(model)
    replica = fleet.members[tier][1]
    installed = tmp_path / right.name
    installed.write_bytes(damaged(right))
    await restart(replica, FACET_MODELS_DIR=str(tmp_path))
    async with Callers(url_of(fleet), questions.in_turn()) as callers:
        started_s = time.monotonic()
        await asyncio.to_thread(replica.wait_for, lambda line: f"sha256 of {model}" in str(line.get("event")))
        await callers.more(REQUESTS)
        assert answered_calls(replica) == 0
        _put(right, installed)
        mended_s = time.monotonic()
        await ready(replica)
        await seconds_until_used(replica)
        back_s = time.monotonic() - mended_s
    tell(f"damaged weights at a replica: {tier}", callers, since_s=started_s, back_s=back_s)
    assert callers.dishonest() == []
    assert callers.refused() == []


async def test_replica_with_weights_of_no_embedder_serves_nobody_until_they_are_mended(
    fleet: Fleet, questions: Questions, tell: Tell, tmp_path: Path
) -> None:
    replica = fleet.members["embedder"][1]
    weights = tmp_path / "own.pt"
    _put(right_weights("retinaface-mobilenet025"), weights)
    await restart(replica, FACET_EMBEDDER_WEIGHTS=str(weights))
    async with Callers(url_of(fleet), questions.in_turn()) as callers:
        started_s = time.monotonic()
        await asyncio.to_thread(replica.wait_announced, State.NOT_READY)
        await callers.more(REQUESTS)
        assert answered_calls(replica) == 0
        _put(right_weights("mobilefacenet"), weights)
        mended_s = time.monotonic()
        await ready(replica)
        await seconds_until_used(replica)
        back_s = time.monotonic() - mended_s
    tell("a detector's weights at an embedder", callers, since_s=started_s, back_s=back_s)
    assert callers.dishonest() == []
    assert callers.refused() == []


async def test_replicas_of_two_models_never_compare_what_one_made_with_what_the_other_made(
    fleet: Fleet, questions: Questions, tell: Tell, tmp_path: Path, astronaut: Image.Image
) -> None:
    """While it lasts a request is answered by one model or not at all, whichever replicas its calls have met."""
    replica = fleet.members["embedder"][1]
    weights = write_random_weights(MobileFaceNet(128), tmp_path / "other.pt")
    manifest = tmp_path / "manifest.toml"
    manifest.write_text(_entry_of(weights))
    await restart(replica, FACET_EMBEDDER_WEIGHTS=str(weights), FACET_MODELS_MANIFEST=str(manifest))
    await ready(replica)
    alone = await asyncio.to_thread(fleet.start, "gateway", FACET_EMBEDDER_TARGET=replica.target)
    both = of_both(questions, await examined(alone.url, astronaut))
    assert all(len(question.expected) == 2 for question in both.embed)
    assert all(len(question.expected) == 2 for question in both.compare)
    async with Callers(url_of(fleet), both.in_turn()) as callers:
        started_s = time.monotonic()
        await seconds_until_used(replica)
        await callers.more(2 * REQUESTS)
    assert callers.dishonest() == []
    assert {one.status for one in callers.refused()} == {httpx.codes.SERVICE_UNAVAILABLE}
    assert {one.detail for one in callers.refused()} == {"the embedder is changing its model; try again shortly"}

    _put(right_weights("mobilefacenet"), weights)
    await restart(replica)
    await ready(replica)
    async with Callers(url_of(fleet), questions.in_turn()) as mended:
        back_s = await seconds_until_used(replica)
    tell("two embedding models side by side", callers, since_s=started_s, back_s=back_s)
    assert mended.dishonest() == []
    assert mended.refused() == []
    await stop(alone)


def _put(source: Path, file: Path) -> None:
    """Replaces a file all at once, as the model store does."""
    whole = file.with_suffix(".part")
    shutil.copyfile(source, whole)
    whole.replace(file)


def _entry_of(weights: Path) -> str:
    """A manifest in which that file is a calibrated model."""
    return f"""
        [other]
        tier = "embedder"
        architecture = "mobilefacenet"
        input = "112x112 RGB"
        file = "{weights.name}"
        sha256 = "{hashlib.sha256(weights.read_bytes()).hexdigest()}"
        size_bytes = {weights.stat().st_size}
        license = "MIT"
        threshold = {{ value = 0.5, calibrated_on = "nothing: it is random" }}
        sources = []
        """
