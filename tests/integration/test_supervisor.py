"""`facet up`: everything starts, dies, comes back and ends together."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.local_stack import supervisor
from tests.support.processes import QUICK_MODEL, REPOSITORY
from tests.support.waiting import eventually

FACET = Path(sys.executable).parent / "facet"
TIERS = tuple(tier.name for tier in supervisor.TIERS)
PARTS = (*TIERS, supervisor.GATEWAY.name)
ANY_PORTS = {f"FACET_{part.upper()}_{port}": "0" for part in PARTS for port in ("PORT", "METRICS_PORT")}


class Up:
    """A running `facet up`."""

    def __init__(self, **settings: str) -> None:
        """Starts it, on free ports where the settings name none."""
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [FACET, "up"],
            env={**os.environ, **ANY_PORTS, **QUICK_MODEL, "FACET_DRAIN_S": "0.2", **settings},
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            self.lines.extend(self.process.stdout)

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return "".join(self.lines)

    def address(self) -> str:
        """Where it says the page is, once everything is ready."""
        eventually(lambda: "Facet is ready" in self.text or self.process.poll() is not None, timeout_s=60)
        found = re.search(r"Facet is ready: (http://localhost:\d+)", self.text)
        assert found, self.text
        return found[1]

    def ports(self) -> list[int]:
        """Every port that its parts have said they listen on."""
        return [int(port) for port in re.findall(r"port=(\d+)", self.text)]

    def parts(self) -> dict[str, int]:
        """The process ids of its running parts, by name."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {command_of(int(pid)): int(pid) for pid in children}

    def wait(self) -> int:
        """Waits for its end; returns the exit code."""
        code = self.process.wait(60)
        self._reader.join(60)
        return code


def command_of(pid: int) -> str:
    """Which part a process is; nothing of one that has just ended."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return command.rstrip("\0").rpartition("\0")[2].rpartition(".")[2]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def own_up() -> Iterator[Up]:
    """One that the test may end."""
    running = Up()
    yield running
    running.process.terminate()
    running.wait()


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    """One for the tests that leave it whole; open to the network."""
    running = Up(FACET_HOST="0.0.0.0", FACET_GATEWAY_ALLOW_ANONYMOUS="true")  # noqa: S104
    yield running
    running.process.terminate()
    assert running.wait() == 0


def test_it_becomes_ready_says_where_and_anonymizes(up: Up, astronaut_jpeg: bytes) -> None:
    address = up.address()
    assert up.parts().keys() == set(PARTS)
    answer = httpx.post(f"{address}/v1/anonymize", content=astronaut_jpeg, timeout=30)
    assert answer.headers["x-facet-faces"] == "1"
    assert httpx.get(address).headers["content-type"].startswith("text/html")


def test_it_stops_the_gateway_first_and_leaves_nothing(own_up: Up) -> None:
    own_up.address()
    pids = own_up.parts().values()
    own_up.process.send_signal(signal.SIGINT)
    assert own_up.wait() == 0
    ended = re.findall(r"^(\w+) +│ stopped", own_up.text, re.MULTILINE)
    assert ended[0] == "gateway"
    assert sorted(ended) == sorted(PARTS)
    assert [pid for pid in pids if runs(pid)] == []
    assert len(own_up.ports()) == 2 * len(PARTS)
    assert [port for port in own_up.ports() if listens(port)] == []
    assert "Traceback" not in own_up.text


def test_it_stops_when_told_to_before_it_is_ready(own_up: Up) -> None:
    eventually(lambda: "listening" in own_up.text)
    pids = own_up.parts().values()
    own_up.process.send_signal(signal.SIGINT)
    assert own_up.wait() == 0
    assert [pid for pid in pids if runs(pid)] == []
    assert "Facet is ready" not in own_up.text


@pytest.mark.parametrize("level", ["WARNING", "ERROR"])
def test_it_becomes_ready_whatever_the_log_leaves_out(level: str) -> None:
    up = Up(FACET_LOG_LEVEL=level)
    try:
        assert httpx.get(f"{up.address()}/healthz").status_code == 200
        assert "listening" not in up.text
        killed = up.parts()["anonymizer"]
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: up.parts().get("anonymizer", killed) != killed)
        eventually(lambda: httpx.get(f"{up.address()}/readyz").status_code == 200)
    finally:
        up.process.terminate()
        assert up.wait() == 0


@pytest.mark.parametrize("level", ["INFO", "WARNING", "ERROR"])
def test_tier_that_lacks_its_weights_says_so_once_whatever_the_log_leaves_out(level: str, tmp_path: Path) -> None:
    up = Up(FACET_LOG_LEVEL=level, FACET_MODELS_DIR=str(tmp_path / "empty"))
    try:
        lack = re.compile(r"^detector +│ not ready: .*facet models pull blazeface-full", re.MULTILINE)
        eventually(lambda: lack.search(up.text) is not None)
        assert len(lack.findall(up.text)) == 1
    finally:
        up.process.terminate()
        assert up.wait() == 0


def test_port_in_use_is_told_whatever_the_log_leaves_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = Up(FACET_ANONYMIZER_PORT=str(port), FACET_LOG_LEVEL="ERROR")
        assert up.wait() == 1
    assert f"cannot listen on 127.0.0.1:{port}" in up.text


@pytest.mark.parametrize("part", PARTS)
def test_port_in_use_ends_it_with_a_message_and_leaves_nothing(part: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = Up(**{f"FACET_{part.upper()}_PORT": str(port)})
        assert up.wait() == 1
    assert f"cannot listen on 127.0.0.1:{port}" in up.text
    assert f"FACET_{part.upper()}_PORT" in up.text
    assert "could not start (exit code 1)" in up.text
    assert "Facet is ready" not in up.text
    assert "Traceback" not in up.text
    assert [other for other in up.ports() if listens(other)] == []


def test_second_one_on_the_same_ports_does_not_take_the_first_for_its_own(up: Up) -> None:
    port = up.address().rpartition(":")[2]
    second = Up(FACET_GATEWAY_PORT=port)
    assert second.wait() == 1
    assert f"cannot listen on 127.0.0.1:{port}" in second.text
    assert "Facet is ready" not in second.text


@pytest.mark.parametrize("part", PARTS)
def test_part_that_dies_is_started_again_where_it_was(up: Up, part: str, astronaut_jpeg: bytes) -> None:
    address = up.address()
    killed = up.parts()[part]
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: not runs(killed))

    def works() -> bool:
        try:
            answer = httpx.post(f"{address}/v1/anonymize", content=astronaut_jpeg, timeout=30)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    eventually(lambda: up.parts().get(part, killed) != killed and works())
    assert "ended unexpectedly (exit code -9); starting it again" in up.text
    assert up.parts().keys() == set(PARTS)


def test_tiers_stay_on_loopback_where_the_gateway_is_opened_to_the_network(up: Up) -> None:
    up.address()
    everywhere, loopback = "00000000", "0100007F"
    assert everywhere in listening_addresses(up.parts()["gateway"])
    for tier in TIERS:
        assert listening_addresses(up.parts()[tier]) == {loopback}


def listening_addresses(pid: int) -> set[str]:
    """The IPv4 addresses that a process listens on, as the kernel writes them."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        if found := re.fullmatch(r"socket:\[(\d+)\]", str(descriptor.readlink())):
            sockets.add(found[1])
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    listening = "0A"
    return {row[1].partition(":")[0] for row in rows if row[3] == listening and row[9] in sockets}


def test_parts_end_with_a_supervisor_that_is_killed(own_up: Up) -> None:
    own_up.address()
    pids = own_up.parts().values()
    own_up.process.kill()
    own_up.process.wait()
    eventually(lambda: not any(runs(pid) for pid in pids))
    assert [port for port in own_up.ports() if listens(port)] == []
