"""A folder through `facet anonymize` beside the same pictures sent straight to the gateway: what files cost.

Run with `make bench-folders`. Both take turns on copies of one 12-megapixel JPEG, with the same number of pictures
under way; a run of the command is compared with the turns before and after it. The command's memory is read all along,
which tells whether it grows.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
from rich.console import Console

from benchmarks.paths import MODEL, TIMEOUT_S, Measured, load, over_rest, twelve_megapixels
from cli.batch.running import default_in_flight
from tests.support.processes import Stack

SAMPLE_S = 0.1


def resident_mib(pid: int) -> float:
    """Memory of a process that is its own; 0 once it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS")), 0)


def through_command(folder: Path, out: Path, url: str) -> tuple[float, list[float]]:
    """Pictures a second from the first that is written to the last, and the memory over the run, MiB."""
    process = subprocess.Popen(
        [Path(sys.executable).parent / "facet", "anonymize", folder, "-o", out, "--target", url],
        stderr=subprocess.PIPE,
    )
    memory: list[float] = []

    def watch() -> None:
        while process.poll() is None:
            memory.append(resident_mib(process.pid))
            time.sleep(SAMPLE_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, said = process.communicate()
    watcher.join()
    if process.returncode:
        raise SystemExit(said.decode())
    seconds = float(said.decode().splitlines()[0].split(" in ")[-1].split()[0])
    return len(list(folder.iterdir())) / seconds, [mib for mib in memory if mib]


def main() -> None:
    """Measures and prints both, their ratio and the memory."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3, help="how often both take turns (default 3)")
    parser.add_argument("--pictures", type=int, default=120, help="pictures a round and way (default 120)")
    arguments = parser.parse_args()
    content, clients = twelve_megapixels(), default_in_flight()
    stack = Stack(FACET_DETECTOR_MODEL=MODEL)
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    straight, command = Measured(), []
    with (
        tempfile.TemporaryDirectory() as place,
        httpx.Client(timeout=TIMEOUT_S, limits=limits, trust_env=False) as client,
    ):
        folder = Path(place) / "in"
        folder.mkdir()
        for index in range(arguments.pictures):
            (folder / f"{index:04}.jpg").write_bytes(content)
        work = over_rest(content, stack, client)
        load(work, clients=2, pictures=4, into=Measured())
        load(work, clients=clients, pictures=arguments.pictures, into=straight)
        for index in range(arguments.rounds):
            command.append(through_command(folder, Path(place) / f"out-{index}", stack.gateway.url))
            load(work, clients=clients, pictures=arguments.pictures, into=straight)
    stack.stop()

    rest = straight.pictures_per_second
    shares = [rate / statistics.mean(rest[at : at + 2]) for at, (rate, _) in enumerate(command)]
    console = Console(width=100)
    console.print(f"{arguments.pictures} JPEGs of {len(content) / 1e6:.1f} MB, {clients} under way")
    console.print(f"straight to the gateway   {statistics.median(rest):.2f} pictures/s")
    files = statistics.median(rate for rate, _ in command)
    told = ", ".join(f"{share:.0%}" for share in shares)
    console.print(
        f"facet anonymize FOLDER    {files:.2f} pictures/s: {statistics.median(shares):.0%} (each time: {told})"
    )
    for _, memory in command:
        quarters = [memory[at * len(memory) // 4 : (at + 1) * len(memory) // 4] for at in range(4)]
        told = ", ".join(f"{statistics.median(quarter):.0f} ({max(quarter):.0f})" for quarter in quarters)
        console.print(f"memory of the command     {told} MiB: median and most of each quarter of a run")


if __name__ == "__main__":
    main()
