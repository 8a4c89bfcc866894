"""Schemathesis against the gateway's own OpenAPI document."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_CONFIGURATION = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503, 504]
"""
_CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
_TIMEOUT_S = 900


def check_schema(url: str, credential: str, *, seed: int, examples: int, folder: Path) -> str:
    """Makes up to so many requests an operation; returns what went wrong, empty where nothing did."""
    (folder / "schemathesis.toml").write_text(_CONFIGURATION)
    command = [
        str(Path(sys.executable).parent / "schemathesis"),
        *("--config-file", str(folder / "schemathesis.toml"), "run", f"{url}/openapi.json", "--checks", _CHECKS),
        *("--header", f"Authorization: Bearer {credential}", "--seed", str(seed), "--max-examples", str(examples)),
        *("--phases", "examples,coverage,fuzzing", "--generation-database", "none", "--no-color", "--warnings", "off"),
        *("--suppress-health-check", "all", "--request-timeout", "60", "--continue-on-failure"),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    return "" if done.returncode == 0 else done.stdout + done.stderr
