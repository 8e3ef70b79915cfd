"""An incident opens when trouble is found, once, and ends when it has been right for a while, once."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from diamond_opus.alerts.incidents import Incident, list_incidents, list_open, open_incident
from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.alerts.raised import IncidentAlerts
from diamond_opus.db.pool import Pool
from diamond_opus.domain.clock import SystemClock
from diamond_opus.monitoring.look import Lookout, Sight
from diamond_opus.monitoring.watch import IncidentWatch
from look_limits import QUIET

FULL = Alert(Severity.ERROR, "database_nearly_full", "Little room", "x")
LATE = Alert(Severity.ERROR, "run_late", "Late", "x", subject="nivoda")
FAILED = Alert(Severity.ERROR, "consolidation_skipped", "Failed", "x", run_id=str(uuid4()))
BY_HAND = Alert(Severity.CRITICAL, "order_contradicted", "Taken after all", "x", subject="order 1")


class Eyes(Lookout):
    """Sees what a test says."""

    def __init__(self) -> None:
        self.sight = Sight()
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def look(self, now: datetime) -> Sight:
        if self.meanwhile is not None:
            await self.meanwhile()
        return self.sight

    def see(self, *alerts: Alert, seen: set[str] | None = None, still: set[UUID] | None = None) -> None:
        kinds = {"run_late", "database_nearly_full"} if seen is None else seen
        self.sight = Sight(list(alerts), kinds, set() if still is None else still)


class Scene:
    def __init__(self, pool: Pool, *, quiet_seconds: float = 0.0, eyes: Lookout | None = None) -> None:
        self.pool = pool
        self.eyes = Eyes()
        self._lookout = eyes or self.eyes
        self.alerts = IncidentAlerts(pool, service="test", clock=SystemClock())
        self.watch = self.another_watch(quiet_seconds=quiet_seconds)

    def another_watch(self, *, quiet_seconds: float = 0.0) -> IncidentWatch:
        return IncidentWatch(
            pool=self.pool,
            lookout=self._lookout,
            alerts=self.alerts,
            holder=uuid4(),
            clock=SystemClock(),
            quiet_seconds=quiet_seconds,
        )

    async def open(self, alert: Alert) -> UUID:
        async with self.pool.connection() as conn:
            opened = await open_incident(conn, alert)
        assert opened is not None
        return opened

    async def quiet(self, minutes: float) -> None:
        """A look when nothing was seen for so long."""
        async with self.pool.connection() as conn:
            await conn.execute(
                "UPDATE incidents SET cleared_at = clock_timestamp() - make_interval(secs => %s)"
                " WHERE resolved_at IS NULL",
                [60 * minutes],
            )
        await self.watch.turn()

    async def present(self) -> list[Incident]:
        async with self.pool.connection() as conn:
            return list(await list_open(conn))

    async def names(self) -> list[str]:
        return [incident.event for incident in await self.present()]


@pytest.fixture
def scene(pool: Pool) -> Scene:
    return Scene(pool)


async def test_trouble_is_one_incident_however_often_it_is_seen(scene: Scene) -> None:
    scene.eyes.see(LATE, FULL)
    await scene.watch.turn()
    await scene.watch.turn()

    assert await scene.names() == ["run_late", "database_nearly_full"]
    assert [incident.occurrences for incident in await scene.present()] == [1, 1]


async def test_what_is_still_so_is_told_as_it_is_now(scene: Scene) -> None:
    scene.eyes.see(LATE)
    await scene.watch.turn()
    scene.eyes.see(replace(LATE, title="Later still", text="y", stones=7))
    await scene.watch.turn()

    [incident] = await scene.present()
    assert (incident.title, incident.text, incident.facts["stones"]) == ("Later still", "y", 7)
    assert incident.last_seen_at > incident.opened_at


async def test_what_is_not_seen_any_more_is_resolved_and_may_open_again(scene: Scene) -> None:
    scene.eyes.see(LATE, FULL)
    await scene.watch.turn()
    scene.eyes.see(FULL)
    await scene.watch.turn()
    assert await scene.names() == ["database_nearly_full"]

    scene.eyes.see(LATE, FULL)
    await scene.watch.turn()

    async with scene.pool.connection() as conn:
        every = await list_incidents(conn, limit=10)
    assert [(each.event, each.resolved_at is None) for each in every] == [
        ("run_late", True),
        ("database_nearly_full", True),
        ("run_late", False),
    ]


async def test_what_comes_back_before_it_was_away_for_long_was_never_over(pool: Pool) -> None:
    scene = Scene(pool, quiet_seconds=60)
    scene.eyes.see(LATE)
    await scene.watch.turn()
    scene.eyes.see()
    await scene.watch.turn()
    [incident] = await scene.present()
    assert incident.cleared_at is not None

    scene.eyes.see(LATE)
    await scene.watch.turn()
    [incident] = await scene.present()
    assert incident.cleared_at is None

    scene.eyes.see()
    await scene.watch.turn()
    await scene.watch.turn()
    assert await scene.names() == ["run_late"]
    async with pool.connection() as conn:
        await conn.execute("UPDATE incidents SET cleared_at = cleared_at - interval '1 minute'")
    await scene.watch.turn()
    assert await scene.names() == []


async def test_trouble_that_comes_and_goes_has_to_stay_away_for_longer(pool: Pool) -> None:
    scene = Scene(pool, quiet_seconds=60)
    for minutes in (1, 2, 4):
        scene.eyes.see(LATE)
        await scene.watch.turn()
        scene.eyes.see()
        await scene.watch.turn()
        await scene.quiet(minutes - 0.5)
        assert await scene.names() == ["run_late"]
        await scene.quiet(minutes + 0.5)
        assert await scene.names() == []


async def test_what_is_raised_again_during_the_look_is_not_over(pool: Pool) -> None:
    scene = Scene(pool, quiet_seconds=60)
    opened = await scene.open(FAILED)
    scene.eyes.see()
    await scene.watch.turn()
    scene.eyes.meanwhile = lambda: scene.alerts.raise_alert(FAILED)
    await scene.quiet(minutes=2)

    [incident] = await scene.present()
    assert (incident.id, incident.occurrences, incident.cleared_at) == (opened, 2, None)


async def test_what_could_not_be_looked_for_stays_as_it_is(scene: Scene) -> None:
    scene.eyes.see(LATE, FULL)
    await scene.watch.turn()

    scene.eyes.see(seen={"database_nearly_full"})
    await scene.watch.turn()
    assert await scene.names() == ["run_late"]

    scene.eyes.sight.still = None
    scene.eyes.sight.seen = {"run_late"}
    await scene.watch.turn()
    assert await scene.names() == ["run_late"]


async def test_what_was_told_where_it_arose_is_over_when_the_database_says_so(scene: Scene) -> None:
    opened = await scene.open(FAILED)
    scene.eyes.see(still={opened})
    await scene.watch.turn()
    assert await scene.names() == ["consolidation_skipped"]

    scene.eyes.see(still=set())
    await scene.watch.turn()
    assert await scene.names() == []


async def test_what_only_a_person_can_settle_stays(scene: Scene) -> None:
    await scene.open(BY_HAND)
    scene.eyes.see(still=set())
    await scene.watch.turn()
    assert await scene.names() == ["order_contradicted"]


async def test_one_process_at_a_time_looks(scene: Scene) -> None:
    other = scene.another_watch()
    scene.eyes.see(LATE)
    await scene.watch.turn()
    scene.eyes.see()
    await other.turn()
    assert await scene.names() == ["run_late"]


async def test_the_real_eyes_find_nothing_wrong_here(pool: Pool) -> None:
    scene = Scene(pool, eyes=real_eyes(pool))
    await scene.watch.turn()
    assert await scene.names() == []


async def test_a_test_whose_command_was_killed_is_over_in_time(pool: Pool) -> None:
    scene = Scene(pool, eyes=real_eyes(pool))
    await scene.open(replace(BY_HAND, event="test"))
    await scene.watch.turn()
    assert await scene.names() == ["test"]

    async with pool.connection() as conn:
        await conn.execute("UPDATE incidents SET opened_at = opened_at - interval '10 minutes'")
    await scene.watch.turn()
    assert await scene.names() == []


def real_eyes(pool: Pool) -> Lookout:
    limits = replace(
        QUIET,
        scheduler_cron="0 2 * * *",
        full_run_cron="0 3 * * 0",
        maintain_cron="0 5 * * *",
        rejected_share=0.02,
        refusal=timedelta(seconds=180),
    )
    return Lookout(pool, {}, limits, ["nivoda"])
