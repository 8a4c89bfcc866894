"""What tiers and the gateway announce to whoever starts them, and that none of them depends on being heard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from services.chassis.process import announcement
from services.chassis.process.announcement import State
from tests.support.processes import QUICK_MODEL, REPOSITORY, RunningTier, start

ALONE = {"FACET_ANONYMIZER_PORT": "0", "FACET_ANONYMIZER_METRICS_PORT": "0", "FACET_DRAIN_S": "0"}


@pytest.mark.parametrize("name", ["detector", "anonymizer", "gateway"])
def test_each_process_announces_its_ports_and_then_that_it_serves(name: str) -> None:
    running = start(name, **QUICK_MODEL, FACET_LOG_LEVEL="ERROR")
    running.wait_ready()
    assert [heard.state for heard in running.announced] == [State.LISTENING, State.READY]
    assert (running.port > 0, running.metrics_port > 0, running.health_port) == (True, True, None)
    assert running.stop() == 0
    assert running.output == []


def test_what_a_tier_lacks_is_announced_until_it_serves() -> None:
    settings = {"FACET_TEST_SCRIPT": "NotReady,NotReady", "FACET_DRAIN_S": "0", "FACET_LOG_LEVEL": "ERROR"}
    tier = RunningTier("tests.support.scripted_tier", settings)
    tier.wait_ready()
    assert [heard.state for heard in tier.announced] == [State.LISTENING, State.NOT_READY, State.READY]
    assert tier.wait_announced(State.NOT_READY).reason == "as scripted"
    assert tier.stop() == 0


def until_ready(settings: dict[str, str], *, pass_fds: tuple[int, ...] = ()) -> str:
    """Starts an anonymizer and stops it once it has logged that it serves; returns its log."""
    with subprocess.Popen(
        [sys.executable, "-m", "services.anonymizer"],
        env={**os.environ, **ALONE, **settings},
        cwd=REPOSITORY,
        pass_fds=pass_fds,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if '"event": "ready"' in line:
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 0, "".join(said)
    return "".join(said)


def test_tier_serves_where_the_descriptor_is_none() -> None:
    said = until_ready({announcement.VARIABLE: "3"})
    assert said.count("FACET_ANNOUNCE_FD: '3' is not the descriptor of an open pipe") == 1
    assert '"state"' not in said  # the log has a pipe of its own, which might have got the number


def test_tier_serves_where_nobody_reads() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        said = until_ready({announcement.VARIABLE: str(write_end)}, pass_fds=(write_end,))
    finally:
        os.close(write_end)
    assert "warning" not in said
