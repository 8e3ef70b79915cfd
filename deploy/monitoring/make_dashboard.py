"""Write grafana-dashboard.json: ``python deploy/monitoring/make_dashboard.py``.

The panels stand here as a few words each, because nobody can read or review what Grafana makes of them.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

OUTPUT = Path(__file__).with_name("grafana-dashboard.json")

_SOURCE = {"type": "prometheus", "uid": "${source}"}
_WIDTH, _HEIGHT = 24, 7


class Panel(NamedTuple):
    """``queries`` are (PromQL, legend); ``unit`` is Grafana's name of one."""

    title: str
    unit: str
    queries: Sequence[tuple[str, str]]
    kind: str = "timeseries"


def _rate(metric: str, by: str, where: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{where}[$__rate_interval]))"


def _quantile(share: str, metric: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[$__rate_interval])))"


ROWS: Sequence[tuple[str, Sequence[Panel]]] = (
    (
        "Does it work?",
        (
            Panel(
                "Age of what shops see",
                "s",
                [("max by (feed) (diamond_feed_age_seconds)", "{{feed}}")],
                "stat",
            ),
            Panel("Stones on sale", "short", [("max by (feed) (diamond_stones_active)", "{{feed}}")], "stat"),
            Panel(
                "Newest run",
                "short",
                [("max by (feed, state) (diamond_run_state) == 1", "{{feed}} {{state}}")],
                "stat",
            ),
            Panel(
                "Open incidents",
                "short",
                [("max by (event, severity) (diamond_incidents_open)", "{{event}} ({{severity}})")],
                "stat",
            ),
        ),
    ),
    (
        "Reading",
        (
            Panel(
                "Throughput",
                "short",
                [
                    (_rate("diamond_stones_read_total", "feed"), "{{feed}} stones read"),
                    (_rate("diamond_raw_rows_stored_total", "feed, change"), "{{feed}} {{change}}"),
                    (_rate("diamond_stones_consolidated_total", "feed"), "{{feed}} consolidated"),
                ],
            ),
            Panel(
                "Partitions by how they ended",
                "short",
                [
                    (
                        "sum by (outcome) (increase(diamond_partition_seconds_count[$__interval]))",
                        "{{outcome}}",
                    )
                ],
            ),
            Panel(
                "Time of a partition",
                "s",
                [(_quantile(share, "diamond_partition_seconds"), share) for share in ("0.5", "0.95")],
            ),
            Panel(
                "Pages, unreadable items, takeovers",
                "short",
                [
                    (_rate("diamond_pages_read_total", "feed"), "{{feed}} pages a second"),
                    (
                        "sum by (feed) (increase(diamond_items_unreadable_total[$__interval]))",
                        "{{feed}} unreadable",
                    ),
                    (
                        "sum by (feed) (increase(diamond_lease_recoveries_total[$__interval]))",
                        "{{feed}} taken over",
                    ),
                ],
            ),
        ),
    ),
    (
        "Supplier",
        (
            Panel(
                "Requests", "reqps", [(_rate("diamond_supplier_requests_total", "outcome"), "{{outcome}}")]
            ),
            Panel(
                "Answer time, slowest twentieth",
                "s",
                [(_quantile("0.95", "diamond_supplier_request_seconds", "operation"), "{{operation}}")],
            ),
            Panel(
                "Budget",
                "reqps",
                [
                    ("max(diamond_supplier_budget_requests_per_second)", "allowed"),
                    (_rate("diamond_supplier_requests_total", "feed"), "{{feed}} asked"),
                ],
            ),
            Panel(
                "Waiting for the budget",
                "s",
                [
                    (_quantile("0.5", "diamond_supplier_budget_wait_seconds"), "a slot, half of them"),
                    (_quantile("0.95", "diamond_supplier_budget_wait_seconds"), "a slot, slowest twentieth"),
                    ("max(diamond_supplier_budget_pause_seconds)", "the end of a pause"),
                ],
            ),
            Panel(
                "State",
                "short",
                [("max by (feed, state) (diamond_supplier_state) == 1", "{{feed}} {{state}}")],
            ),
        ),
    ),
    (
        "Consolidation and prices",
        (
            Panel(
                "Time of a batch",
                "s",
                [
                    (_quantile(share, "diamond_consolidation_batch_seconds"), share)
                    for share in ("0.5", "0.95")
                ],
            ),
            Panel(
                "Chosen batch size and concurrency",
                "short",
                [
                    ("max by (instance) (diamond_consolidator_batch_size)", "{{instance}} stones"),
                    ("max by (instance) (diamond_consolidator_concurrency)", "{{instance}} at once"),
                ],
            ),
            Panel(
                "Rejected, by the part that was refused",
                "short",
                [("sum by (reason) (increase(diamond_stones_rejected_total[$__interval]))", "{{reason}}")],
            ),
            Panel(
                "Priced by a rule of their own",
                "percentunit",
                [
                    (
                        'sum by (feed) (increase(diamond_stones_priced_total{rule="other"}[1h])) '
                        "/ sum by (feed) (increase(diamond_stones_priced_total[1h]))",
                        "{{feed}}",
                    )
                ],
            ),
        ),
    ),
    (
        "Queues and runs",
        (
            Panel(
                "Messages",
                "short",
                [("max by (queue, state) (diamond_queue_messages)", "{{queue}} {{state}}")],
            ),
            Panel(
                "Oldest message",
                "s",
                [("max by (queue) (diamond_queue_oldest_message_age_seconds)", "{{queue}}")],
            ),
            Panel("Dead letters", "short", [("max by (queue) (diamond_queue_dead_letters)", "{{queue}}")]),
            Panel(
                "Runs",
                "s",
                [
                    ("max by (feed) (diamond_run_age_seconds)", "{{feed}} since the newest was planned"),
                    (
                        "max by (feed) (diamond_full_run_age_seconds)",
                        "{{feed}} since the last complete full one",
                    ),
                    (
                        "max by (feed, run_type) (diamond_runs_unsuccessful)",
                        "{{feed}} {{run_type}} failed in a row",
                    ),
                ],
            ),
        ),
    ),
    (
        "API",
        (
            Panel(
                "Requests", "reqps", [(_rate("diamond_api_request_seconds_count", "status"), "{{status}}")]
            ),
            Panel(
                "Slowest hundredth by route",
                "s",
                [(_quantile("0.99", "diamond_api_request_seconds", "route"), "{{route}}")],
            ),
            Panel(
                "In flight", "short", [("sum by (instance) (diamond_api_requests_in_flight)", "{{instance}}")]
            ),
            Panel(
                "Answered from what is remembered",
                "percentunit",
                [
                    (
                        'sum by (cache) (rate(diamond_cache_requests_total{outcome="hit"}[$__rate_interval])) '
                        "/ sum by (cache) (rate(diamond_cache_requests_total[$__rate_interval]))",
                        "{{cache}}",
                    )
                ],
            ),
        ),
    ),
    (
        "Database and processes",
        (
            Panel(
                "Connections",
                "short",
                [
                    (
                        'sum by (instance, pool) (diamond_pool_connections{state="in_use"})',
                        "{{instance}} {{pool}}",
                    ),
                    (
                        "max by (instance, pool) (diamond_pool_max_connections)",
                        "{{instance}} {{pool}} at most",
                    ),
                ],
            ),
            Panel(
                "Waiting for a connection",
                "s",
                [
                    (
                        _rate("diamond_pool_wait_seconds_total", "instance, pool"),
                        "{{instance}} {{pool}} seconds a second",
                    ),
                    (_rate("diamond_pool_requests_total", "instance, pool"), "{{instance}} {{pool}} asked"),
                    (_rate("diamond_pool_refused_total", "instance, pool"), "{{instance}} {{pool}} refused"),
                ],
            ),
            Panel(
                "Database",
                "bytes",
                [("max(diamond_database_size_bytes)", "size"), ("min(diamond_database_up)", "up")],
            ),
            Panel(
                "Memory",
                "bytes",
                [
                    (
                        "process_resident_memory_bytes * on (instance) group_left (service) diamond_process_info",
                        "{{instance}} {{service}}",
                    )
                ],
            ),
            Panel(
                "Processor",
                "percentunit",
                [("sum by (instance) (rate(process_cpu_seconds_total[$__rate_interval]))", "{{instance}}")],
            ),
            Panel("Since the last upkeep", "s", [("max by (task) (diamond_upkeep_age_seconds)", "{{task}}")]),
            Panel(
                "Alerts that are not delivered", "short", [("max(diamond_alerts_undelivered)", "messages")]
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana 10 and newer import it; the source of the data is asked for."""
    return {
        "title": "Diamond Opus",
        "uid": "diamond-opus",
        "schemaVersion": 39,
        "tags": ["diamond-opus"],
        "time": {"from": "now-24h", "to": "now"},
        "refresh": "1m",
        "templating": {
            "list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "panels": list(_panels()),
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for title, panels in ROWS:
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1},
        }
        y += 1
        for at, panel in enumerate(panels):
            number += 1
            x = at % 4 * (_WIDTH // 4)
            yield _panel(number, panel, {"x": x, "y": y + at // 4 * _HEIGHT, "w": _WIDTH // 4, "h": _HEIGHT})
        y += -(-len(panels) // 4) * _HEIGHT


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + at), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for at, (query, legend) in enumerate(panel.queries)
        ],
    }


def render() -> str:
    return json.dumps(dashboard(), indent=2) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{OUTPUT}\n")
