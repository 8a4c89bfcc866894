"""Podman's commands, and containers that run as restricted as Kubernetes' ones."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

USER = 10001
RESTRICTED = (
    *("--read-only", "--read-only-tmpfs=false", "--user", f"{USER}:{USER}", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges", "--cpus", "1", "--pids-limit", "256"),
    # Whatever starts a shell fails.
    *("--volume", "/dev/null:/usr/bin/dash:ro", "--volume", "/dev/null:/usr/bin/bash:ro"),
)


class PodmanFailedError(Exception):
    """A command failed; the message is what it said."""


def podman(*arguments: str, timeout_s: float = 120.0) -> str:
    """What the command printed.

    Raises:
        PodmanFailedError: It failed.
    """
    done = subprocess.run(["podman", *arguments], check=False, capture_output=True, text=True, timeout=timeout_s)
    if done.returncode != 0:
        raise PodmanFailedError(f"podman {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def configure() -> None:
    """Keeps podman's configuration where the host has one of its own, else takes the one beside this file."""
    os.environ.setdefault("CONTAINERS_CONF", str(Path(__file__).with_name("containers.conf")))


def exists(image: str) -> bool:
    """Whether the image is here."""
    return subprocess.run(["podman", "image", "exists", image], check=False).returncode == 0


def inspected(name: str) -> Any:  # noqa: ANN401  (JSON)
    """All that podman knows of a container or an image."""
    return json.loads(podman("inspect", name))[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A running container."""

    name: str

    @property
    def state(self) -> Any:  # noqa: ANN401  (JSON)
        """Podman's `State`."""
        return inspected(self.name)["State"]

    @property
    def address(self) -> str:
        """Its address on the network of the tests."""
        (network,) = inspected(self.name)["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    @property
    def process(self) -> dict[str, str]:
        """The main process as the kernel sees it from outside (`/proc/PID/status`)."""
        lines = Path("/proc", str(self.state["Pid"]), "status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    @property
    def root(self) -> Path:
        """Its file system as the main process sees it, memory file systems included."""
        return Path("/proc", str(self.state["Pid"]), "root")

    def logged(self) -> str:
        """What it has written to its log."""
        done = subprocess.run(["podman", "logs", self.name], check=True, capture_output=True, text=True)
        return done.stdout + done.stderr

    def changes(self) -> list[str]:
        """The files that differ from the image's."""
        return podman("diff", self.name).splitlines()

    def memory_bytes(self) -> int:
        """What its processes hold now."""
        status = self.process
        return int(status["VmRSS"].split()[0]) * 1024


def start(  # noqa: PLR0913  (a container has that many sides)
    image: str,
    *,
    name: str,
    network: str,
    memory: str,
    environment: Mapping[str, str],
    volumes: Sequence[str] = (),
) -> Container:
    """Starts an image's own command, restricted, as `name` on that network."""
    options = [*RESTRICTED, "--name", name, "--network", network, "--network-alias", name, "--memory", memory]
    options += [option for key, value in environment.items() for option in ("--env", f"{key}={value}")]
    options += [option for volume in volumes for option in ("--volume", volume)]
    podman("run", "--detach", *options, image)
    return Container(name=name)


def run_once(image: str, *command: str, environment: Mapping[str, str], volumes: Sequence[str]) -> str:
    """What a command other than the image's own prints, in a restricted container that is gone afterwards."""
    options = [option for key, value in environment.items() for option in ("--env", f"{key}={value}")]
    options += [option for volume in volumes for option in ("--volume", volume)]
    return podman(
        "run", "--rm", "--network", "none", *RESTRICTED, *options, "--entrypoint", command[0], image, *command[1:]
    )
