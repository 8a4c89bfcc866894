"""An environment of its own, with nothing of this checkout on its path."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PIP = ("-P", "-m", "pip", "--quiet", "--disable-pip-version-check")


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where its programs lie, and what they are told."""

    bin: Path
    variables: Mapping[str, str]

    def run(self, *command: str | Path, cwd: Path, under: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """A program of the environment's, run in a folder, under others such as strace."""
        program, *arguments = command
        return subprocess.run(
            [*under, self.bin / program, *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=cwd,
            env=self.variables,
            timeout=200,
        )

    def pip(self, *arguments: str) -> None:
        """Runs pip with this process's environment, which may name an index."""
        subprocess.run([self.bin / "python", *_PIP, *arguments], check=True, env=os.environ)
