"""The `facet` command as a process: run to its end, or killed on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.support.waiting import eventually

FACET = Path(sys.executable).parent / "facet"
TIMEOUT_S = 600
NOTHING: Mapping[str, str] = MappingProxyType({})


def facet(
    *arguments: str | Path, stdin: bytes = b"", settings: Mapping[str, str] = NOTHING
) -> subprocess.CompletedProcess[bytes]:
    """Runs it with these environment variables beside the test's own."""
    environment = {**os.environ, **settings}
    return subprocess.run(
        [FACET, *arguments], input=stdin, capture_output=True, timeout=TIMEOUT_S, check=False, env=environment
    )


def started(*arguments: str | Path, settings: Mapping[str, str] = NOTHING) -> subprocess.Popen[bytes]:
    """Starts it, likewise."""
    environment = {**os.environ, **settings}
    return subprocess.Popen([FACET, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


def killed_when(process: subprocess.Popen[bytes], journal: Path, lines: int) -> None:
    """Kills it with SIGKILL as soon as its journal has so many lines."""
    eventually(lambda: process.poll() is not None or _lines(journal) >= lines, timeout_s=TIMEOUT_S)
    process.kill()
    process.wait()


def report_of(path: Path) -> dict[str, Any]:
    """A JSON report without the time that the run took."""
    report: dict[str, Any] = json.loads(path.read_text())
    del report["summary"]["seconds"]
    return report


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0
