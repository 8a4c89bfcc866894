"""Tiers under more calls than they can answer. These tests need the machine for themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from benchmarks.embedder_load import faces_a_second, overload
from services.embedder.ir import IrNetwork, IrShape, Layout
from tests.support.embedders import running_embedder, write_random_weights


async def test_accepted_calls_keep_their_deadline_at_four_times_capacity(tmp_path: Path) -> None:
    """On a real engine and through gRPC; `benchmarks.embedder_cpu` measures the throughput of the same."""
    network = IrNetwork(IrShape(depth=50, layout=Layout.OFFICIAL, dimension=512))
    weights = write_random_weights(network, tmp_path / "ir50.pth")
    with running_embedder(weights=str(weights), precision="fp32", max_batch="8") as tier:
        await asyncio.to_thread(tier.wait_ready)
        capacity = await faces_a_second(tier.target, callers=16, faces_a_call=1, duration_s=4)
        came = await overload(tier.target, calls_a_second=4 * capacity, deadline_s=2, duration_s=6)

    assert came.late == 0
    assert max(came.answered_after_s) < 2
    assert len(came.refused_after_s) > len(came.answered_after_s)
    assert np.median(came.refused_after_s) < 0.1
