"""The images as they run: restricted, writing nothing, stopping in order."""

from __future__ import annotations

from urllib.request import Request, urlopen

import pytest

from tests.images.building import image_of
from tests.images.conftest import RunningImage, is_ready
from tests.images.manifests import TIERS
from tests.images.podman import RESTRICTED, USER, podman

STOP_S = 60


@pytest.mark.parametrize("tier", TIERS)
def test_every_tier_is_ready_under_kubernetes_restrictions(tier: str, running: dict[str, RunningImage]) -> None:
    image = running[tier]
    held_mb = image.container.memory_bytes() / 1e6
    print(f"\n{tier:<10} ready after {image.ready_after_s:4.1f} s, holds {held_mb:4.0f} MB at rest")  # noqa: T201

    assert is_ready(tier, image.target)


@pytest.mark.parametrize("tier", TIERS)
def test_the_process_has_no_rights(tier: str, running: dict[str, RunningImage]) -> None:
    process = running[tier].container.process

    assert set(process["Uid"].split()) == {str(USER)}
    assert set(process["Gid"].split()) == {str(USER)}
    assert int(process["CapEff"], 16) == 0
    assert process["NoNewPrivs"] == "1"


def test_a_picture_is_anonymized_through_all_containers(
    running: dict[str, RunningImage], astronaut_jpeg: bytes
) -> None:
    url = f"http://{running['gateway'].target}/v1/anonymize?verify=true"
    request = Request(url, data=astronaut_jpeg, headers={"Content-Type": "image/jpeg"})
    with urlopen(request, timeout=60) as answer:  # noqa: S310
        hidden = answer.read()

    assert answer.headers["X-Facet-Faces"] == "1"
    assert answer.headers["X-Facet-Check"].endswith("identity=compared")  # the embedder took part
    assert hidden.startswith(b"\xff\xd8")
    assert hidden != astronaut_jpeg


@pytest.mark.parametrize("tier", TIERS)
def test_metrics_are_served(tier: str, running: dict[str, RunningImage]) -> None:
    with urlopen(f"http://{running[tier].container.address}:9090/metrics", timeout=5) as answer:
        assert f"facet_{tier}_".encode() in answer.read()


@pytest.mark.parametrize("tier", TIERS)
def test_nothing_was_written(tier: str, running: dict[str, RunningImage], untouched: dict[str, list[str]]) -> None:
    container = running[tier].container

    assert container.changes() == untouched[tier]
    assert list((container.root / "dev/shm").iterdir()) == []


@pytest.mark.parametrize("tier", TIERS[::-1])
def test_sigterm_ends_a_tier_in_order(tier: str, running: dict[str, RunningImage]) -> None:
    container = running[tier].container
    podman("stop", "--time", str(STOP_S), container.name)

    assert container.state["ExitCode"] == 0
    events = container.logged()
    assert events.index('"draining"') < events.index('"stopped"')


@pytest.fixture(scope="module")
def untouched(running: dict[str, RunningImage]) -> dict[str, list[str]]:
    """What podman itself changes in a container of each image, such as the folders that it mounts files into."""
    changes = {}
    for tier in running:
        name = podman("run", "--detach", *RESTRICTED, "--entrypoint", "true", image_of(tier)).strip()
        podman("wait", name)
        changes[tier] = podman("diff", name).splitlines()
        podman("rm", name)
    return changes
