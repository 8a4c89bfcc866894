"""Mutated state of folder runs: what `facet` does with a `.facet` or a journal that somebody changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image
from skimage import data

from cli.batch.seal import Seal
from tests.support.facet_command import FACET
from tests.support.pictures import encode

TIMEOUT_S = 120
LARGEST_MIB = 400.0
_MEASURED = f"""
import os, resource, signal, subprocess, sys
try:
    code = subprocess.run(sys.argv[2:], timeout={TIMEOUT_S}).returncode
except subprocess.TimeoutExpired:
    code = 128 + signal.SIGKILL
with open(sys.argv[1], "w") as file:
    file.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code if code >= 0 else 128 - code)
"""
"""Runs a command out of a small process: what a process was before it became another counts in what it took."""
"""Of a command, whatever lies in the folder."""
CLEAN_EXITS = {0, 1, 3}
_HUGE_BYTES = 1 << 30
_DEPTH = 200_000
_NAMES = ("a.jpg", "sub/b.png")
_FORGED_SIDE_PX = 256


_Files = dict[str, tuple[int, bytes]]
"""By name: mode and content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ended:
    """How a command ended."""

    code: int
    told: str
    peak_mib: float
    """The most memory that it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """One case's folders."""

    root: Path
    state: Path
    """The file with the journal that the run will find."""
    chance: Random

    @property
    def victim(self) -> Path:
        return self.root / "victim"


def _put(path: Path, content: bytes) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _linked(scene: _Scene) -> None:
    _put(scene.state, b"")
    scene.state.unlink()
    target = scene.chance.choice(["victim/thesis.txt", "victim", "victim/made by the link"])
    scene.state.symlink_to(scene.root / target)


def _hard_linked(scene: _Scene) -> None:
    _put(scene.state, b"")
    scene.state.unlink()
    os.link(scene.victim / "thesis.txt", scene.state)


def _endless(scene: _Scene) -> None:
    _put(scene.state, b"")
    scene.state.unlink()
    scene.state.symlink_to("/dev/zero")


def _pipe(scene: _Scene) -> None:
    _put(scene.state, b"")
    scene.state.unlink()
    os.mkfifo(scene.state)


def _folder(scene: _Scene) -> None:
    _put(scene.state, b"")
    scene.state.unlink()
    scene.state.mkdir()


def _truncated(scene: _Scene) -> None:
    content = scene.state.read_bytes()
    _put(scene.state, content[: scene.chance.randrange(len(content) + 1)])


def _flipped(scene: _Scene) -> None:
    content = bytearray(scene.state.read_bytes())
    for _ in range(scene.chance.randint(1, 8)):
        content[scene.chance.randrange(len(content))] ^= 1 << scene.chance.randrange(8)
    _put(scene.state, bytes(content))


def _swapped(scene: _Scene) -> None:
    """Each line's fields under another one's seal."""
    halves = [line.rpartition(b', "seal"') for line in scene.state.read_bytes().splitlines()]
    seals = [seal for _, _, seal in halves][::-1]
    _put(
        scene.state, b"\n".join(body + mark + seal for (body, mark, _), seal in zip(halves, seals, strict=True)) + b"\n"
    )


def _repeated(scene: _Scene) -> None:
    _put(scene.state, scene.state.read_bytes() * 2000)


def _forged(scene: _Scene) -> None:
    """Calls what lies there done: without a seal, with a wrong one, with that of another key."""
    lines = []
    for line in scene.state.read_bytes().splitlines():
        fields = json.loads(line)
        seal = fields.pop("seal", "")
        for folder in ("out", "place"):
            output = scene.root / folder / str(fields.get("output"))
            if output.is_file():
                status = output.stat()
                sha256 = subprocess.run(["sha256sum", output], capture_output=True, check=True).stdout[:64].decode()
                fields |= {"size_bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": sha256}
                fields |= {"inode": status.st_ino, "changed_ns": status.st_ctime_ns}
        older = {name: value for name, value in fields.items() if name not in {"md5", "inode", "changed_ns"}}
        lines += [
            json.dumps(older).encode() + b"\n",
            json.dumps(fields).encode() + b"\n",
            json.dumps({**fields, "seal": seal}).encode() + b"\n",
            Seal(b"another", "folder 0-of-1").sealed(fields),
        ]
    _put(scene.state, b"".join(lines))


def _deep(scene: _Scene) -> None:
    _put(scene.state, scene.state.read_bytes() + b'{"path": ' + b"[" * _DEPTH + b"]" * _DEPTH + b', "seal": "0"}\n')


def _zeros(scene: _Scene) -> None:
    content = scene.state.read_bytes()
    with scene.state.open("wb") as file:
        file.truncate(_HUGE_BYTES)
        file.seek(0, os.SEEK_END)
        file.write(content)


def _wrong_types(scene: _Scene) -> None:
    values = (
        "null",
        "[]",
        "{}",
        "1e999",
        '"\\ud800"',
        "9" * 5000,
        "NaN",
        '{"path": 1}',
        '{"claimed": 5}',
        '{"path": ["a"]}',
    )
    junk = "".join(f"{scene.chance.choice(values)}\n" for _ in range(50))
    _put(scene.state, scene.state.read_bytes() + junk.encode() + scene.chance.randbytes(1000))


def _closed(scene: _Scene) -> None:
    scene.state.chmod(0)


def _parts_linked(scene: _Scene) -> None:
    parts = scene.state.parent / "parts-0-of-1"
    if not os.path.lexists(parts):
        parts.symlink_to(scene.victim)


def _parts_filled(scene: _Scene) -> None:
    parts = scene.state.parent / "parts-0-of-1"
    if not os.path.lexists(parts):
        (parts / "deep").mkdir(parents=True)
        (parts / "link").symlink_to(scene.victim / "thesis.txt")
        os.link(scene.victim / "thesis.txt", parts / "second name")
        os.mkfifo(parts / "pipe")


def _other_journals(scene: _Scene) -> None:
    for name in (
        "journal--1-of-0.jsonl",
        f"journal-{'9' * 100}-of-1.jsonl",
        "journal-٣-of-4.jsonl",
        "journal-1-of-2.jsonl",
    ):
        if scene.state.is_file() and scene.state.stat().st_size < _HUGE_BYTES:
            shutil.copy(scene.state, scene.state.with_name(name))
    (scene.state.parent / "journal-3-of-4.jsonl").symlink_to(scene.victim / "thesis.txt")


def _own_folder_linked(scene: _Scene) -> None:
    if scene.state.parent.name == ".facet":
        shutil.rmtree(scene.state.parent)
        scene.state.parent.symlink_to(scene.victim)


MUTATIONS: tuple[Callable[[_Scene], None], ...] = (
    _forged,
    _linked,
    _hard_linked,
    _endless,
    _pipe,
    _folder,
    _truncated,
    _flipped,
    _swapped,
    _repeated,
    _deep,
    _zeros,
    _wrong_types,
    _closed,
    _parts_linked,
    _parts_filled,
    _other_journals,
    _own_folder_linked,
)
STATES = {
    "out": "out/.facet/journal-0-of-1.jsonl",
    "in place": "place/.facet/journal-0-of-1.jsonl",
    "detect": ".faces.jsonl.facet-journal",
}


class FolderAttack:
    """Runs the command on folders that runs of its own left, mutated, and says what went wrong."""

    def __init__(self, url: str, folder: Path, seed: int) -> None:
        """Lets real runs make the state, with a gateway at `url`."""
        self._url = url
        self._folder = folder
        self._seed = seed
        self._base = folder / "base"
        self._originals = self._make_base()
        self.outcomes: Counter[tuple[str, str]] = Counter()

    def _make_base(self) -> dict[str, bytes]:
        picture = Image.fromarray(data.astronaut()).resize((_FORGED_SIDE_PX, _FORGED_SIDE_PX))
        originals = {name: encode(picture, "PNG" if name.endswith("png") else "JPEG") for name in _NAMES}
        for name, content in originals.items():
            for folder in ("in", "place"):
                _put(self._base / folder / name, content)
        _put(self._base / "in" / "refused.jpg", b"no picture, so that the journal of found faces stays")
        _put(self._base / "victim" / "thesis.txt", b"years")
        _put(self._base / "victim" / "id_ed25519", b"keys")
        for state in STATES:
            ended = self._run(self._base, state)
            if ended.code not in {0, 3}:
                raise AssertionError(f"the first run of {state} ended with {ended.code}: {ended.told}")
        return originals

    def attack(self, numbers: Iterable[int]) -> Iterable[str]:
        """What went wrong, as it happens; the same case again for the same seed and number."""
        for number in numbers:
            chance = Random(f"{self._seed}/folder/{number}")  # noqa: S311  (the same cases every time)
            state = tuple(STATES)[number % len(STATES)]
            root = self._folder / f"case-{number}"
            shutil.copytree(self._base, root, symlinks=True)
            scene = _Scene(root=root, state=root / STATES[state], chance=chance)
            chosen = [MUTATIONS[number // len(STATES) % len(MUTATIONS)]]
            if chance.random() < 0.7:
                self._put_originals_back(root)
            chosen[0](scene)
            victim = _snapshot(scene.victim)
            ended = self._run(root, state)
            wrong = [*_unclean(ended), *self._touched(scene, victim), *self._passed_off(root, state, ended)]
            self.outcomes["folder", f"exit {ended.code}"] += 1
            for each in wrong:
                yield f"folder {number} ({state}, {chosen[0].__name__.strip('_')}): {each}\n{ended.told}"
            if not wrong:
                shutil.rmtree(root)

    def _put_originals_back(self, root: Path) -> None:
        """Where results stand, with the times of the results."""
        for name, content in self._originals.items():
            for folder in ("out", "place"):
                times = (root / folder / name).stat()
                (root / folder / name).write_bytes(content)
                os.utime(root / folder / name, ns=(times.st_atime_ns, times.st_mtime_ns))

    def _run(self, root: Path, state: str) -> _Ended:
        """The command, to its end or killed after a while."""
        commands: dict[str, list[str | Path]] = {
            "out": ["anonymize", root / "in", "-o", root / "out"],
            "in place": ["anonymize", root / "place", "--in-place"],
            "detect": ["detect", root / "in", "-o", root / "faces.jsonl"],
        }
        told = root / "told.txt"
        with told.open("wb") as file:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-c",
                    _MEASURED,
                    root / "peak",
                    FACET,
                    *commands[state],
                    "--report",
                    root / "report.json",
                    "--target",
                    self._url,
                ],
                stdout=file,
                stderr=file,
                env={**os.environ, "XDG_STATE_HOME": str(self._folder / "state")},
            )
            process.wait()
        peak_mib = int((root / "peak").read_text()) / 1024
        return _Ended(code=process.returncode, told=told.read_text(errors="replace"), peak_mib=peak_mib)

    def _touched(self, scene: _Scene, victim: _Files) -> Iterable[str]:
        if _snapshot(scene.victim) != victim:
            yield "files of the user outside of the folder were touched"
        for name, content in self._originals.items():
            if (scene.root / "in" / name).read_bytes() != content:
                yield f"the original {name} was changed"

    def _passed_off(self, root: Path, state: str, ended: _Ended) -> Iterable[str]:
        if ended.code not in {0, 3} or state == "detect":
            return
        report = json.loads((root / "report.json").read_bytes())
        done = {row["path"] for row in report["files"] if row["status"] == "done"}
        for name, content in self._originals.items():
            result = root / ("place" if state == "in place" else "out") / name
            if name in done and (not result.is_file() or result.read_bytes() == content):
                yield f"the original {name} was passed off as done"


def _unclean(ended: _Ended) -> Iterable[str]:
    if ended.code not in CLEAN_EXITS:
        yield f"it ended with {ended.code}"
    if "Traceback" in ended.told:
        yield "it told a traceback"
    if ended.peak_mib > LARGEST_MIB:
        yield f"it took {ended.peak_mib:.0f} MiB"


def _snapshot(folder: Path) -> _Files:
    return {path.name: (path.stat().st_mode, path.read_bytes()) for path in sorted(folder.iterdir())}
