"""Error log, audit log, quarantine and dead letters, as operators read and clear them."""

from collections.abc import AsyncIterator

import pytest
from operator_support import Desk, is_exactly, open_desk

from diamond_opus.api.schemas_operators import Act, DeadLetterAnswer, ErrorLog, RejectedPayload, RejectedStone
from diamond_opus.observability.error_log import record_error
from diamond_opus.queue.protocol import CONSOLIDATE, WORK_ITEMS, Message
from pipeline_builders import Pool, World
from pipeline_supplier import Listed, ScriptedSupplier, stones


@pytest.fixture
async def desk(pool: Pool) -> AsyncIterator[Desk]:
    supplier = ScriptedSupplier([*stones(5), Listed("free", price_cents=0), Listed("null", is_null=True)])
    async with open_desk(World(pool, supplier)) as opened:
        yield opened


async def test_every_error_is_kept_also_the_same_twice_and_a_long_one(desk: Desk) -> None:
    """B6: the original's insert failed every time, or kept only the first of equal messages."""
    for _ in range(2):
        assert await record_error(desk.world.pool, service="worker", error_message="the same")
    assert await record_error(desk.world.pool, service="api", error_message="x" * 5_000, context={"run": 1})

    answer = await desk.get("/analytics/error-logs")
    rows = answer.json()["data"]
    of_worker = await desk.get("/analytics/error-logs", service="worker", limit=1)

    for row in rows:
        is_exactly(ErrorLog, row)
    assert [row["errorMessage"][:8] for row in rows] == ["xxxxxxxx", "the same", "the same"]
    assert len({row["id"] for row in rows}) == 3
    assert of_worker.json()["pagination"]["total"] == 2
    assert len(of_worker.json()["data"]) == 1
    assert await desk.data("/analytics/error-logs/services") == ["api", "worker"]


async def test_errors_are_forgotten_by_service_or_all_and_that_is_audited(desk: Desk) -> None:
    for service in ("worker", "worker", "api"):
        await record_error(desk.world.pool, service=service, error_message="an error")
    of_worker = await desk.delete("/analytics/error-logs", service="worker")
    everything = await desk.delete("/analytics/error-logs")
    wrong = await desk.delete("/analytics/error-logs", servce="worker")

    assert of_worker.json() == {"data": {"deleted": 2}}
    assert everything.json() == {"data": {"deleted": 1}}
    assert wrong.status_code == 400
    newest, older = await desk.acts("error_logs.delete")
    is_exactly(Act, newest)
    assert (newest["subject"], newest["details"]) == ("all", {"deleted": 1})
    assert (older["subject"], older["details"]) == ("worker", {"deleted": 2})
    assert newest["actor"].startswith("key:")


async def test_the_audit_log_is_filtered(desk: Desk) -> None:
    await desk.delete("/analytics/error-logs")
    [act] = await desk.acts("error_logs.delete")
    assert [row["id"] for row in await desk.data("/analytics/audit-log", actor=act["actor"])] == [act["id"]]
    assert await desk.data("/analytics/audit-log", subject="nothing") == []
    assert await desk.data("/analytics/audit-log", created_before="2020-01-01T00:00:00Z") == []
    backwards = await desk.get(
        "/analytics/audit-log", created_after="2026-01-02T00:00:00Z", created_before="2026-01-01T00:00:00Z"
    )
    assert backwards.status_code == 400


async def test_the_quarantine_is_listed_and_shows_a_payload_as_it_came(desk: Desk) -> None:
    run = await desk.world.run()
    rows = await desk.data("/analytics/rejected")
    one = await desk.data("/analytics/rejected/nivoda/free")

    for row in rows:
        is_exactly(RejectedStone, row)
    assert {row["readable"] for row in rows} == {True, False}
    is_exactly(RejectedPayload, one)
    assert one["payload"]["price"] == 0
    reason = one["reason"]
    for filters, expected in (
        ({"reason": reason}, 1),
        ({"feed": "nivoda"}, 2),
        ({"feed": "another"}, 0),
        ({"run_id": str(run.run_id)}, 2),
        ({"resolved": "false"}, 2),
        ({"resolved": "true"}, 0),
    ):
        answer = await desk.get("/analytics/rejected", **filters)
        assert answer.json()["pagination"]["total"] == len(answer.json()["data"]) == expected, filters
    made_up = next(row["supplierStoneId"] for row in rows if not row["readable"])
    assert (await desk.data(f"/analytics/rejected/nivoda/{made_up}"))[
        "payload"
    ] == "null"  # the text that came
    unknown = await desk.get("/analytics/rejected/nivoda/unheard/of")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "NOT_FOUND")


async def set_aside(desk: Desk, queue: str, *bodies: int) -> None:
    room = desk.world.queues[queue]
    await room.send([Message({"n": body}) for body in bodies])
    for message in await room.receive(100, wait_seconds=0):
        await room.dead_letter(message, reason="PoisonMessage", description="no run in it")


async def test_dead_letters_are_listed_and_replayed_all_or_by_id(desk: Desk) -> None:
    await set_aside(desk, WORK_ITEMS, 1, 2)
    await set_aside(desk, CONSOLIDATE, 3)

    everything = await desk.data("/analytics/dead-letters")
    of_queue = await desk.get("/analytics/dead-letters", queue="work-items", limit=1)
    for letter in everything:
        is_exactly(DeadLetterAnswer, letter)
    assert [letter["body"]["n"] for letter in everything] == [1, 2, 3]
    assert of_queue.json()["pagination"]["total"] == 2

    one = await desk.post(
        "/triggers/replay-dead-letters",
        {"queue": "work-items", "ids": [everything[0]["id"], "gone"]},
    )
    rest = await desk.post("/triggers/replay-dead-letters", {"queue": "work-items"})
    assert (one.json()["data"]["replayed"], one.json()["data"]["missing"]) == (1, ["gone"])
    assert rest.json()["data"]["replayed"] == 1
    assert [m.body for m in await desk.world.queues[WORK_ITEMS].receive(9, wait_seconds=0)] == [
        {"n": 1},
        {"n": 2},
    ]
    assert len(await desk.data("/analytics/dead-letters")) == 1
    assert [act["subject"] for act in await desk.acts("dead_letters.replay")] == ["work-items"] * 2


async def test_an_unknown_queue_is_400_and_names_those_that_there_are(desk: Desk) -> None:
    listed = await desk.get("/analytics/dead-letters", queue="letters")
    replayed = await desk.post("/triggers/replay-dead-letters", {"queue": "letters"})
    for answer in (listed, replayed):
        assert answer.status_code == 400
        assert answer.json()["error"]["details"][0]["allowed"] == ["work-items", "work-done", "consolidate"]
