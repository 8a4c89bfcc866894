"""`python -m tests.hostile.fuzz`: fuzzed requests against running tiers and gateways, none of which may end in a fault.

The command line gets folders whose state was mutated. It ends with 1 where one did: a 500, INTERNAL, no answer in
time, an error in a log, another process, memory that grows; or where a command touches what it should not, takes an
original for done, or tells a traceback.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.hostile.audited import answered, entered
from tests.hostile.cases import REQUEST_ID, Case, case_of
from tests.hostile.folders import FolderAttack
from tests.hostile.grpc_requests import GrpcCall
from tests.hostile.http_requests import HttpRequest
from tests.hostile.schema import check_schema
from tests.hostile.senders import Fault, GrpcSender, HttpSender, exchanged
from tests.hostile.target import Target, running_target
from tests.support.clients import metrics_of
from tests.support.mutations import files
from tests.support.processes import LogLine, RunningTier
from tests.support.usage import usage_of
from tests.support.waiting import eventually

CLIENTS = 8
SCHEMATHESIS_SHARE = 0.05
FOLDERS_SHARE = 0.0006
"""So many mutated folders a request, each a command of a second or two: 60 in a run."""
OPERATIONS = 6
"""Of the OpenAPI document, about."""
WARM_UP = 5000
"""Requests after which every process has met every kind of picture and size; none is judged by its memory before."""
LARGEST_GROWTH_MIB = 64.0
"""Of each process, since then and since a fifth of the requests."""
TOLD = 20
"""Failures that are told of; the others are counted."""
_TOLD_EVERY_S = 30.0
_CALLER_LEFT = "ExecuteBatchError"

Outcomes = Counter[tuple[str, str]]
"""How often which kind of request ended how."""


class Findings:
    """What went wrong, with a file for each."""

    def __init__(self, folder: Path, seed: int, target: Target) -> None:
        self._folder = folder
        self._seed = seed
        self._target = target
        self._lock = threading.Lock()
        self.count = 0

    def add(self, told: str, number: int | None = None) -> None:
        """Tells of it, and of how to see it again where the request's number is known."""
        with self._lock:
            self.count += 1
            if self.count > TOLD:
                return
            say(f"FAILED: {told}")
            if number is None:
                return
            case = case_of(self._seed, number, self._target.identities)
            file = self._folder / f"seed-{self._seed}-request-{number}.bin"
            file.write_bytes(case.what.content)
            say(f"  sent: {file}\n  again: python -m tests.hostile.fuzz --seed {self._seed} --only {number}")


class Client(threading.Thread):
    """Takes the next number and sends its case, until there is none."""

    def __init__(self, target: Target, seed: int, numbers: Iterator[int], findings: Findings) -> None:
        super().__init__()
        self.outcomes: Outcomes = Counter()
        self._target = target
        self._seed = seed
        self._numbers = numbers
        self._findings = findings
        self._open = HttpSender(target.open)
        self._guarded = HttpSender(target.guarded)
        self._grpc = GrpcSender(target.tiers)

    def run(self) -> None:
        """Until the numbers end."""
        for number in self._numbers:
            case = case_of(self._seed, number, self._target.identities)
            try:
                outcome = self._send(case, f"{REQUEST_ID}{number}")
            except (Fault, OSError) as fault:
                self._findings.add(f"{case.kind} {number}: {fault}", number)
                outcome = "FAULT"
            self.outcomes[case.kind, outcome] += 1
        for sender in (self._open, self._guarded, self._grpc):
            sender.close()

    def _send(self, case: Case, request_id: str) -> str:
        match case.what:
            case HttpRequest() as request:
                return (self._guarded if case.to_guarded else self._open).send(request)
            case GrpcCall() as call:
                return self._grpc.send(call, request_id)
            case garbage:
                tier = self._target.tiers[garbage.tier]
                return "an answer" if exchanged((tier.host, tier.port), garbage.content) else "nothing"


class _Shared(Iterator[int]):
    """Numbers that threads take from in turn."""

    def __init__(self, numbers: range) -> None:
        self._numbers = iter(numbers)
        self._lock = threading.Lock()

    def __next__(self) -> int:
        with self._lock:
            return next(self._numbers)


def attack(target: Target, seed: int, numbers: range, findings: Findings) -> Outcomes:
    """Sends everything, reads the logs all the while, and looks at the memory twice."""
    files()  # made before the clients begin, each of which would make them
    shared = _Shared(numbers)
    clients = [Client(target, seed, shared, findings) for _ in range(min(CLIENTS, len(numbers)))]
    for client in clients:
        client.start()
    before_mib: list[float] = []
    told_s = time.monotonic()
    while any(client.is_alive() for client in clients):
        time.sleep(0.2)
        read_logs(target, findings)
        sent = sum(client.outcomes.total() for client in clients)
        if not before_mib and sent >= max(WARM_UP, len(numbers) / 5):
            before_mib = _resident_mib(target)
        if time.monotonic() - told_s > _TOLD_EVERY_S:
            told_s = time.monotonic()
            say(f"  {sent} sent")
    after_mib = _resident_mib(target) if before_mib else []
    for tier, was_mib, is_mib in zip(target.processes, before_mib, after_mib, strict=False):
        say(f"  {tier.module:20} {was_mib:5.0f} MiB when warm, {is_mib:5.0f} MiB at the end")
        if is_mib - was_mib > LARGEST_GROWTH_MIB:
            findings.add(f"{tier.module} grows: {was_mib:.0f} MiB, then {is_mib:.0f} MiB")
    return sum((client.outcomes for client in clients), Counter())


def attack_by_schema(target: Target, seed: int, count: int, folder: Path, findings: Findings) -> Outcomes:
    """Has Schemathesis make about so many requests of the OpenAPI document."""
    before = _answered(target.guarded)
    wrong = check_schema(
        target.guarded.url,
        target.identities.key,
        seed=seed,
        examples=max(1, count // OPERATIONS),
        folder=folder,
    )
    if wrong:
        findings.add(f"schemathesis --seed {seed}\n{wrong}")
    return Counter({("openapi", "FAULT" if wrong else "as documented"): round(_answered(target.guarded) - before)})


def attack_folders(target: Target, seed: int, numbers: range, folder: Path, findings: Findings) -> Outcomes:
    """Has the command line work on folders whose state was mutated."""
    attack = FolderAttack(target.open.url, folder / "folders", seed)
    for wrong in attack.attack(numbers):
        findings.add(f"{wrong}\n  again: python -m tests.hostile.fuzz --seed {seed} --only-folder {wrong.split()[1]}")
    return attack.outcomes


def judge(target: Target, findings: Findings) -> None:
    """The same processes, at rest, and at work as before."""
    for tier in target.processes:
        if (code := tier.process.poll()) is not None:
            findings.add(f"{tier.module} has ended with {code}")
            continue
        gauge = f"facet_{tier.module.rpartition('.')[2]}_calls_in_progress"
        try:
            eventually(lambda tier=tier, gauge=gauge: metrics_of(tier)[gauge] == 0)  # type: ignore[misc]
        except AssertionError:
            findings.add(f"{tier.module} is not at rest: {metrics_of(tier)[gauge]:.0f} calls in progress")
    try:
        eventually(lambda: entered(target.audit_log) == answered(metrics_of(target.guarded)))
    except AssertionError:
        counts = (
            f"{answered(metrics_of(target.guarded))} picture calls were answered, {entered(target.audit_log)} entered"
        )
        findings.add(f"the audit log is passed by: {counts}")
    headers = {"Authorization": f"Bearer {target.identities.token}"}
    for gateway in (target.open, target.guarded):
        answer = httpx.post(f"{gateway.url}/v1/anonymize", content=files()["JPEG"], headers=headers, timeout=60)
        if answer.status_code != 200:
            findings.add(f"a sound picture is answered {answer.status_code}: {answer.text}")


def read_logs(target: Target, findings: Findings) -> None:
    """An error in a log is a failure, and so is a line that is not of the log: Python's or a library's last words.

    But for what grpc logs where a caller leaves in the moment in which it is answered.
    """
    for tier in target.processes:
        for line in tier.taken_log():
            if line.get("exception") != _CALLER_LEFT and ("text" in line or line.get("level") == "error"):
                findings.add(f"{tier.module} has logged {json.dumps(line)}", _number_of(line))


def _number_of(line: LogLine) -> int | None:
    """Of the request that the line is about."""
    prefix, _, number = str(line.get("request_id", "")).rpartition(REQUEST_ID)
    return int(number) if not prefix and number.isdecimal() else None


def _answered(gateway: RunningTier) -> float:
    return sum(value for name, value in metrics_of(gateway).items() if name.startswith("facet_gateway_calls_total"))


def _resident_mib(target: Target) -> list[float]:
    return [usage_of(tier.process.pid).resident_mib for tier in target.processes]


def say(text: str) -> None:
    """A line, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Reads the options; returns the exit code."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--requests", type=int, default=100_000, help="beside those of schemathesis, a twentieth as many"
    )
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", type=int, help="send the request of this number alone")
    options.add_argument("--only-folder", type=int, help="run on the mutated folder of this number alone")
    given = options.parse_args()
    everything = given.only is None and given.only_folder is None
    by_schema = round(given.requests * SCHEMATHESIS_SHARE) if everything else 0
    first, count = (0, given.requests) if given.only is None else (given.only, 1)
    if given.only_folder is not None:
        count = 0
    folders = range(max(1, round(given.requests * FOLDERS_SHARE)) if everything else 0)
    if given.only_folder is not None:
        folders = range(given.only_folder, given.only_folder + 1)
    folder = Path(tempfile.mkdtemp(prefix="facet-fuzz-"))
    with running_target(folder) as target:
        say(f"{given.requests} requests, seed {given.seed}")
        findings = Findings(folder, given.seed, target)
        started_s = time.monotonic()
        outcomes = attack(target, given.seed, range(first, first + count), findings)
        if folders:
            outcomes += attack_folders(target, given.seed, folders, folder, findings)
        if by_schema:
            outcomes += attack_by_schema(target, given.seed, by_schema, folder, findings)
        judge(target, findings)
        read_logs(target, findings)
        elapsed_s = time.monotonic() - started_s
    for (kind, outcome), times in sorted(outcomes.items()):
        say(f"  {kind:10} {outcome:24} {times:7}")
    say(f"{outcomes.total()} requests in {elapsed_s:.0f} s, seed {given.seed}: {findings.count or 'no'} failures")
    return 1 if findings.count else 0


if __name__ == "__main__":
    sys.exit(main())
