"""How much memory a tier is told that it may take, on bare machines and in containers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from services.chassis.process import memory_limit
from services.chassis.process.memory_limit import memory_limit_bytes


@pytest.mark.parametrize(
    ("files", "limit_bytes"),
    [
        ({}, math.inf),
        ({"memory.max": "max\n"}, math.inf),
        ({"memory.max": "536870912\n"}, 536870912),
        ({"memory.limit_in_bytes": "9223372036854771712\n"}, math.inf),
        ({"memory.limit_in_bytes": "536870912\n"}, 536870912),
    ],
)
def test_limit_is_that_of_the_control_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, str], limit_bytes: float
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory_limit, "CGROUP_V2_LIMIT", tmp_path / "memory.max")
    monkeypatch.setattr(memory_limit, "CGROUP_V1_LIMIT", tmp_path / "memory.limit_in_bytes")
    assert memory_limit_bytes() == limit_bytes
