"""The checks catch what they are for: mistakes planted in the real manifests, one at a time."""

from __future__ import annotations

import pytest

from tests.k8s.checks import CHECKS, findings
from tests.k8s.mistakes import MISTAKES, Mistake, planted
from tests.k8s.rendering import COMPONENTS, render

EVERYTHING = ("prod-cpu", frozenset(COMPONENTS))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_planted_mistake_is_caught(mistake: Mistake) -> None:
    manifests = planted(mistake, render(*EVERYTHING))

    assert any(mistake.says in str(finding) for finding in mistake.caught_by(manifests))
    assert findings(manifests)  # and no other check stumbles over it


def test_the_same_manifests_without_a_mistake_pass() -> None:
    assert not findings(render(*EVERYTHING))


def test_every_check_is_proved_by_a_planted_mistake() -> None:
    assert {check.__name__ for check in CHECKS} == {mistake.caught_by.__name__ for mistake in MISTAKES}
