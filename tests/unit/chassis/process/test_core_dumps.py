"""Core dumps: none, even where the process was started with leave to write them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY

CRASH = "import os; from services.chassis.process.core_dumps import leave_no_core_dumps; {}; os.abort()"


@pytest.mark.parametrize(("call", "left"), [("leave_no_core_dumps()", False), ("pass", True)], ids=["with", "without"])
def test_crash_leaves_no_core_dump(tmp_path: Path, call: str, left: bool) -> None:  # noqa: FBT001
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    if pattern.startswith(("/", "|")):
        pytest.skip("this machine has core dumps elsewhere than in the working folder")
    command = ["sh", "-c", 'ulimit -c unlimited && exec "$@"', "sh", sys.executable, "-c", CRASH.format(call)]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, check=False
    )
    if b"ulimit" in done.stderr:
        pytest.skip("raising the limit needs the right to")
    assert done.returncode == -6
    assert bool(list(tmp_path.iterdir())) is left
