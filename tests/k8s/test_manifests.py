"""Every overlay, with and without every component, is without a finding."""

from __future__ import annotations

import pytest

from tests.k8s.checks import findings
from tests.k8s.rendering import COMPONENTS, OVERLAYS, included, render


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_has_no_mistake(overlay: str) -> None:
    assert not list(map(str, findings(render(overlay, included(overlay)))))


@pytest.mark.parametrize("component", COMPONENTS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_has_no_mistake_with_a_component_added_or_left_out(overlay: str, component: str) -> None:
    components = included(overlay) ^ {component}

    assert not list(map(str, findings(render(overlay, components))))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_has_no_mistake_with_all_components(overlay: str) -> None:
    assert not list(map(str, findings(render(overlay, frozenset(COMPONENTS)))))
