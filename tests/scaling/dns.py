"""A real name server on loopback; its names have an address for every replica, as a headless Service's name does."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
from pathlib import Path

DNSMASQ = "/usr/sbin/dnsmasq"
TTL_S = 5
"""As the cluster's name server gives a headless Service's names."""


class NameServer:
    """dnsmasq; the names end in `.test`."""

    def __init__(self) -> None:
        """Starts it on a free port, without any name."""
        self._addresses: dict[str, list[str]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="facet-dns-")
        self.port = _free_port()
        self._process = subprocess.Popen(
            [
                DNSMASQ,
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--listen-address=127.0.0.1",
                "--bind-interfaces",
                f"--port={self.port}",
                "--no-resolv",
                "--no-hosts",
                "--local=/test/",
                f"--hostsdir={self._hosts}",
                f"--local-ttl={TTL_S}",
                "--pid-file",
                "--user=root",
                "--log-facility=-",
            ],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        started = self._process.stderr.readline()
        assert "started" in started, started

    @property
    def _hosts(self) -> Path:
        return Path(self._folder.name)

    def target(self, name: str, port: int) -> str:
        """The gRPC target of whatever stands behind the name."""
        return f"dns://127.0.0.1:{self.port}/{name}:{port}"

    def add(self, name: str, address: str) -> None:
        """Gives the name one more address."""
        self._publish(name, [*self._addresses.get(name, []), address])

    def remove(self, name: str, address: str) -> None:
        """Takes an address from the name."""
        self._publish(name, [other for other in self._addresses[name] if other != address])

    def _publish(self, name: str, addresses: list[str]) -> None:
        self._addresses[name] = addresses
        (self._hosts / name).write_text("".join(f"{address} {name}\n" for address in addresses))
        self._process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stderr is not None
        self._process.stderr.close()
        self._folder.cleanup()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
