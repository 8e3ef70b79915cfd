"""How each kind of fault is done to a schedule that is being played, and when its cause is over."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING

import psycopg

from diamond_opus.simulator.faults import Fault, FaultKind
from faults.points import BUYING, POINTS
from faults.proxy import Act, Line, Rule
from faults.schedule import KINDS

if TYPE_CHECKING:
    from faults.play import Play
    from faults.schedule import Injection

Inject = Callable[["Play", Random], Awaitable[None]]

#: How long lasting faults last: several leases, time-outs and back-offs of these schedules, as minutes are of the
#: product's own.
_LASTS = (0.8, 2.5)

#: The supplier's: a minute and more of the product's own times.
_MINUTES = (2.4, 3.6)

_SQLSTATES = {
    "serialization": "40001",
    "deadlock": "40P01",
    "statement_timeout": "57014",
    "too_many_connections": "53300",
}
_QUEUES = ("q_work_items", "q_work_done", "q_consolidate")


def rule_for(play: "Play", injection: "Injection") -> Rule:
    """The meddling of an injection that has a point."""
    assert injection.point is not None
    fragment = {**POINTS, **BUYING}[injection.point]

    def note(_line: Line) -> None:
        play.note(injection.kind)

    def kill(line: Line) -> None:
        play.note(injection.kind)
        owner = play.crew.owner_of(line)
        if owner is None:
            line.end()  # whoever planned sees that it is gone
        else:
            play.crew.kill(owner)

    def vanish(line: Line) -> None:
        owner = play.crew.owner_of(line)
        if owner is not None:
            play.note(injection.kind)
            play.crew.vanish(owner)

    def befall(_line: Line) -> None:
        play.spawn(play.inject(injection))

    def late(_line: Line) -> None:
        play.spawn(_late_answer(play, Random(injection.seed)))

    def deaden(line: Line) -> None:
        play.note(injection.kind)
        line.deaden()

    def suspend(line: Line) -> None:
        play.spawn(play.suffer(injection.kind, _stand_still(play, line, Random(injection.seed))))

    kind, nth = injection.kind, injection.nth
    if kind == "vanished":
        return Rule(fragment, Act.PASS, nth, then=vanish)
    if KINDS[kind] == "supplier":
        return Rule(fragment, Act.PASS, nth, then=befall)
    if kind in ("kill_at_point", "kill_buying"):
        act = Act.PASS if injection.seed % 2 else Act.CUT_BEFORE
        return Rule(fragment, act, nth, then=kill)
    if kind in ("cut_before", "cut_after"):
        return Rule(fragment, Act.CUT_BEFORE if kind == "cut_before" else Act.CUT_AFTER, nth, then=note)
    if kind == "late_answer":
        return Rule(fragment, Act.PASS, nth, then=late)
    if kind == "half_open":
        return Rule(fragment, Act.PASS, nth, then=deaden)
    if kind == "suspended":
        return Rule(fragment, Act.HOLD, nth, then=suspend)
    return Rule(fragment, Act.FAIL, nth, times=1 + injection.seed % 4, sqlstate=_SQLSTATES[kind], then=note)


async def _kill(play: "Play", random: Random) -> None:
    play.crew.kill(random.choice([member for member in play.crew.members if member.is_running]))


async def _crash(play: "Play", random: Random) -> None:
    await asyncio.to_thread(play.ground.crash)


async def _restart(play: "Play", random: Random) -> None:
    await asyncio.to_thread(play.ground.kill_and_restart)


async def _drop(play: "Play", random: Random) -> None:
    for member in play.crew.members:
        member.line.drop()


def _line_of_a_holder(play: "Play", random: Random) -> Line:
    """Of a worker or a consolidator, who hold leases."""
    return random.choice([member for member in play.crew.members if member.role != "api"]).line


async def _cut_off(play: "Play", random: Random) -> None:
    line = _line_of_a_holder(play, random)
    line.cut()
    try:
        await asyncio.sleep(random.uniform(2.2, 4))
    finally:
        line.mend()


async def _suspend(play: "Play", random: Random) -> None:
    line = _line_of_a_holder(play, random)
    line.hold()
    await _stand_still(play, line, random)


async def _stand_still(play: "Play", line: Line, random: Random) -> None:
    """Until others have taken over what it held: then what it sent arrives after all. Or for some leases' time."""
    loop = asyncio.get_running_loop()
    until = loop.time() + random.uniform(2.2, 4)
    try:
        before = await play.count_takeovers()
        while loop.time() < until and await play.count_takeovers() == before:  # noqa: ASYNC110 - others take over
            await asyncio.sleep(0.02)
    finally:
        line.release()


async def _half_open(play: "Play", random: Random) -> None:
    random.choice(play.crew.members).line.deaden()


async def _disk_full(play: "Play", random: Random) -> None:
    weather = play.weather
    weather.sqlstate = "53100"
    weather.refused = (
        "COPY ", "INSERT INTO", "FROM pgmq.read(", POINTS["advance_partition"], POINTS["count_batch"]
    )  # fmt: skip
    try:
        await asyncio.sleep(random.uniform(*_LASTS))
    finally:
        weather.refused = ()


async def _slow(play: "Play", random: Random) -> None:
    play.weather.delay_seconds = random.uniform(0.02, 0.2)
    try:
        await asyncio.sleep(random.uniform(*_LASTS))
    finally:
        play.weather.delay_seconds = 0.0


async def _lock_storm(play: "Play", random: Random) -> None:
    """Takes rows in the other order than everybody else, and holds them for a moment: the server finds deadlocks."""
    async with await psycopg.AsyncConnection.connect(play.url) as conn:
        for _ in range(random.randint(4, 12)):
            try:
                await conn.execute("SET LOCAL lock_timeout = '400ms'")
                await conn.execute(
                    "SELECT FROM raw_diamonds WHERE supplier_stone_id > %s"
                    " ORDER BY supplier_stone_id DESC LIMIT 200 FOR UPDATE",
                    (f"{random.randrange(16):x}",),
                )
                await conn.execute("SELECT FROM run_metadata ORDER BY started_at DESC LIMIT 1 FOR UPDATE")
                await asyncio.sleep(random.uniform(0, 0.1))
            except psycopg.errors.LockNotAvailable:
                pass
            except psycopg.errors.DeadlockDetected:
                pass
            await conn.rollback()


def _meddle_with_queues(statement: str) -> Inject:
    """Several times, for messages come and go quickly."""

    async def meddle(play: "Play", random: Random) -> None:
        async with await psycopg.AsyncConnection.connect(play.url, autocommit=True) as conn:
            for _ in range(random.randint(10, 40)):
                for queue in _QUEUES:
                    await conn.execute(statement.format(queue=f"pgmq.{queue}").encode())
                await asyncio.sleep(0.03)

    return meddle


async def _poison(play: "Play", random: Random) -> None:
    of_another = {
        "schemaVersion": 1,
        "runId": "00000000-0000-0000-0000-000000000000",
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "feed": "nowhere",
        "partitionId": "natural-01",
        "labGrown": False,
        "minPrice": 0,
        "maxPrice": None,
        "totalRecords": 1,
        "updatedTo": "2026-01-01T00:00:00Z",
    }
    bodies: tuple[object, ...] = (
        None,
        [],
        "nonsense",
        {},
        {"schemaVersion": 99},
        {"schemaVersion": 1, "runId": "none"},
        of_another,
    )
    async with await psycopg.AsyncConnection.connect(play.url, autocommit=True) as conn:
        for queue in _QUEUES:
            for body in random.sample(bodies, 3):
                statement = f"INSERT INTO pgmq.{queue} (vt, message) VALUES (now(), %s::jsonb)"
                await conn.execute(statement.encode(), (json.dumps(body),))


def _supplier(kind: FaultKind, *, rate: float = 1.0, seconds: float = 0.0) -> Inject:
    async def befall(play: "Play", random: Random) -> None:
        share = rate if rate < 1 else random.choice((0.2, 0.6, 1.0))
        faults = [Fault(kind, rate=share, seconds=seconds)]
        play.supplier.supplier.faults.add(faults)
        try:
            await asyncio.sleep(random.uniform(*_MINUTES))
        finally:
            play.clear_supplier_faults(faults)

    return befall


async def _outage(play: "Play", random: Random) -> None:
    """Longer than a request with all its tries, and than five attempts of a partition."""
    faults = [Fault("unavailable", rate=1.0)]
    play.supplier.supplier.faults.add(faults)
    try:
        await asyncio.sleep(random.uniform(4, 8))
    finally:
        play.clear_supplier_faults(faults)


async def _pages_refused(play: "Play", random: Random) -> None:
    """Until the run has failed: the partitions that are left have used up their attempts."""
    faults = [Fault("unavailable", rate=1.0, requests=("page",))]
    play.supplier.supplier.faults.add(faults)
    try:
        await play.until_over(seconds=45)
    finally:
        play.clear_supplier_faults(faults)


async def _jump(play: "Play", random: Random) -> None:
    for member in random.sample(play.crew.members, 2):
        member.clock.offset += random.choice((-1, 1)) * random.choice((0.01, 1, 30)) * member.clock.hour


async def _migration(play: "Play", random: Random) -> None:
    """What a later release's first migration may be: additive, and under old code."""
    async with await psycopg.AsyncConnection.connect(play.url, autocommit=True) as conn:
        for table in ("run_metadata", "partition_progress", "raw_diamonds", "diamonds", "rejected_diamonds"):
            statement = (
                f"SET lock_timeout = '2s'; ALTER TABLE {table} ADD COLUMN IF NOT EXISTS of_next_release TEXT"
            )
            for _ in range(20):
                try:
                    await conn.execute(statement.encode())
                    break
                except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                    await asyncio.sleep(0.1)


async def _deployment(play: "Play", _random: Random) -> None:
    await play.crew.deploy()


async def _late_answer(play: "Play", random: Random) -> None:
    """As a look-up that overlaps with the consolidation: a newer payload of stones that may be claimed just now."""
    play.note("late_answer")
    async with await psycopg.AsyncConnection.connect(play.url, autocommit=True) as conn:
        cursor = await conn.execute(
            "SELECT supplier_stone_id FROM raw_diamonds WHERE NOT consolidated ORDER BY supplier_stone_id LIMIT 40"
        )
        for (stone_id,) in random.sample(await cursor.fetchall(), min(5, cursor.rowcount)):
            play.tampered.add(stone_id)
            await conn.execute(
                "UPDATE raw_diamonds SET payload = (payload::text || ' ')::json, consolidated = FALSE,"
                " payload_hash = encode(sha256(convert_to(payload::text || ' ', 'UTF8')), 'hex'),"
                " fetched_at = clock_timestamp() WHERE supplier_stone_id = %s",
                (stone_id,),
            )


#: Faults of the supplier that need nothing but their name.
_OF_THE_SUPPLIER: Sequence[FaultKind] = (
    "http_429", "gateway_403", "bad_gateway", "unavailable", "truncated", "malformed_json", "reset", "answer_lost",
)  # fmt: skip

INJECTIONS: Mapping[str, Inject] = {
    "kill": _kill,
    "crash": _crash,
    "restart": _restart,
    "drop": _drop,
    "cut_off": _cut_off,
    "suspended": _suspend,
    "half_open": _half_open,
    "disk_full": _disk_full,
    "slow": _slow,
    "lock_storm": _lock_storm,
    "lost": _meddle_with_queues("DELETE FROM {queue}"),
    "doubled": _meddle_with_queues(
        "INSERT INTO {queue} (vt, message, headers) SELECT now(), message, headers FROM {queue} LIMIT 20"
    ),
    "delayed": _meddle_with_queues("UPDATE {queue} SET vt = now() + interval '1 second' WHERE vt <= now()"),
    "shuffled": _meddle_with_queues("UPDATE {queue} SET vt = vt + random() * interval '0.3 seconds'"),
    "poisoned": _poison,
    **{kind: _supplier(kind) for kind in _OF_THE_SUPPLIER},
    "slow_answers": _supplier("slow", seconds=1.5, rate=0.3),
    "expired_token": _supplier("expired_token", rate=0.3),
    "outage": _outage,
    "pages_refused": _pages_refused,
    "jump": _jump,
    "migration": _migration,
    "deployment": _deployment,
}
