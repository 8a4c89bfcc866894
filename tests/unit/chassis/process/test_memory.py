"""Memory is kept for the next picture, and handed back at rest."""

from __future__ import annotations

import subprocess
import sys

KEEPS_THEN_RESTS = """
import asyncio, os
from pathlib import Path
from services.chassis.process import memory

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

async def rest():
    task = asyncio.create_task(memory.return_memory_at_rest())
    await asyncio.sleep(0.5)
    task.cancel()

memory.reuse_freed_memory()
memory.REST_S = 0.1
before = resident_mib()
blocks = [b"x" * 2**20 for _ in range(128)]
del blocks
kept = resident_mib() - before
asyncio.run(rest())
print(kept, resident_mib() - before)
"""


def test_a_process_keeps_freed_memory_while_it_works_and_returns_it_at_rest() -> None:
    told = subprocess.run([sys.executable, "-c", KEEPS_THEN_RESTS], check=True, capture_output=True, text=True).stdout
    kept_mib, rested_mib = map(float, told.split())

    assert kept_mib > 100
    assert rested_mib < 20
