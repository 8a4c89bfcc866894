"""Alerts, dashboard and autoscaling ask for what the tiers export, and each alert fires where it must."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.k8s.manifests import TIERS
from tests.k8s.prometheus import alerts, all_queries, complaints, metrics_in, panels
from tests.support.processes import REPOSITORY, RunningTier, start

TESTS_OF_ALERTS = Path(__file__).with_name("alerts.yaml")
RUNBOOK = REPOSITORY / "k8s/README.md"
COLUMNS = 24  # of Grafana's grid
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}


@pytest.fixture(scope="module")
def scrapes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What each tier exports as soon as it listens. None has weights, so nothing need be downloaded."""
    with ExitStack() as running:

        def started(tier: str) -> RunningTier:
            process = start(tier, FACET_MODELS_DIR=str(tmp_path_factory.getbasetemp()))
            running.callback(process.stop)
            return process

        yield {tier: _scrape(started(tier)) for tier in TIERS}


@pytest.fixture(scope="module")
def exported(scrapes: dict[str, str]) -> set[str]:
    """The names of all samples that any tier exports, those too that only a call brings."""
    families = (family for text in scrapes.values() for family in text_string_to_metric_families(text))
    return {family.name + suffix for family in families for suffix in SUFFIXES.get(family.type, ("",))}


@pytest.mark.parametrize("tier", TIERS)
def test_metrics_of_a_tier_follow_the_rules_of_prometheus(scrapes: dict[str, str], tier: str) -> None:
    assert complaints("check", "metrics", text=scrapes[tier]) == ""


@pytest.mark.parametrize("where", all_queries())
def test_query_asks_for_metrics_that_exist(exported: set[str], where: str) -> None:
    asked = metrics_in(all_queries()[where])

    assert asked
    assert asked - exported - {"up"} == set()


def test_names_of_metrics_are_found_in_queries() -> None:
    query = 'sum by (le) (rate({__name__=~"facet_(a|b)_c", code="x"}[5m])) / on (pod) process_x < up{tier="facet_d"}'

    assert metrics_in(query) == {"facet_a_c", "facet_b_c", "process_x", "up"}


def test_prometheus_can_read_every_query(tmp_path: Path) -> None:
    recorded = [{"record": f"query_{index}", "expr": query} for index, query in enumerate(all_queries().values())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": recorded}]}))

    assert complaints("check", "rules", str(file)) == ""


def test_alerts_fire_where_they_must_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "facet", "rules": alerts()}]}))
    shutil.copy(TESTS_OF_ALERTS, tmp_path)

    assert complaints("test", "rules", str(tmp_path / TESTS_OF_ALERTS.name)) == ""


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_alert_is_tested_and_says_how_bad_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert f'alertname="{alert["alert"]}"' in TESTS_OF_ALERTS.read_text()
    assert re.search("critical|warning", alert["labels"]["severity"])
    assert alert["annotations"].keys() == {"summary", "description", "runbook"}
    file, _, heading = alert["annotations"]["runbook"].partition("#")
    assert REPOSITORY / file == RUNBOOK
    assert heading in _anchors(RUNBOOK.read_text())


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["type"] == "row" or (panel["description"] and panel["fieldConfig"]["defaults"]["unit"])


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        cells = {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
        assert columns.stop <= COLUMNS
        assert not cells & taken, panel["title"]
        taken |= cells


def _scrape(tier: RunningTier) -> str:
    with urlopen(f"http://127.0.0.1:{tier.metrics_port}/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def _anchors(page: str) -> set[str]:
    """What links to a page's headings end with."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
