"""The images' base: pulled, or where no registry can be reached made of Debian's packages."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.images.podman import PodmanFailedError, exists, podman

BASE = "docker.io/library/python:3.11-slim-bookworm"
_PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
_NOT_IN_THE_BASE = (
    *("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists", "var/log"),
    "usr/lib/python3.11/EXTERNALLY-MANAGED",
)


def provide_base() -> None:
    """Does nothing where the base is here already.

    Raises:
        subprocess.CalledProcessError: No registry and no Debian mirror can be reached.
    """
    if exists(BASE):
        return
    try:
        podman("pull", BASE)
    except PodmanFailedError:
        with tempfile.TemporaryDirectory() as folder:
            _import_debian(Path(folder) / "root")


def _import_debian(root: Path) -> None:
    """Debian's own Python where the official image has one of its makers."""
    command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root)]
    subprocess.run(command, check=True, capture_output=True)
    for name in _NOT_IN_THE_BASE:
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (root / "var/log/apt").mkdir(parents=True)  # apt makes no folder for its log
    for cache in root.rglob("__pycache__"):  # the official image has none either
        shutil.rmtree(cache)
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as archive:
        subprocess.run(["podman", "import", "-", BASE], stdin=archive.stdout, check=True, capture_output=True)
