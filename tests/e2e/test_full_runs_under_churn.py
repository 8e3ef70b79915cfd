"""Full runs over an inventory that moves while it is read lose nothing, delete nothing wrongly, price nothing wrongly.

Judged by the simulator's own record of every stone: what was listed throughout a run, and at which prices.
"""

import pytest

from diamond_opus.domain.selection import Selection
from diamond_opus.feeds.protocol import RawItem, StoneSource
from diamond_opus.runs.model import Run, RunState, RunType
from diamond_opus.simulator.events import EventKind
from diamond_opus.simulator.faults import Fault
from diamond_opus.simulator.server import Simulator, SimulatorSettings
from pipeline_builders import Pool, run_to_end, simulated_pipeline
from pipeline_supplier import FEED
from pipeline_truth import Catalogue, Judge, check_catalogue

#: Of a hundred events 15 remove a stone, 16 insert one and 45 or more reprice one: 0.9, 1 and 2.7 % of the stones.
EVENTS_SHARE = 0.06
DEEPEST_OFFSET = 1000


def moving_supplier(seed: int) -> SimulatorSettings:
    """Short pages, ties that change places, odd stones, and tokens that end at any moment."""
    return SimulatorSettings(
        stones=4000,
        seed=seed,
        hostile_share=0.01,
        short_page_rate=0.05,
        tie_swap_rate=0.2,
        faults=(Fault("expired_token", every=120, requests=("page", "count")),),
    )


async def add_rules(pool: Pool) -> None:
    async with pool.connection() as conn:
        await conn.execute(
            b"INSERT INTO pricing_rules (priority, carat_min, carat_max, shapes, lab_grown, markup_ratio, rating)"
            b" VALUES (10, 1.00, 1.49, NULL, NULL, 1.3333, 7), (10, NULL, 0.55, NULL, TRUE, 1.0775, NULL),"
            b" (20, NULL, NULL, ARRAY['OVAL', 'PEAR'], FALSE, 1.2345, 8), (5, 3, NULL, NULL, NULL, 1.1005, 10)"
        )


async def run_under_churn(simulator: Simulator, pool: Pool, database_url: str) -> tuple[Run, Judge]:
    simulator.supplier.churn.spread(EVENTS_SHARE, 300)
    judge = Judge(simulator)
    async with simulated_pipeline(database_url, simulator) as pipeline:
        return await run_to_end(pipeline, RunType.FULL), judge


async def check_two_full_runs(seed: int, pool: Pool, database_url: str) -> None:
    """The first fills an empty catalogue; the second could delete what it missed."""
    await add_rules(pool)
    async with Simulator(moving_supplier(seed)) as simulator:
        for _ in range(2):
            run, judge = await run_under_churn(simulator, pool, database_url)
            assert run.state is RunState.COMPLETED
            check_catalogue(judge, await Catalogue.read(pool))
        for kind in (EventKind.REMOVED, EventKind.INSERTED, EventKind.REPRICED):
            assert judge.moved(kind) > 20
        assert run.removed_records > 0
        stats = simulator.stats()
    assert stats["max_offset"] <= DEEPEST_OFFSET
    assert stats["short_pages"] > 0
    assert stats["faults_injected"]["expired_token"] > 2


# Two classes, so that two test processes share the seeds.


class TestTheFirstTenSeeds:
    @pytest.mark.long  # two whole runs over 4,000 stones, which move all the while
    @pytest.mark.parametrize("seed", range(10))
    async def test_nothing_that_stays_is_missing_deleted_or_wrongly_priced(
        self, seed: int, pool: Pool, database_url: str
    ) -> None:
        await check_two_full_runs(seed, pool, database_url)


class TestTheOtherTenSeeds:
    @pytest.mark.long  # two whole runs over 4,000 stones, which move all the while
    @pytest.mark.parametrize("seed", range(10, 20))
    async def test_nothing_that_stays_is_missing_deleted_or_wrongly_priced(
        self, seed: int, pool: Pool, database_url: str
    ) -> None:
        await check_two_full_runs(seed, pool, database_url)


async def read_naively(source: StoneSource, *, short_page_is_the_end: bool) -> set[str]:
    """What a reader finds who trusts offsets: no overlap, no second pass, no ranges."""
    found: set[str] = set()
    for lab_grown in (False, True):
        offset = 0
        while True:
            page = await source.read_page(Selection(lab_grown), offset=offset, limit=source.page_limit)
            found |= {row.supplier_stone_id for row in page.rows if isinstance(row, RawItem)}
            offset += len(page.rows)
            if not page.rows or (short_page_is_the_end and len(page.rows) < source.page_limit):
                break
    return found


class TestANaiveReader:
    """The same suppliers, read without overlap and repeat: the tests above could fail."""

    @pytest.mark.parametrize("seed", range(4))
    async def test_a_walk_by_offsets_to_the_empty_page_loses_stones(
        self, seed: int, database_url: str
    ) -> None:
        lost = await self._lose(seed, database_url, short_page_is_the_end=False)
        assert len(lost) >= 5

    @pytest.mark.parametrize("seed", range(4))
    async def test_a_walk_that_takes_a_short_page_for_the_end_loses_most_of_them(
        self, seed: int, database_url: str
    ) -> None:
        lost = await self._lose(seed, database_url, short_page_is_the_end=True)
        assert len(lost) >= 1000

    async def _lose(self, seed: int, database_url: str, *, short_page_is_the_end: bool) -> set[str]:
        async with Simulator(moving_supplier(seed)) as simulator:
            simulator.supplier.churn.spread(EVENTS_SHARE, 80)
            judge = Judge(simulator)
            async with simulated_pipeline(database_url, simulator) as pipeline:
                found = await read_naively(
                    pipeline.sources[FEED], short_page_is_the_end=short_page_is_the_end
                )
            readable = {t.id for t in judge.listed_throughout() if t.verdict != "unreadable"}
        return readable - found
