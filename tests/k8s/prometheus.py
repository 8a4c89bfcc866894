"""What is asked of Prometheus by alerts, dashboard and autoscaling; and promtool, which knows whether it can be."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.support.processes import REPOSITORY

MONITORING = REPOSITORY / "k8s/components/monitoring"
AUTOSCALING = REPOSITORY / "k8s/components/autoscaling"

# What Grafana and prometheus-adapter put in before Prometheus sees a query.
_PLACEHOLDERS = {
    "$__rate_interval": "5m",
    "<<.LabelMatchers>>": 'namespace="facet"',
    "<<.GroupBy>>": "pod",
}


def alerts() -> list[dict[str, Any]]:
    """The alerts."""
    [group] = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def panels() -> list[dict[str, Any]]:
    """The dashboard's panels, rows among them."""
    content: list[dict[str, Any]] = json.loads((MONITORING / "dashboards/facet.json").read_text())["panels"]
    return content


def adapter_queries() -> dict[str, str]:
    """What prometheus-adapter asks when the autoscaler wants a measure, by the measure's name."""
    values = yaml.safe_load((AUTOSCALING / "prometheus-adapter-values.yaml").read_text())
    return {rule["name"]["as"]: _filled_in(rule["metricsQuery"]) for rule in values["rules"]["custom"]}


def all_queries() -> dict[str, str]:
    """Every query, as Prometheus gets it, by where it stands."""
    return {
        **{f"alert {alert['alert']}": alert["expr"] for alert in alerts()},
        **{
            f"panel {panel['title']} ({panel['id']}{target['refId']})": _filled_in(target["expr"])
            for panel in panels()
            for target in panel.get("targets", [])
        },
        **{f"measure {name}": query for name, query in adapter_queries().items()},
    }


def metrics_in(query: str) -> set[str]:
    """The names of the metrics that a query asks for, `{__name__=~"facet_(a|b)_c"}` spelt out."""
    names = set()
    for before, alternatives, after in re.findall(r'__name__=~"(\w*)\(([\w|]+)\)(\w*)"', query):
        names |= {before + alternative + after for alternative in alternatives.split("|")}
    without_texts = re.sub(r'"[^"]*"', '""', query)
    return names | set(re.findall(r"\w+(?=\{)|\b(?:facet|process)_\w+", without_texts))


def complaints(*arguments: str, text: str = "") -> str:
    """What `promtool` says against what it is given; nothing where all is well."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("needs promtool, which Debian has in its package `prometheus`")
    done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _filled_in(query: str) -> str:
    for placeholder, value in _PLACEHOLDERS.items():
        query = query.replace(placeholder, value)
    return query
