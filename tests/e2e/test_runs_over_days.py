"""Full and incremental runs one after another: when the supplier comes to rest, the catalogue is the inventory."""

from decimal import Decimal

import pytest

from diamond_opus.runs.model import RunState, RunType
from diamond_opus.simulator.server import Simulator, SimulatorSettings
from pipeline_builders import Pool, run_to_end, simulated_pipeline
from pipeline_truth import Catalogue


def missing_or_stale(simulator: Simulator, catalogue: Catalogue) -> list[str]:
    """Stones listed now that are not on sale, or not at the price of this very moment."""
    return [
        truth.id
        for truth in simulator.truth()
        if truth.present
        and truth.verdict == "accepted"
        and (
            not catalogue.is_on_sale(truth.id)
            or catalogue.diamonds[truth.id]["feed_price"] != Decimal(truth.listed_price_cents).scaleb(-2)
        )
    ]


def sold_though_gone(simulator: Simulator, catalogue: Catalogue) -> list[str]:
    return [t.id for t in simulator.truth() if not t.present and catalogue.is_on_sale(t.id)]


@pytest.mark.long  # six runs over an inventory that moves
@pytest.mark.parametrize("seed", range(2))
async def test_nothing_falls_between_the_windows_of_one_run_and_the_next(
    seed: int, pool: Pool, database_url: str
) -> None:
    """Whatever a run missed because it changed meanwhile is in the next run's window, even without its overlap."""
    settings = SimulatorSettings(
        stones=1500, seed=seed, short_page_rate=0.1, tie_swap_rate=0.2, churn_per_1000_requests=1_000
    )
    async with (
        Simulator(settings) as simulator,
        simulated_pipeline(database_url, simulator, incremental_safety_minutes=0) as pipeline,
    ):
        for run_type in (RunType.FULL, None, None, None):
            run = await run_to_end(pipeline, run_type)
            assert run.state is RunState.COMPLETED
            assert (run.run_type is RunType.FULL) is (run_type is RunType.FULL)
        simulator.supplier.churn.set_rates(per_1000_requests=0, per_second=0)

        run = await run_to_end(pipeline, RunType.INCREMENTAL)
        assert missing_or_stale(simulator, await Catalogue.read(pool)) == []
        assert sold_though_gone(simulator, await Catalogue.read(pool)) != [], (
            "only a full run can see removals"
        )

        run = await run_to_end(pipeline, RunType.FULL)
        assert run.removed_records > 0
        assert missing_or_stale(simulator, await Catalogue.read(pool)) == []
        assert sold_though_gone(simulator, await Catalogue.read(pool)) == []
