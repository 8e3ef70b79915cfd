"""The harness itself: its points exist, its seeds always mean the same, its way to the database does what it says."""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import AsyncIterator

import psycopg
import pytest

from diamond_opus.db.queries import load_queries
from faults.injections import INJECTIONS
from faults.jobs import next_seeds, schedule_of, take_turns
from faults.points import BUYING, POINTS
from faults.proxy import Act, Line, Rule
from faults.schedule import KINDS, draw

FILES = (
    ("diamond_opus.runs", "queries.sql"),
    ("diamond_opus.ingest", "queries.sql"),
    ("diamond_opus.consolidate", "queries.sql"),
    ("diamond_opus.consolidate", "removal.sql"),
    ("diamond_opus.watermark", "queries.sql"),
    ("diamond_opus.trade", "orders.sql"),
    ("diamond_opus.trade", "holds.sql"),
)
STATEMENTS = {
    (package, name): text for package, file in FILES for name, text in load_queries(package, file).items()
}
#: A transaction's end is the driver's; a wake that is repeated at the end of a claim's own comment is no second point.
OF_THE_DRIVER = {"commit"}


@pytest.mark.parametrize("point", sorted({*POINTS, *BUYING} - OF_THE_DRIVER))
def test_every_point_is_a_statement_of_the_product(point: str) -> None:
    fragment = {**POINTS, **BUYING}[point].replace("$1", "%(status)s")
    found = {name for (_, name), text in STATEMENTS.items() if fragment in text}
    assert found, f"no statement contains {fragment!r}"
    if point in {name for _, name in STATEMENTS}:
        assert point in found


def test_a_seed_always_means_the_same_schedule() -> None:
    for seed in range(20):
        assert schedule_of(seed) == schedule_of(seed)
    assert draw(1, as_processes=False) != draw(1, as_processes=True)


def test_two_hundred_schedules_hold_every_kind_of_fault_and_kill_processes_in_twenty() -> None:
    schedules = [schedule_of(seed) for seed in range(200)]
    kinds = Counter(injection.kind for schedule in schedules for injection in schedule.injections)
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 5
    assert all(len({injection.kind for injection in schedule.injections}) >= 3 for schedule in schedules)
    killing = [s for s in schedules if s.as_processes and any(i.kind == "kill" for i in s.injections)]
    assert len(killing) >= 20


def test_every_kind_without_a_point_has_an_injection() -> None:
    anywhere = {
        injection.kind
        for seed in range(200)
        for injection in schedule_of(seed).injections
        if not injection.point
    }
    assert anywhere - {"two_schedulers"} == set(INJECTIONS)


def test_the_jobs_share_all_seeds_and_play_none_twice() -> None:
    take_turns(multiprocessing.get_context("spawn").Value("l", 0))
    quick, slow = next_seeds(7, 40), next_seeds(7, 40)
    played = [next(slow), *(next(quick) for _ in range(20)), next(slow), *quick, *slow]
    assert played == list(range(7, 47))


@pytest.fixture
async def line(database_url: str) -> AsyncIterator[Line]:
    async with Line(database_url) as opened:
        yield opened


async def connect(url: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
    return await psycopg.AsyncConnection.connect(url, autocommit=True)


async def count(url: str) -> object:
    async with await connect(url) as conn:
        return await (await conn.execute("SELECT count(*) FROM duties")).fetchone()


INSERT = "INSERT INTO duties (duty, holder, expires_at) VALUES (%s, gen_random_uuid(), now())"


async def test_a_line_carries_everything_both_ways(line: Line, database_url: str) -> None:
    async with await connect(line.url) as conn:
        await conn.execute(INSERT, ("a",))
        async with conn.cursor() as cursor, cursor.copy("COPY duties FROM STDIN") as copy:
            for number in range(3_000):
                await copy.write_row((f"duty {number}", "00000000-0000-0000-0000-000000000000", "2026-01-01"))
        rows = await (await conn.execute("SELECT repeat('x', 1000000)")).fetchall()
    assert len(str(rows[0][0])) == 1_000_000
    assert await count(database_url) == (3_001,)


@pytest.mark.parametrize(("act", "done"), [(Act.CUT_BEFORE, 0), (Act.CUT_AFTER, 1)])
async def test_a_line_is_cut_before_or_after_a_statement(
    line: Line, database_url: str, act: Act, done: int
) -> None:
    line.weather.rules.append(Rule("INSERT INTO duties", act, nth=2))
    async with await connect(line.url) as conn:
        await conn.execute(INSERT, ("first",))
        with pytest.raises(psycopg.OperationalError):
            await conn.execute(INSERT, ("second",))
    await asyncio.sleep(0.05)
    assert await count(database_url) == (1 + done,)
    async with await connect(line.url) as conn:
        await conn.execute(INSERT, ("third",))


async def test_what_a_held_line_was_given_arrives_late(line: Line, database_url: str) -> None:
    line.weather.rules.append(Rule("INSERT INTO duties", Act.HOLD))
    async with await connect(line.url) as conn:
        sending = asyncio.create_task(conn.execute(INSERT, ("held",)))
        await asyncio.sleep(0.1)
        assert (line.is_held, sending.done()) == (True, False)
        assert await count(database_url) == (0,)
        line.release()
        await asyncio.wait_for(sending, 5)
    assert await count(database_url) == (1,)


@pytest.mark.parametrize("ending", ["deaden", "vanish"])
async def test_a_server_is_not_told_that_its_client_is_gone(
    line: Line, database_url: str, ending: str
) -> None:
    async with await connect(database_url) as watching:
        silent = await connect(line.url)
        await silent.execute("SET application_name = 'silent'")
        await silent.execute("BEGIN")
        await silent.execute(INSERT, ("locked",))
        getattr(line, ending)()
        await silent.close()
        await asyncio.sleep(0.2)
        sessions = await watching.execute(
            "SELECT state FROM pg_stat_activity WHERE application_name = 'silent'"
        )
        assert await sessions.fetchall() == [("idle in transaction",)]


async def test_every_rule_counts_the_statements_that_another_meddled_with(line: Line) -> None:
    line.weather.rules += [Rule("SELECT 1", Act.FAIL, nth=n) for n in (2, 3)]
    async with await connect(line.url) as conn:
        outcomes = []
        for _ in range(4):
            try:
                await conn.execute("SELECT 1")
                outcomes.append("done")
            except psycopg.errors.SerializationFailure:
                outcomes.append("refused")
    assert outcomes == ["done", "refused", "refused", "done"]


async def test_a_refused_statement_aborts_its_transaction_at_the_server(
    line: Line, database_url: str
) -> None:
    line.weather.rules.append(Rule("INSERT INTO duties", Act.FAIL, nth=2, sqlstate="53100"))
    async with await connect(line.url) as conn:
        await conn.execute("BEGIN")
        await conn.execute(INSERT, ("first",))
        with pytest.raises(psycopg.errors.DiskFull, match="injected"):
            await conn.execute(INSERT, ("second",))
        await conn.execute("COMMIT")
        await conn.execute(INSERT, ("third",))
    assert await count(database_url) == (1,)


async def test_bad_weather_refuses_and_delays_until_it_is_over(line: Line, database_url: str) -> None:
    async with await connect(line.url) as conn:
        line.weather.sqlstate, line.weather.refused = "53100", ("INSERT INTO duties",)
        with pytest.raises(psycopg.errors.DiskFull):
            await conn.execute(INSERT, ("first",))
        line.weather.refused = ()
        line.weather.delay_seconds = 0.2
        before = asyncio.get_running_loop().time()
        await conn.execute(INSERT, ("second",))
        assert asyncio.get_running_loop().time() - before >= 0.2
    assert await count(database_url) == (1,)


async def test_a_line_that_is_cut_lets_nobody_in_until_it_is_mended_and_one_that_has_ended_never(
    line: Line,
) -> None:
    line.cut()
    with pytest.raises(psycopg.OperationalError):
        await connect(line.url)
    line.mend()
    async with await connect(line.url) as conn:
        line.end()
        with pytest.raises(psycopg.OperationalError):
            await conn.execute("SELECT 1")
    line.mend()
    with pytest.raises(psycopg.OperationalError):
        await connect(line.url)
