"""Whatever a supplier does to a few percent of the requests, a full run completes and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from diamond_opus.domain.clock import SystemClock
from diamond_opus.domain.errors import Fatal
from diamond_opus.feeds.budget import UnlimitedBudget
from diamond_opus.feeds.nivoda import NivodaAccount, NivodaClient
from diamond_opus.runs.model import Run, RunState, RunType
from diamond_opus.simulator.faults import Fault, FaultKind
from diamond_opus.simulator.server import Simulator, SimulatorSettings
from diamond_opus.wiring import Pipeline
from pipeline_builders import Pool, run_to_end, simulated_pipeline
from pipeline_supplier import FEED
from pipeline_truth import Catalogue, Judge, check_catalogue

STONES = 700
DISTURBANCES: Sequence[FaultKind] = (
    "http_429",
    "gateway_403",
    "bad_gateway",
    "unavailable",
    "truncated",
    "malformed_json",
    "reset",
    "answer_lost",
    "expired_token",
    "partial_errors",
)


class HastyClock(SystemClock):
    """Real time, but nobody waits longer than a hundredth of a second: the gateway's pause is half a minute."""

    def __init__(self) -> None:
        self.longest_wish = 0.0

    async def sleep(self, seconds: float) -> None:
        self.longest_wish = max(self.longest_wish, seconds)
        await asyncio.sleep(min(seconds, 0.01))


@asynccontextmanager
async def hasty_pipeline(
    url: str, simulator: Simulator, clock: HastyClock, *, timeout_seconds: float = 5.0
) -> AsyncIterator[Pipeline]:
    account = NivodaAccount(
        simulator.url,
        simulator.supplier.settings.username,
        simulator.supplier.settings.password,
        request_timeout_seconds=timeout_seconds,
    )
    async with (
        simulated_pipeline(url, simulator) as pipeline,
        NivodaClient(account, budget=UnlimitedBudget(), clock=clock) as client,
    ):
        yield replace(pipeline, sources={FEED: client})


async def run_with(
    faults: Sequence[Fault], pool: Pool, url: str, *, timeout_seconds: float = 5.0
) -> tuple[Run, Simulator, HastyClock]:
    """A full run with these faults and a quiet inventory, judged by the supplier's own record."""
    clock = HastyClock()
    async with Simulator(SimulatorSettings(stones=STONES, seed=5, faults=faults)) as simulator:
        judge = Judge(simulator)
        async with hasty_pipeline(url, simulator, clock, timeout_seconds=timeout_seconds) as pipeline:
            run = await run_to_end(pipeline, RunType.FULL)
        check_catalogue(judge, await Catalogue.read(pool))
    return run, simulator, clock


@pytest.mark.parametrize("kind", DISTURBANCES)
async def test_five_percent_of_one_fault_lose_nothing(kind: FaultKind, pool: Pool, database_url: str) -> None:
    run, simulator, _ = await run_with([Fault(kind, rate=0.05)], pool, database_url)
    assert run.state is RunState.COMPLETED
    assert simulator.stats()["faults_injected"][kind] >= 3
    assert run.distinct_records + run.unreadable_records >= STONES


async def test_two_percent_of_every_fault_at_once_lose_nothing(pool: Pool, database_url: str) -> None:
    faults = [Fault(kind, rate=0.02) for kind in DISTURBANCES]
    run, simulator, _ = await run_with(faults, pool, database_url)
    assert run.state is RunState.COMPLETED
    assert sum(simulator.stats()["faults_injected"].values()) >= 10


async def test_answers_slower_than_the_time_out_are_asked_again(pool: Pool, database_url: str) -> None:
    slow = Fault("slow", rate=0.04, seconds=1.5)
    run, simulator, _ = await run_with([slow], pool, database_url, timeout_seconds=0.5)
    assert run.state is RunState.COMPLETED
    assert simulator.stats()["faults_injected"]["slow"] >= 3


async def test_the_suppliers_retry_after_is_respected(pool: Pool, database_url: str) -> None:
    run, _, clock = await run_with([Fault("http_429", rate=0.03, seconds=17)], pool, database_url)
    assert run.state is RunState.COMPLETED
    assert clock.longest_wish >= 17


async def test_a_token_that_lives_for_a_moment_is_no_obstacle(pool: Pool, database_url: str) -> None:
    settings = SimulatorSettings(stones=STONES, seed=5, token_lifetime_seconds=0.1)
    async with Simulator(settings) as simulator:
        judge = Judge(simulator)
        async with hasty_pipeline(database_url, simulator, HastyClock()) as pipeline:
            run = await run_to_end(pipeline, RunType.FULL)
        check_catalogue(judge, await Catalogue.read(pool))
        assert run.state is RunState.COMPLETED
        stats = simulator.stats()
    assert 1 < stats["logins"] < stats["requests"] / 4


async def test_an_outage_of_the_supplier_is_waited_out(pool: Pool, database_url: str) -> None:
    """That many refusals in a row are more than one request's tries: partitions are postponed and go on."""
    outage = Fault("unavailable", after=30, limit=24)
    run, simulator, _ = await run_with([outage], pool, database_url)
    assert run.state is RunState.COMPLETED
    assert simulator.stats()["faults_injected"]["unavailable"] == 24
    async with pool.connection() as conn:
        cursor = await conn.execute(b"SELECT count(*) FROM worker_runs WHERE status = 'failed'")
        assert await cursor.fetchone() != (0,)


async def test_a_supplier_that_counts_half_completes_and_the_dispute_is_noted(
    pool: Pool, database_url: str
) -> None:
    settings = SimulatorSettings(stones=1500, seed=5, count_factor=0.5)
    async with Simulator(settings) as simulator:
        judge = Judge(simulator)
        async with hasty_pipeline(database_url, simulator, HastyClock()) as pipeline:
            run = await run_to_end(pipeline, RunType.FULL)
        check_catalogue(judge, await Catalogue.read(pool))
        assert simulator.stats()["max_offset"] <= 1000
    assert run.state is RunState.COMPLETED
    async with pool.connection() as conn:
        cursor = await conn.execute(
            b"SELECT count(*) FROM partition_progress"
            b" WHERE count_disputed AND notes::text LIKE '%the supplier counts%'"
        )
        assert await cursor.fetchone() == (2,)


async def test_wrong_credentials_stop_the_plan_and_leave_nothing_behind(
    pool: Pool, database_url: str
) -> None:
    async with (
        Simulator(SimulatorSettings(stones=10)) as simulator,
        simulated_pipeline(database_url, simulator, nivoda_password="wrong") as pipeline,
    ):
        with pytest.raises(Fatal, match="check NIVODA_USERNAME and NIVODA_PASSWORD"):
            await run_to_end(pipeline, RunType.FULL)
    async with pool.connection() as conn:
        cursor = await conn.execute(b"SELECT count(*) FROM run_metadata")
        assert await cursor.fetchone() == (0,)
