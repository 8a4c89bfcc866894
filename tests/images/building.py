"""Builds the images by `make images`, with this host's pip configuration lent to the builds and not left in them."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import REPOSITORY

TIMEOUT_S = 3600.0


def image_of(tier: str) -> str:
    """The image's full name."""
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    return f"facet/{tier}:{version}"


def build_images() -> None:
    """Builds all four.

    Raises:
        subprocess.CalledProcessError: One could not be built; what the build said has been shown.
    """
    lent = " ".join(f"--volume {path}:{path}:ro" for path in pip_needs())
    command = ["make", "--no-print-directory", "images", "ENGINE=podman", f"BUILD_FLAGS=--network host {lent}"]
    subprocess.run(command, check=True, cwd=REPOSITORY, timeout=TIMEOUT_S)


def pip_needs() -> list[Path]:
    """The files and folders of this host that pip is configured by: its own files, certificates, local indexes."""
    return sorted({path for path in (*_configuration_files(), *_configured_paths()) if path.exists()})


def _configuration_files() -> Iterator[Path]:
    for line in _pip("config", "debug").splitlines():
        if line.endswith("exists: True"):
            yield Path(line.strip().removesuffix(", exists: True"))


def _configured_paths() -> Iterator[Path]:
    for line in _pip("config", "list").splitlines():
        _, _, value = line.partition("=")
        for word in value.strip("'\"").split():
            if word.startswith("/"):
                yield Path(word)
            elif word.startswith("file:///"):
                yield Path(word.removeprefix("file://")).parent  # an index's pages point at files beside its folder


def _pip(*arguments: str) -> str:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
