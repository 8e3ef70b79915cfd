"""What the alert rules and the dashboard ask of Prometheus, taken apart by a parser of its language."""

import json
import runpy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
DASHBOARD = MONITORING / "grafana-dashboard.json"
GENERATOR = MONITORING / "make_dashboard.py"

#: What Prometheus itself puts on each series, and what a histogram's buckets have.
LABELS_OF_ALL = frozenset({"job", "instance", "le"})
#: Metrics that Prometheus makes of every target.
METRICS_OF_ALL = frozenset({"up"})


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on a label; ``values`` are those that it names, which of a pattern are its alternatives."""

    label: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """One expression: where it stands, the series it selects, and the labels it groups or joins by."""

    where: str
    text: str
    selected: tuple[tuple[str, tuple[Matcher, ...]], ...]
    grouped_by: frozenset[str]


def rules() -> Iterator[dict[str, Any]]:
    text = (MONITORING / "alerts.rules.yml").read_text(encoding="utf-8")
    for group in yaml.safe_load(text)["groups"]:
        yield from group["rules"]


def rendered_dashboard() -> str:
    text: str = runpy.run_path(str(GENERATOR))["render"]()
    return text


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression with where it stands; Grafana's own variables are filled in."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"].replace("$__rate_interval", "5m").replace("$__interval", "1m")
            yield f"{panel['title']} {target['refId']}", expression


def take_apart(where: str, text: str) -> Asked:
    """Raises ValueError for what is no PromQL."""
    selected: list[tuple[str, tuple[Matcher, ...]]] = []
    grouped: set[str] = set()

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            matchers = tuple(Matcher(one.name, tuple(one.value.split("|"))) for one in node.matchers.matchers)
            selected.append((node.name or "", matchers))
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            grouped.update(node.modifier.labels)
        elif isinstance(node, promql_parser.BinaryExpr) and node.modifier is not None:
            grouped.update(node.modifier.matching.labels if node.modifier.matching else ())
            grouped.update(node.modifier.group_labels or ())

    promql_parser.walk(promql_parser.parse(text), pre_visit=visit)
    return Asked(where, text, tuple(selected), frozenset(grouped))
