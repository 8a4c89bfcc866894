"""Real tiers in processes of their own, on free loopback ports, ended by real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from services.chassis.process import announcement
from services.chassis.process.announcement import Announcement, State

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 40.0
REPOSITORY = Path(__file__).parents[2]

QUICK_MODEL = {"FACET_DETECTOR_MODEL": "blazeface-full"}
"""For tests that start many detectors and do not mind which model they serve: it loads in a fraction of a second."""

LogLine = dict[str, Any]
Item = TypeVar("Item")


class RunningTier:
    """One `python -m …` process, what it announces and its structured log."""

    def __init__(self, module: str, settings: dict[str, str], *, prefix: tuple[str, ...] = ()) -> None:
        """Starts it and waits until it listens.

        Args:
            module: What `python -m` runs.
            settings: Environment variables beside the test's own.
            prefix: A command to run it under.
        """
        self.module = module
        self.host = settings.get("FACET_HOST", "127.0.0.1")
        self.log: list[LogLine] = []
        self.output: list[str] = []
        self.announced: list[Announcement] = []
        self._settings = settings
        self.prefix = prefix
        self._arrived = threading.Condition()
        self._spawn()

    def _spawn(self) -> None:
        read_end, write_end = os.pipe()
        self.process = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", self.module],
            env={**os.environ, **self._settings, announcement.VARIABLE: str(write_end)},
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(write_end,),
            text=True,
        )
        os.close(write_end)
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()
        threading.Thread(target=self._follow, args=(read_end,), daemon=True).start()
        listening = self.wait_announced(State.LISTENING)
        assert listening.port is not None
        assert listening.metrics_port is not None
        self.port, self.health_port, self.metrics_port = listening.port, listening.health_port, listening.metrics_port

    def _follow(self, read_end: int) -> None:
        with os.fdopen(read_end, "rb") as pipe:
            for line in pipe:
                heard = Announcement.parse(line)
                assert heard is not None, line
                with self._arrived:
                    self.announced.append(heard)
                    self._arrived.notify_all()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for text in process.stderr:
                try:
                    line = json.loads(text)
                except ValueError:
                    line = {"text": text}
                with self._arrived:
                    self.output.append(text)
                    self.log.append(line)
                    self._arrived.notify_all()
        with self._arrived:
            self._arrived.notify_all()

    @property
    def target(self) -> str:
        """The gRPC target."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The HTTP address."""
        return f"http://{self.host}:{self.port}"

    def wait_for(
        self, wanted: Callable[[LogLine], bool], *, timeout_s: float = START_TIMEOUT_S, since: int = 0
    ) -> LogLine:
        """The first log line from index `since` on that is wanted."""
        return self._awaited(lambda: self.log[since:], wanted, timeout_s)

    def wait_announced(self, state: State) -> Announcement:
        """The first announcement of this state since it was started."""
        return self._awaited(lambda: self.announced, lambda heard: heard.state is state, START_TIMEOUT_S)

    def _awaited(self, arrived: Callable[[], list[Item]], wanted: Callable[[Item], bool], timeout_s: float) -> Item:
        until = time.monotonic() + timeout_s
        with self._arrived:
            while True:
                for item in arrived():
                    if wanted(item):
                        return item
                left_s = until - time.monotonic()
                if left_s <= 0 or (self.process.poll() is not None and not self._reader.is_alive()):
                    raise AssertionError(f"{self.module} never said what was awaited:\n{''.join(self.output)}")
                self._arrived.wait(min(left_s, 0.2))

    def taken_log(self) -> list[LogLine]:
        """What was logged since this was called last. It is forgotten: that of a long run would fill the memory."""
        with self._arrived:
            taken = self.log.copy()
            self.log.clear()
            self.output.clear()
        return taken

    def wait_ready(self) -> None:
        """Waits until a tier has announced that it serves."""
        self.wait_announced(State.READY)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to this process alone."""
        self.process.send_signal(number)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Waits for its end; returns the exit code."""
        code = self.process.wait(timeout_s)
        self._reader.join(timeout_s)
        return code

    def stop(self) -> int:
        """SIGTERM, then SIGKILL for one that does not stop in time; returns the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.wait()

    def restart(self, **settings: str) -> None:
        """Starts it again with the same settings, on the same ports unless told otherwise, after it has ended."""
        name = self.module.rpartition(".")[2].upper()
        ports = {f"FACET_{name}_PORT": str(self.port), f"FACET_{name}_METRICS_PORT": str(self.metrics_port)}
        self._settings = {**self._settings, **ports, **settings}
        self.log.clear()
        self.output.clear()
        self.announced.clear()
        self._spawn()


def start(tier: str, prefix: tuple[str, ...] = (), /, **settings: str) -> RunningTier:
    """Starts `detector`, `embedder`, `anonymizer` or `gateway` on free ports, under the command `prefix`.

    Keyword arguments are settings.
    """
    name = tier.upper()
    ports = {f"FACET_{name}_PORT": "0", f"FACET_{name}_METRICS_PORT": "0", "FACET_DRAIN_S": "0.3"}
    module = "gateway" if tier == "gateway" else f"services.{tier}"
    return RunningTier(module, {**ports, **settings}, prefix=prefix)


class Stack:
    """A detector, an anonymizer, an embedder where asked for, and the gateway in front of them."""

    def __init__(self, prefix: tuple[str, ...] = (), /, *, embedder: bool = False, **settings: str) -> None:
        """Starts all, each under the command `prefix`, and waits until they are ready.

        Keyword arguments are settings of every process.
        """
        self._prefix = prefix
        self.started: list[RunningTier] = []
        try:
            self.detector = self._start("detector", **settings)
            self.anonymizer = self._start("anonymizer", **settings)
            self.embedder = self._start("embedder", **settings) if embedder else None
            for tier in tuple(self.started):
                tier.wait_ready()
            self.gateway = self._start("gateway", **self.targets(), **settings)
        except BaseException:
            self.stop()
            raise

    def targets(self) -> dict[str, str]:
        """The gateway's settings that point at these tiers; nothing listens where a missing embedder would be."""
        return {
            "FACET_DETECTOR_TARGET": self.detector.target,
            "FACET_ANONYMIZER_TARGET": self.anonymizer.target,
            "FACET_EMBEDDER_TARGET": self.embedder.target if self.embedder else "127.0.0.1:1",
        }

    def _start(self, tier: str, **settings: str) -> RunningTier:
        running = start(tier, self._prefix, **settings)
        self.started.append(running)
        return running

    def stop(self) -> None:
        """Stops all, the gateway first."""
        for running in reversed(self.started):
            running.stop()


@contextmanager
def suspended(tier: RunningTier) -> Iterator[None]:
    """Has a tier hang for a while."""
    tier.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        tier.signal(signal.SIGCONT)
