"""Distinct ids fetched reach the unfiltered count within a stated tolerance, else the run says that they do not."""

import pytest

from diamond_opus.domain.selection import Selection
from diamond_opus.ingest.read_range import ReadingSettings
from diamond_opus.runs.model import RunState, RunType
from diamond_opus.simulator.server import Simulator, SimulatorSettings
from pipeline_builders import Pool, World, run_to_end, simulated_pipeline
from pipeline_supplier import FEED, Listed, ScriptedSupplier, stones


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_invariant_02_a_complete_run_has_as_many_stones_as_an_unfiltered_count_says(
    seed: int, database_url: str
) -> None:
    settings = SimulatorSettings(stones=1500, seed=seed, hostile_share=0.05, short_page_rate=0.1)
    async with (
        Simulator(settings) as simulator,
        simulated_pipeline(database_url, simulator) as pipeline,
    ):
        run = await run_to_end(pipeline, RunType.FULL)
        counts = [await pipeline.sources[FEED].count(Selection(lab_grown)) for lab_grown in (False, True)]
    assert run.state is RunState.COMPLETED
    assert sum(counts) == 1500
    found = run.distinct_records + run.unreadable_records
    assert ReadingSettings().tolerance.accepts(found=found, counted=sum(counts))
    assert run.distinct_records + run.unreadable_records >= 1500


async def test_invariant_02_a_supplier_that_hides_stones_does_not_pass_for_complete(pool: Pool) -> None:
    """Every page comes, the last one is empty, and a twentieth of what is counted was never shown."""
    supplier = ScriptedSupplier([*stones(400), *stones(20, lab_grown=True)])
    supplier.hidden = {f"nat-{n:05d}" for n in range(0, 400, 20)}
    world = World(pool, supplier)

    run = await world.run()

    partitions = await world.partitions(run.run_id)
    assert [name for name, p in partitions.items() if p.count_disputed] == ["natural-01"]
    assert partitions["natural-01"].notes == [
        "natural USD 0 to up: found 380 stones in 3 passes, the supplier counts 400"
    ]
    assert run.distinct_records == 400
    assert run.expected_records == 420


async def test_invariant_02_stones_that_a_run_was_not_shown_are_not_taken_for_sold(pool: Pool) -> None:
    world = World(pool, ScriptedSupplier(stones(400)))
    await world.run()

    async def nothing_on_later_pages(selection: Selection, offset: int) -> None:
        world.supplier.hidden = {f"nat-{n:05d}" for n in range(380, 400)}

    async def all_there(*_: object) -> None:
        world.supplier.hidden = set()

    world.supplier.before_page = nothing_on_later_pages
    world.supplier.before_look_up = all_there

    run = await world.run()

    assert run.distinct_records == 380
    assert run.removed_records == 0
    assert len(await world.active_ids()) == 400


async def test_invariant_02_null_items_explain_a_difference_and_are_listed_one_by_one(pool: Pool) -> None:
    supplier = ScriptedSupplier(
        [*stones(100), *[Listed(f"null-{n}", 20_000, is_null=True) for n in range(10)]]
    )
    world = World(pool, supplier)
    run = await world.run()
    assert (run.distinct_records, run.unreadable_records, run.expected_records) == (100, 10, 110)
    assert not any(p.count_disputed for p in (await world.partitions(run.run_id)).values())
    assert await world.value("SELECT count(*) FROM rejected_diamonds WHERE NOT readable") == 10
