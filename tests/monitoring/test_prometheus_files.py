"""The alert rules and the dashboard are sane, and name only what real processes show when they are scraped."""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_names import (
    DASHBOARD,
    LABELS_OF_ALL,
    METRICS_OF_ALL,
    MONITORING,
    Asked,
    expressions,
    rendered_dashboard,
    rules,
    take_apart,
)

from diamond_opus.db.pool import Pool
from diamond_opus.feeds.budget import account_key
from diamond_opus.keys.api_keys import create_key
from diamond_opus.observability.collectors import Named
from diamond_opus.observability.metrics import DESCRIPTIONS
from diamond_opus.room_settings import SIMULATOR_ACCOUNT
from diamond_opus.simulator.server import Simulator, SimulatorSettings
from free_ports import take_port
from pipeline_processes import Processes, newest_run

#: By metric, as it stands in a scrape: by label, the values seen.
Shown = Mapping[str, Mapping[str, set[str]]]


def test_the_committed_dashboard_is_what_its_generator_makes() -> None:
    assert DASHBOARD.read_text(encoding="utf-8") == rendered_dashboard()


@pytest.mark.parametrize(("where", "text"), [pytest.param(*one, id=one[0]) for one in expressions()])
def test_every_expression_is_promql(where: str, text: str) -> None:
    assert take_apart(where, text).selected


def test_what_is_no_promql_would_be_noticed() -> None:
    for wrong in ("sum by (feed (x)", "rate(x)", "x{a=}", "nothing(x)"):
        with pytest.raises(ValueError, match=r"\w"):
            take_apart("here", wrong)


def test_every_rule_says_what_happened_what_to_do_and_how_bad_it_is() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) > 15
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert re.fullmatch(r"Diamond([A-Z][a-z]+)+", rule["alert"])
        assert rule["labels"]["severity"] in ("warning", "error", "critical"), rule["alert"]
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
        asked = take_apart(rule["alert"], rule["expr"])
        told = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert told <= asked.grouped_by | LABELS_OF_ALL, rule["alert"]


def test_the_scrape_configuration_loads_the_rules_and_calls_the_job_as_they_do() -> None:
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    assert all((MONITORING / name).is_file() for name in config["rule_files"])
    [job] = config["scrape_configs"]
    asked = [take_apart(rule["alert"], rule["expr"]) for rule in rules()]
    named = {
        value
        for one in asked
        for _, matchers in one.selected
        for matcher in matchers
        if matcher.label == "job"
        for value in matcher.values
    }
    assert named == {job["job_name"]}


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    asked = {name for where, text in expressions() for name, _ in take_apart(where, text).selected}
    bases = {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked}
    assert set(DESCRIPTIONS) - bases == set()


@pytest.mark.long  # four processes and a whole run
async def test_rules_and_dashboard_name_only_what_a_live_scrape_shows(
    pool: Pool, database_url: str, tmp_path: Path
) -> None:
    ports = {name: take_port() for name in ("worker", "consolidator", "api")}
    async with operated(pool, database_url, tmp_path, ports, take_port()):
        shown = await scrape(*(f"http://127.0.0.1:{port}/metrics" for port in ports.values()))

    assert set(DESCRIPTIONS) - {re.sub(r"_(bucket|count|sum)$", "", name) for name in shown} == set()
    problems = [
        problem for where, text in expressions() for problem in contradictions(take_apart(where, text), shown)
    ]
    assert problems == []


def contradictions(asked: Asked, shown: Shown) -> list[str]:
    """What the expression names that the scrape does not show: metrics, labels, and values outside bounded sets."""
    problems = []
    labels = set(LABELS_OF_ALL)
    for metric, matchers in asked.selected:
        if metric in METRICS_OF_ALL:
            continue
        if metric not in shown:
            problems.append(f"{asked.where}: no process shows {metric}")
            continue
        labels |= set(shown[metric])
        for matcher in matchers:
            if matcher.label not in shown[metric]:
                problems.append(f"{asked.where}: {metric} has no label {matcher.label}")
            possible = possible_values(metric, matcher.label) | shown[metric].get(matcher.label, set())
            problems += [
                f"{asked.where}: {metric} never has {matcher.label}={value!r}"
                for value in matcher.values
                if value not in possible
            ]
    problems += [f"{asked.where}: nothing has the label {label}" for label in asked.grouped_by - labels]
    return problems


def possible_values(metric: str, label: str) -> set[str]:
    described = DESCRIPTIONS.get(metric) or DESCRIPTIONS.get(re.sub(r"_(bucket|count|sum)$", "", metric))
    values = described.labels.get(label) if described else None
    return set(re.findall(r"[\w-]+", values.words) if isinstance(values, Named) else values or ())


async def scrape(*addresses: str) -> Shown:
    shown: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    async with aiohttp.ClientSession() as http:
        for address in addresses:
            async with http.get(address) as answer:
                assert answer.status == 200
                text = await answer.text()
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    for label, value in sample.labels.items():
                        shown[sample.name][label].add(value)
                    shown[sample.name]
    return shown


@asynccontextmanager
async def operated(
    pool: Pool, url: str, folder: Path, ports: Mapping[str, int], api_port: int
) -> AsyncIterator[None]:
    """A worker, a consolidator and an API that have made a whole run and answered; all that is told is there."""
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(
            Simulator(SimulatorSettings(stones=420, hostile_share=0.1))
        )
        # With a budget, or nothing would be told of one; fast from the start.
        settings = {"nivoda_max_requests_per_second": 1000, "port": api_port}
        account = account_key(simulator.url, SIMULATOR_ACCOUNT[0])
        await execute(
            pool, f"INSERT INTO request_budget VALUES ('{account}', 1000, now(), NULL, NULL, now())"
        )
        processes = {
            name: await stack.enter_async_context(
                Processes(url, simulator, folder, monitoring_port=port, **settings)
            )
            for name, port in ports.items()
        }
        assert await processes["worker"].run("schedule") == 0
        for name, place in processes.items():
            await place.start(name)
        async with aiohttp.ClientSession() as http:
            await until(lambda: has_completed(pool))
            await until(lambda: answers(http, f"http://127.0.0.1:{api_port}/ready"))
            headers = await key(pool)
            for path in ("diamonds", "diamonds/facets", "analytics/summary", "nothing"):
                await answers(http, f"http://127.0.0.1:{api_port}/api/v2/{path}", headers)
            await execute(pool, _TROUBLE)
            await until(
                lambda: answers(
                    http, f"http://127.0.0.1:{ports['api']}/metrics", says="diamond_stones_active{"
                )
            )
        yield


#: What a run that goes well does not leave behind.
_TROUBLE = """
    INSERT INTO supplier_health (feed, state, since, seen_at) VALUES ('nivoda', 'answering', now(), now())
    ON CONFLICT DO NOTHING;
    INSERT INTO incidents (event, severity, title, text) VALUES ('dead_letters', 'error', '', '');
    INSERT INTO upkeep (task, started_at, completed_at) VALUES ('backup', now(), now())
"""


async def execute(pool: Pool, statement: str) -> None:
    async with pool.connection() as conn:
        await conn.execute(statement.encode())


async def key(pool: Pool) -> dict[str, str]:
    now = datetime.now(UTC)
    async with pool.connection() as conn:
        text, _ = await create_key(conn, name="test", permissions=["admin"], actor="test", now=now)
    return {"X-API-Key": text}


async def has_completed(pool: Pool) -> bool:
    return bool((await newest_run(pool))["state"] == "completed")


async def answers(
    http: aiohttp.ClientSession, address: str, headers: Mapping[str, str] | None = None, *, says: str = ""
) -> bool:
    try:
        async with http.get(address, headers=headers) as answer:
            return answer.status == 200 and says in await answer.text()
    except aiohttp.ClientError:
        return False


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Other processes do it, and a busy machine takes its time."""
    async with asyncio.timeout(60):
        while not await is_so():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.2)
