"""A fleet to hurt, what it answers unhurt, and the table of what happened."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from PIL import Image

from services.chassis.models.store import ModelState, ModelStore
from services.chassis.process.settings import ModelSettings
from tests.faults.callers import Callers
from tests.faults.questions import Questions, examined
from tests.faults.table import PROPERTY, Tell, lines, row
from tests.scaling.dns import DNSMASQ
from tests.scaling.fleet import Fleet

REPLICAS = 2


@pytest.fixture(scope="session")
def fleet() -> Iterator[Fleet]:
    """Two replicas of each tier and a gateway; each test leaves as many, of which none is hurt."""
    if not shutil.which(DNSMASQ):
        pytest.skip("needs dnsmasq: `apt-get install dnsmasq-base`")
    for name in ("blazeface-full", "mobilefacenet"):
        if ModelStore(ModelSettings()).state(name) is not ModelState.INSTALLED:
            pytest.skip(f"needs the weights of {name}: run `facet models pull {name}`")
    with Fleet(replicas=REPLICAS, gateways=1) as running:
        yield running


@pytest.fixture(scope="session")
def questions(fleet: Fleet, astronaut: Image.Image) -> Questions:
    """With the answers of the unhurt fleet."""
    return asyncio.run(examined(fleet.members["gateway"][0].url, astronaut))


@pytest.fixture
def as_root() -> None:
    """For what only root may do."""
    if os.geteuid() != 0:
        pytest.skip("needs root: to make a network namespace or to mount a small disk")


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Records a row of the table."""

    def tell(fault: str, callers: Callers, *, since_s: float, back_s: float) -> None:
        record_property(PROPERTY, row(fault, callers, since_s=since_s, back_s=back_s))

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the table."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    rows = [value for report in reports for name, value in report.user_properties if name == PROPERTY]
    if rows:
        terminalreporter.section("faults")
        for line in lines(rows):
            terminalreporter.write_line(line)
