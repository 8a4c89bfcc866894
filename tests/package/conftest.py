"""The wheel, and an environment that holds it and what pip brings along."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.package.environments import Environment
from tests.support.processes import REPOSITORY


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from this checkout, in which an earlier build has left a module that is gone."""
    left = REPOSITORY / "build" / "lib" / "services" / "gone.py"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.touch()
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(folder),
        str(REPOSITORY),
    ]
    subprocess.run(command, check=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An empty environment after `pip install WHEEL`, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    home = folder / "home"
    home.mkdir()
    mirror = os.environ.get("FACET_MODELS_MIRROR")
    environment = Environment(
        bin=folder / "venv" / "bin",
        variables={"HOME": str(home), "PATH": os.environ["PATH"]} | ({"FACET_MODELS_MIRROR": mirror} if mirror else {}),
    )
    environment.pip("install", str(wheel))
    return environment
