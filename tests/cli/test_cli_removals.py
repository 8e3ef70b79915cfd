"""``diamond accept-removals``: a person's yes, written down, audited, and refused where there is nothing to accept."""

import asyncio

from cli_processes import Command

from pipeline_builders import Pool, World
from pipeline_supplier import ScriptedSupplier, stones


async def test_removals_are_accepted_once_by_whoever_is_logged_in(
    diamond: Command, pool: Pool, database_url: str
) -> None:
    world = World(pool, ScriptedSupplier(stones(20)))
    first = await world.run()
    world.supplier.withdraw(*(f"nat-{number:05d}" for number in range(10)))
    run = await world.run()

    def accept(run_id: object) -> tuple[int, str]:
        ended = diamond("accept-removals", str(run_id), database_url=database_url)
        return ended.returncode, ended.stderr

    shown = await asyncio.to_thread(diamond, "status", str(run.run_id), database_url=database_url)
    code, said = await asyncio.to_thread(accept, run.run_id)
    refused, why = await asyncio.to_thread(accept, first.run_id)

    assert f"diamond accept-removals {run.run_id}" in " ".join(shown.stdout.split())
    assert (code, "asks for 10 stones" in " ".join(said.split())) == (0, True)
    assert (refused, "no removals of" in why) == (1, True)
    actor = await world.value("SELECT actor FROM audit_log WHERE action = 'run.accept_removals'")
    assert actor.startswith("cli:")
    await world.sweep()  # the command's own message went to queues that this process does not read
    assert (await world.get_run(run.run_id)).removals_settled_at is None
    await world.rows("UPDATE run_metadata SET woken_at = NULL")
    await world.sweep()
    await world.consolidate()
    assert (await world.get_run(run.run_id)).removed_records == 10
