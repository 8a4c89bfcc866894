"""How many processors a tier takes for its own, on bare machines and in containers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.chassis.process import processors
from services.chassis.process.processors import available_processors

ALLOWED = 8


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Eight processors; the folder that stands for the control groups."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(ALLOWED)))
    monkeypatch.setattr(processors, "CGROUP_V2_LIMIT", tmp_path / "cpu.max")
    monkeypatch.setattr(processors, "CGROUP_V1_QUOTA", tmp_path / "cpu.cfs_quota_us")
    monkeypatch.setattr(processors, "CGROUP_V1_PERIOD", tmp_path / "cpu.cfs_period_us")
    return tmp_path


def test_without_control_groups_the_affinity_mask_counts() -> None:
    assert available_processors() == ALLOWED


@pytest.mark.parametrize(
    ("limit", "count"),
    [
        ("max 100000\n", 8),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("10000 100000\n", 1),
        ("3200000 100000\n", 8),
        ("unreadable", 8),
    ],
)
def test_quota_of_cgroup_v2_counts_rounded_up(machine: Path, limit: str, count: int) -> None:
    (machine / "cpu.max").write_text(limit)
    assert available_processors() == count


@pytest.mark.parametrize(("quota", "count"), [("-1\n", 8), ("250000\n", 3)])
def test_quota_of_cgroup_v1_counts_rounded_up(machine: Path, quota: str, count: int) -> None:
    (machine / "cpu.cfs_quota_us").write_text(quota)
    (machine / "cpu.cfs_period_us").write_text("100000\n")
    assert available_processors() == count
