"""Every module can be imported on systems that lack what Linux has; what is missing there is told when it is used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.batch.inside import open_given
from services.chassis.errors import InvalidRequest
from services.chassis.process.memory import reuse_freed_memory
from services.chassis.process.processors import available_processors
from tests.support.processes import REPOSITORY

# Imported twice: the first time brings the libraries in, which look for themselves what their system has.
WITHOUT_WHAT_LINUX_HAS = """
import importlib, os, pkgutil, signal, sys, types

PACKAGES = ("services", "gateway", "cli", "facet_client")
names = [
    name
    for package in PACKAGES
    for name in (package, *(each.name for each in pkgutil.walk_packages(
        importlib.import_module(package).__path__, package + ".")))
]
for name in names:
    importlib.import_module(name)
for name in names:
    del sys.modules[name]

for absent in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[absent] = None
sys.modules["msvcrt"] = types.ModuleType("msvcrt")
for name in ("O_PATH O_DIRECTORY O_CLOEXEC O_NOFOLLOW O_NONBLOCK geteuid getuid getppid fork pread pwrite fchmod"
             " sched_getaffinity sysconf killpg setsid mkfifo").split():
    delattr(os, name)
for name in "SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGQUIT SIGCHLD SIGPIPE pthread_sigmask".split():
    delattr(signal, name)
sys.platform = "win32"
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def test_every_module_is_imported_where_nothing_of_linux_is_there() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_WHAT_LINUX_HAS], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def test_processors_are_counted_where_affinity_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    assert 1 <= available_processors() <= (os.cpu_count() or 1)


def test_c_library_is_left_alone_where_it_cannot_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("ctypes.CDLL", None)
    reuse_freed_memory()


def test_system_that_cannot_write_results_safely_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "supports_dir_fd", set())
    with pytest.raises(InvalidRequest, match="on Windows, use WSL"):
        open_given(tmp_path)
