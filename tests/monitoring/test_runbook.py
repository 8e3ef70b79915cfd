"""Each alert is provoked, told once, mended as docs/runbook.md says, and its end is told once.

A provider stands at the other end: a real HTTP server that gets what a channel sends.
"""

import asyncio
import json
import os
import re
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from alert_parts import deliverer, eventually, rows
from alert_receiver import Receiver
from diamond_opus.alerts.channels import channels_of
from diamond_opus.alerts.incidents import list_open, resolve_incident
from diamond_opus.alerts.raised import IncidentAlerts
from diamond_opus.consolidate.acceptance import accept_removals
from diamond_opus.consolidate.replay import replay_rejected
from diamond_opus.db.pool import Pool, open_pool
from diamond_opus.domain.clock import ManualClock, SystemClock
from diamond_opus.domain.errors import Retryable
from diamond_opus.feeds.budget import Outcome, PostgresBudget, Verdict
from diamond_opus.feeds.health import SupplierHealth, SupplierState
from diamond_opus.maintain.tasks import TASKS
from diamond_opus.monitoring.events import FOUND, RAISED, SETTLED_BY_PEOPLE
from diamond_opus.monitoring.look import Limits, Lookout
from diamond_opus.monitoring.watch import IncidentWatch
from diamond_opus.queue.protocol import WORK_ITEMS, Message
from diamond_opus.runs.model import RunState, RunType
from diamond_opus.watermark.protocol import Watermark
from gate import Gate
from look_limits import QUIET
from pipeline_builders import RecordedAlerts, World
from pipeline_supplier import FEED, ScriptedSupplier, stones
from run_steps import fail, retry, start_consolidating
from trade_market import Client, Market, answered_late, open_market

RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"


@dataclass(slots=True)
class Stage:
    """A database with a pipeline on it, who looks for trouble, and who tells the provider of it."""

    pool: Pool
    url: str
    receiver: Receiver
    folder: Path
    limits: Limits = QUIET
    world: World = field(init=False)

    def __post_init__(self) -> None:
        self.world = self.make_world()

    def make_world(self, supplier: ScriptedSupplier | None = None, **settings: Any) -> World:
        listed = supplier or ScriptedSupplier([*stones(30), *stones(5, lab_grown=True)])
        self.world = World(self.pool, listed, **settings)
        self.hear(self.world.alerts)
        return self.world

    def hear(self, alerts: RecordedAlerts) -> None:
        """What is raised there opens incidents."""
        alerts.hand_on_to = IncidentAlerts(self.pool, service="test", clock=SystemClock())

    async def look(self) -> None:
        """Twice, for nobody may be told twice."""
        for _ in range(2):
            lookout = Lookout(self.pool, self.world.queues, self.limits, [FEED])
            watch = IncidentWatch(
                pool=self.pool,
                lookout=lookout,
                alerts=IncidentAlerts(self.pool, service="test", clock=SystemClock()),
                holder=UUID(int=1),
                clock=SystemClock(),
                quiet_seconds=0,
            )
            await watch.turn()
            await deliverer(self.pool, self.receiver.alert_url).turn()

    def told(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.receiver.received if f"docs/runbook.md#{event}\n" in each["message"]]


Scenario = Callable[[Stage], AbstractAsyncContextManager[None]]
SCENARIOS: dict[str, Scenario] = {}


def provokes(event: str) -> Callable[[Callable[[Stage], AsyncIterator[None]]], Scenario]:
    """Up to its yield the scenario provokes the alert; after it, it mends the trouble."""

    def register(scenario: Callable[[Stage], AsyncIterator[None]]) -> Scenario:
        SCENARIOS[event] = asynccontextmanager(scenario)
        return SCENARIOS[event]

    return register


@provokes("run_late")
async def _(stage: Stage) -> AsyncIterator[None]:
    await _installed_long_ago(stage)
    stage.limits = replace(QUIET, scheduler_cron="0 2 * * *")
    yield
    await stage.world.run()


@provokes("full_run_late")
async def _(stage: Stage) -> AsyncIterator[None]:
    await _installed_long_ago(stage)
    stage.limits = replace(QUIET, full_run_cron="0 3 * * 0")
    await stage.world.run(RunType.INCREMENTAL)
    yield
    await stage.world.run(RunType.FULL)


@provokes("planning_failed")
async def _(stage: Stage) -> AsyncIterator[None]:
    world = stage.world

    async def refuse(*_: Any) -> None:
        raise Retryable("the supplier is away")

    world.supplier.before_count = refuse
    with pytest.raises(Retryable):
        await world.plan()
    yield
    world.supplier.before_count = None
    await world.plan()


@provokes("consolidation_skipped")
async def _(stage: Stage) -> AsyncIterator[None]:
    run = await fail(stage.world)
    await stage.world.sweep()
    yield
    await retry(stage.world, run)
    await stage.look()
    assert len(stage.told("consolidation_skipped")) == 1, "not over while it is retried"
    await stage.world.finish(run.run_id)


@provokes("partition_failed")
async def _(stage: Stage) -> AsyncIterator[None]:
    run = await fail(stage.world)
    yield
    await retry(stage.world, run, "natural-01")
    await stage.world.finish(run.run_id)


@provokes("consolidation_failed")
async def _(stage: Stage) -> AsyncIterator[None]:
    world = stage.make_world(worker_max_attempts=1)
    await world.rows(
        "CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'permission denied' USING ERRCODE = '42501'; END $$"
    )
    await world.rows("CREATE TRIGGER forbid BEFORE INSERT ON diamonds FOR EACH ROW EXECUTE FUNCTION forbid()")
    run = await world.run()
    assert run.state is RunState.FAILED
    yield
    await world.rows("DROP TRIGGER forbid ON diamonds")
    await start_consolidating(world, run)
    await world.finish(run.run_id)


@provokes("run_partial")
async def _(stage: Stage) -> AsyncIterator[None]:
    world = stage.make_world(auto_consolidation_success_threshold=50)

    async def refuse(selection: Any, *_: Any) -> None:
        if not selection.lab_grown:
            raise ValueError("the supplier breaks off this very page")

    world.supplier.before_page = refuse
    run = await world.run()
    assert run.is_partial
    yield
    world.supplier.before_page = None
    await retry(world, run)
    await world.finish(run.run_id)


@provokes("run_timed_out")
async def _(stage: Stage) -> AsyncIterator[None]:
    run = await stage.world.plan()
    await stage.world.rows("UPDATE run_metadata SET deadline_at = clock_timestamp()")
    await stage.world.sweep()
    yield
    await retry(stage.world, run)
    await stage.world.finish(run.run_id)


@provokes("removal_guarded")
async def _(stage: Stage) -> AsyncIterator[None]:
    world = stage.world
    await world.run()
    world.supplier.withdraw(*list(world.supplier.stones)[:20])
    run = await world.run()
    yield
    async with stage.pool.connection() as conn:
        await accept_removals(conn, run.run_id, actor="test")
    assert await world.process.consolidator().settle_removals(run.run_id)
    assert await world.active_ids() == set(world.supplier.stones)


@provokes("empty_inventory")
async def _(stage: Stage) -> AsyncIterator[None]:
    world = stage.make_world(ScriptedSupplier())
    await world.run()
    yield
    world.supplier.list(*stones(5))
    await world.run()


@provokes("rejected_share")
async def _(stage: Stage) -> AsyncIterator[None]:
    world = stage.world
    for number in range(1, 9):
        world.supplier.change(f"nat-{number:05}", certificate={"shape": " "})
    run = await world.run()
    assert run.rejected_records == 8
    yield
    await world.rows(
        "UPDATE raw_diamonds SET payload = replace(payload::text, '\" \"', '\"ROUND\"')::json"
        " WHERE supplier_stone_id IN (SELECT supplier_stone_id FROM rejected_diamonds)"
    )
    async with stage.pool.connection() as conn:
        replay = await replay_rejected(conn, FEED, ids=None, reason=None, actor="test", time_limit_seconds=60)
    await world.finish(replay.run_id)


async def _suffer(stage: Stage, state: SupplierState) -> None:
    health = SupplierHealth(stage.pool, FEED, SystemClock())
    health.note(state, "in its own words")
    await health.look()


async def _recover(stage: Stage) -> None:
    """A minute later it answers."""
    await stage.world.rows("UPDATE supplier_health SET seen_at = seen_at - interval '2 minutes'")
    await _suffer(stage, SupplierState.ANSWERING)


@provokes("supplier_unavailable")
async def _(stage: Stage) -> AsyncIterator[None]:
    await _suffer(stage, SupplierState.AWAY)
    yield
    await _recover(stage)


@provokes("supplier_refuses")
async def _(stage: Stage) -> AsyncIterator[None]:
    await _suffer(stage, SupplierState.REFUSING)
    yield
    await _recover(stage)


@provokes("supplier_login_failed")
async def _(stage: Stage) -> AsyncIterator[None]:
    await _suffer(stage, SupplierState.LOGIN_FAILED)
    yield
    await _recover(stage)


@provokes("budget_exhausted")
async def _(stage: Stage) -> AsyncIterator[None]:
    slow = PostgresBudget(stage.pool, "supplier", SystemClock(), max_per_second=0.2, start_per_second=0.2)
    await slow.acquire()
    yield
    await stage.world.rows("UPDATE request_budget SET next_slot_at = clock_timestamp()")
    quick = PostgresBudget(stage.pool, "supplier", SystemClock(), max_per_second=25, start_per_second=2)
    for _ in range(10):
        await quick.report(Outcome("page", Verdict.GOOD, 0.01))
    await quick.acquire()


@provokes("dead_letters")
async def _(stage: Stage) -> AsyncIterator[None]:
    queue = stage.world.queues[WORK_ITEMS]
    await queue.send([Message({"nonsense": True}, "1")])
    [message] = await queue.receive()
    await queue.dead_letter(message, reason="invalid", description="no runId")
    yield
    [letter] = await queue.dead_letters()
    assert await queue.replay(letter.id)


@asynccontextmanager
async def _market(stage: Stage) -> AsyncIterator[tuple[Market, Client, Client]]:
    async with open_market(stage.pool, stage.url) as market:
        stage.hear(market.alerts)
        yield market, await market.client("trade"), await market.client("admin")


async def _settle(market: Market, admin: Client, outcome: str) -> None:
    order = (await market.row("SELECT id FROM purchase_history"))["id"]
    word = {"orderId": str(order), "outcome": outcome, "note": "asked by telephone"}
    assert (await admin.post("/triggers/resolve-order", word)).status_code == 200


@provokes("order_unknown")
async def _(stage: Stage) -> AsyncIterator[None]:
    async with _market(stage) as (market, shop, admin):
        market.befall("reset", "create_order")
        await shop.buy(await market.stone())
        await market.settle()
        yield
        await _settle(market, admin, "refused")


@provokes("hold_unknown")
async def _(stage: Stage) -> AsyncIterator[None]:
    async with _market(stage) as (market, shop, _admin):
        market.befall("answer_lost", "create_hold", limit=1)
        await shop.hold(await market.stone())
        await market.settle()
        yield
        market.recover()
        await market.watch()


@provokes("order_contradicted")
async def _(stage: Stage) -> AsyncIterator[None]:
    async with _market(stage) as (market, shop, admin):
        with answered_late("create_order") as answer:
            buying = asyncio.create_task(shop.buy(await market.stone()))
            await answer.is_given.wait()
            await market.let_pass(timedelta(minutes=1))
            await market.settle()
            await _settle(market, admin, "refused")
            answer.may_arrive.set()
            await buying
        yield
        async with stage.pool.connection() as conn:
            [incident] = [each for each in await list_open(conn) if each.event == "order_contradicted"]
            assert await resolve_incident(conn, incident.id, resolution="cancelled at the supplier")


@provokes("watermark_stuck")
async def _(stage: Stage) -> AsyncIterator[None]:
    world = stage.world
    await world.run()
    world.supplier.change("nat-00001", carats=1.5)
    run = await world.plan(RunType.INCREMENTAL)
    present = await world.watermarks.read(FEED)
    assert present is not None
    back = Watermark(present.last_updated_at - timedelta(days=1), None, None)
    await world.watermarks.write(FEED, back, expected_version=present.version)
    await world.finish(run.run_id)
    found = await ask_doctor(stage.url)
    assert (found["clock"], found["watermark"]) == ("ok", "ok"), "a person's own act"
    yield
    await world.run(RunType.INCREMENTAL)


@provokes("watermark_ahead")
async def _(stage: Stage) -> AsyncIterator[None]:
    world = stage.world
    await world.run()
    present = await world.watermarks.read(FEED)
    assert present is not None
    ahead = Watermark(present.last_updated_at + timedelta(days=1), None, None)
    await world.watermarks.write(FEED, ahead, expected_version=present.version)
    run = await world.plan(RunType.INCREMENTAL)
    found = await ask_doctor(stage.url)
    assert (found["clock"], found["watermark"]) == ("ok", "warning")
    yield
    await world.finish(run.run_id)
    assert (await ask_doctor(stage.url))["watermark"] == "ok"


@provokes("database_full")
async def _(stage: Stage) -> AsyncIterator[None]:
    run = await stage.world.plan()
    async with stage.world.full_disk("raw_diamonds"):
        # Once: a full disk counts as no failure, so that there would be a next try for ever.
        await stage.world.deliver(WORK_ITEMS, stage.world.process.worker().handle)
        yield
    await stage.world.finish(run.run_id)
    await stage.look()
    assert len(stage.told("database_full")) == 1, "whoever waits for its next try may meet it again"
    await stage.world.rows("UPDATE incidents SET last_seen_at = last_seen_at - interval '10 minutes'")


@provokes("database_unavailable")
async def _(stage: Stage) -> AsyncIterator[None]:
    """A process reaches its database through a gate that is shut, and opened."""
    server, clock = conninfo_to_dict(stage.url), ManualClock(datetime.now(UTC))
    gate = Gate(str(server["host"]), int(str(server["port"])))
    gate.shut()
    url = make_conninfo(stage.url, host="127.0.0.1", port=str(gate.port))
    channels = channels_of(stage.receiver.alert_url)
    async with open_pool(url, application_name="t", max_size=1, connect_timeout_seconds=0.3) as pool:
        alerts = IncidentAlerts(pool, service="t", clock=clock, channels=channels, first_pause_seconds=0.05)
        lookout = Lookout(pool, {}, QUIET, [FEED])
        watch = IncidentWatch(pool=pool, lookout=lookout, alerts=alerts, holder=uuid4(), clock=clock)
        for _ in range(4):
            await watch.turn_safely()
            clock.advance(seconds=300)
        await eventually(lambda: stage.told("database_unavailable"))
        gate.open()
        await eventually(lambda: rows(stage.pool, "SELECT id FROM incidents"))
        await alerts.close()
        gate.shut()
        # It is seen to be over by the first look; told of its beginning was the provider before that.
        assert await rows(stage.pool, "SELECT kind, state FROM alert_deliveries") == [("opened", "delivered")]
        yield


@provokes("database_nearly_full")
async def _(stage: Stage) -> AsyncIterator[None]:
    size = await stage.world.value("SELECT pg_database_size(current_database())")
    stage.limits = replace(QUIET, database_bytes=size * 1.05)
    yield
    stage.limits = replace(QUIET, database_bytes=size * 3)


async def _installed_long_ago(stage: Stage) -> None:
    await stage.world.rows("UPDATE schema_migrations SET applied_at = applied_at - interval '90 days'")


@provokes("backup_overdue")
async def _(stage: Stage) -> AsyncIterator[None]:
    await _installed_long_ago(stage)
    stage.limits = replace(QUIET, backup_age=timedelta(hours=30))
    yield
    file = stage.folder / "shop.backup"
    made = await run_diamond("backup", file, database_url=stage.url)
    assert (made, file.exists()) == (0, True)


@provokes("maintenance_overdue")
async def _(stage: Stage) -> AsyncIterator[None]:
    await _installed_long_ago(stage)
    stage.limits = replace(QUIET, maintain_cron="0 5 * * *", tasks=[task.name for task in TASKS])
    yield
    assert await run_diamond("maintain", database_url=stage.url) == 0


async def run_diamond(*arguments: object, database_url: str) -> int | None:
    process = await _start_diamond(*arguments, database_url=database_url)
    return await process.wait()


async def ask_doctor(database_url: str) -> dict[str, str]:
    """The verdict of each check."""
    process = await _start_diamond("doctor", "--json", database_url=database_url, stdout=PIPE)
    told, _ = await process.communicate()
    return {check["check"]: check["verdict"] for check in json.loads(told)["checks"]}


async def _start_diamond(*arguments: object, database_url: str, stdout: int | None = None) -> Process:
    """The program itself, as an operator calls it."""
    program = Path(sys.executable).with_name("diamond")
    return await asyncio.create_subprocess_exec(
        program,
        *map(str, arguments),
        env={**os.environ, "DATABASE_URL": database_url},
        cwd=tempfile.gettempdir(),
        stdout=stdout,
    )


@pytest.fixture
def stage(pool: Pool, database_url: str, tmp_path: Path) -> Iterator[Stage]:
    with Receiver() as receiver:
        yield Stage(pool, database_url, receiver, tmp_path)


@pytest.mark.parametrize("event", sorted(SCENARIOS))
async def test_an_alert_is_told_once_and_so_is_its_end(stage: Stage, event: str) -> None:
    async with SCENARIOS[event](stage):
        if event != "database_unavailable":  # to look means that it is over
            await stage.look()
        [opened] = stage.told(event)
        assert not opened["title"].startswith("[resolved]")

    await stage.look()

    [again, resolved] = stage.told(event)
    assert again is opened
    assert resolved["title"].startswith("[resolved]")
    assert _incident(opened) == _incident(resolved)
    async with stage.pool.connection() as conn:
        assert event not in [each.event for each in await list_open(conn)]


def _incident(message: dict[str, Any]) -> str:
    found = re.search(r"^Incident: (\S+)$", message["message"], re.MULTILINE)
    assert found
    return found[1]


def test_the_runbook_has_a_section_for_each_alert_and_no_other() -> None:
    sections = re.findall(r"^## (\S+)$", RUNBOOK.read_text(), re.MULTILINE)
    known = {event.name for event in FOUND} | set(RAISED) | set(SETTLED_BY_PEOPLE)
    assert sorted(sections) == sorted(known)


def test_every_alert_is_provoked() -> None:
    """But for the one that is only sent to see whether it arrives: tests/cli/test_cli_alerts.py."""
    assert set(SCENARIOS) == {event.name for event in FOUND} | (set(RAISED) - {"test"}) | set(
        SETTLED_BY_PEOPLE
    )


def test_each_section_says_what_it_means_how_to_look_what_to_do_and_when_it_is_over() -> None:
    for section in RUNBOOK.read_text().split("\n## ")[1:]:
        name = section.partition("\n")[0]
        headings = re.findall(r"^\*\*(\w+)\.\*\*", section, re.MULTILINE)
        assert headings == ["Means", "Look", "Do", "Over"], name
