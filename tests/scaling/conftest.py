"""A fleet, traffic to it, and the table of what was measured."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator

import pytest
from PIL import Image

from services.chassis.models.store import ModelState, ModelStore
from services.chassis.process.settings import ModelSettings
from tests.scaling.dns import DNSMASQ
from tests.scaling.fleet import Fleet

PICTURE_PX = 256


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """Three replicas of each tier and two gateways; each test leaves as many, of which none is hurt."""
    if not shutil.which(DNSMASQ):
        pytest.skip("needs dnsmasq: `apt-get install dnsmasq-base`")
    if ModelStore(ModelSettings()).state("mobilefacenet") is not ModelState.INSTALLED:
        pytest.skip("needs the weights of mobilefacenet: run `facet models pull mobilefacenet`")
    with Fleet() as running:
        yield running


@pytest.fixture(scope="session")
def picture(astronaut: Image.Image) -> bytes:
    """A small JPEG with one face: many requests a second, which is what is asked of them here."""
    file = io.BytesIO()
    astronaut.resize((PICTURE_PX, PICTURE_PX)).save(file, "JPEG", quality=90)
    return file.getvalue()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what the tests have recorded."""
    measured = [
        property_
        for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
        for property_ in report.user_properties
    ]
    if measured:
        terminalreporter.section("measured")
        width = max(len(what) for what, _ in measured)
        for what, value in measured:
            terminalreporter.write_line(f"{what:{width}}  {value}")
