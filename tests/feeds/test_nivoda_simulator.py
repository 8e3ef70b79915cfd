"""The feed against the simulated supplier: the real protocol, with everything hostile it knows."""

from collections.abc import AsyncIterator
from typing import Literal

import pytest
from feed_builders import FullJitter, RecordingClock

from diamond_opus.domain.errors import Warned
from diamond_opus.domain.selection import Selection
from diamond_opus.domain.stone import Stone
from diamond_opus.feeds.budget import UnlimitedBudget
from diamond_opus.feeds.nivoda import (
    NivodaAccount,
    NivodaClient,
    NivodaMapper,
    WrongCredentials,
    validate_filter,
)
from diamond_opus.feeds.protocol import RawItem, RawStone, Rejected, Unreadable
from diamond_opus.simulator.faults import Fault, FaultKind
from diamond_opus.simulator.server import Simulator
from diamond_opus.simulator.settings import DEFAULT_PASSWORD, DEFAULT_USERNAME, SimulatorSettings

NATURAL, LAB_GROWN = Selection(lab_grown=False), Selection(lab_grown=True)


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    settings = SimulatorSettings(
        stones=2_000, seed=7, hostile_share=0.2, wrong_types=True, lone_surrogates=True, unstable_ties=False
    )
    async with Simulator(settings) as running:
        yield running


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[NivodaClient]:
    async with open_client(simulator) as opened:
        yield opened


def open_client(
    simulator: Simulator, password: str = DEFAULT_PASSWORD, base_filter: str = ""
) -> NivodaClient:
    return NivodaClient(
        NivodaAccount(simulator.url, DEFAULT_USERNAME, password),
        budget=UnlimitedBudget(),
        clock=RecordingClock(),
        base_filter=validate_filter(base_filter),
        jitter=FullJitter(),
    )


async def read_all(client: NivodaClient, selection: Selection) -> list[RawItem | Unreadable]:
    rows: list[RawItem | Unreadable] = []
    while page := (await client.read_page(selection, offset=len(rows), limit=50)).rows:
        rows += page
    return rows


async def test_every_stone_is_read_or_told_as_unreadable(simulator: Simulator, client: NivodaClient) -> None:
    for selection in (NATURAL, LAB_GROWN):
        rows = await read_all(client, selection)
        expected = {truth.id for truth in simulator.truth() if truth.lab_grown is selection.lab_grown}

        found = {row.supplier_stone_id for row in rows if isinstance(row, RawItem)}
        unreadable = [row for row in rows if isinstance(row, Unreadable)]

        assert found <= expected
        assert len(found) + len(unreadable) == len(expected) == await client.count(selection)
        assert unreadable
        assert all("failed at the supplier" in row.reason for row in unreadable)


async def test_each_hostile_stone_gets_the_verdict_it_deserves(
    simulator: Simulator, client: NivodaClient
) -> None:
    truths = {truth.id: truth for truth in simulator.truth()}
    mapper = NivodaMapper()
    seen: set[str] = set()
    for selection in (NATURAL, LAB_GROWN):
        for row in await read_all(client, selection):
            if isinstance(row, Unreadable):
                continue
            truth = truths[row.supplier_stone_id]
            raw = RawStone(row.supplier_stone_id, row.offer_id, row.payload, selection.lab_grown, 0, None)
            result = mapper.map_stone(raw, [])

            if truth.verdict != "either":
                assert isinstance(result, Rejected) is (truth.verdict == "rejected"), (truth, result)
            if truth.hostile is not None:
                seen.add(truth.hostile)
            if isinstance(result, Stone):
                assert result.lab_grown is selection.lab_grown
                assert result.feed_price_cents == int(truth.price_cents)
                assert result.feed_availability != "available" or truth.availability == "AVAILABLE"
                assert result.certificate_number == truth.certificate_number

    assert {"comments_lone_surrogate", "comments_nul", "measures_absurd", "price_fraction"} <= seen


async def test_an_honest_stone_is_mapped_without_a_warning() -> None:
    settings = SimulatorSettings(stones=500, seed=3, hostile_share=0.0)
    warnings: list[Warned] = []
    async with Simulator(settings) as simulator, open_client(simulator) as client:
        for selection in (NATURAL, LAB_GROWN):
            for row in await read_all(client, selection):
                assert isinstance(row, RawItem)
                raw = RawStone(row.supplier_stone_id, row.offer_id, row.payload, selection.lab_grown, 0, None)
                assert isinstance(NivodaMapper().map_stone(raw, warnings), Stone)

    assert warnings == []


async def test_stones_are_looked_up_by_id(simulator: Simulator, client: NivodaClient) -> None:
    honest = [truth for truth in simulator.truth() if truth.hostile is None and not truth.lab_grown][:20]
    absent = "00000000-0000-4000-8000-000000000000"

    presence = await client.look_up([*(truth.id for truth in honest), absent], lab_grown=False)

    assert {row.supplier_stone_id for row in presence.found} == {truth.id for truth in honest}
    assert presence.uncertain_ids == frozenset()


async def test_a_stone_whose_item_is_null_is_uncertain_and_not_absent(
    simulator: Simulator, client: NivodaClient
) -> None:
    hidden = next(truth for truth in simulator.truth() if truth.verdict == "unreadable" and truth.present)
    absent = "00000000-0000-4000-8000-000000000000"

    presence = await client.look_up([hidden.id, absent], lab_grown=hidden.lab_grown)

    assert list(presence.found) == []
    assert presence.uncertain_ids == {hidden.id}


async def test_the_parts_of_a_selection_are_counted_as_the_whole(
    simulator: Simulator, client: NivodaClient
) -> None:
    total = await client.count(NATURAL)
    by_color = [await client.count(Selection(lab_grown=False, colors=(color,))) for color in client.colors]
    below = await client.count(Selection(lab_grown=False, carats_to=99))
    above = await client.count(Selection(lab_grown=False, carats_from=100))

    assert sum(by_color) == total
    assert below + above == total


async def test_the_base_filter_narrows_counts_and_pages(simulator: Simulator) -> None:
    async with open_client(simulator, base_filter='{"availability": ["SOLD"]}') as client:
        rows = await read_all(client, LAB_GROWN)
        assert len(rows) == await client.count(LAB_GROWN) > 0

    sold = {truth.id for truth in simulator.truth() if truth.availability == "SOLD"}
    assert {row.supplier_stone_id for row in rows if isinstance(row, RawItem)} <= sold


FAULTS: tuple[FaultKind, ...] = (
    "http_429", "gateway_403", "bad_gateway", "unavailable", "truncated", "malformed_json", "reset",
    "answer_lost", "expired_token",
)  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
async def test_a_fault_that_passes_is_survived(
    simulator: Simulator, client: NivodaClient, kind: FaultKind
) -> None:
    expected = await client.count(NATURAL)
    simulator.set_faults([Fault(kind, limit=2)])

    assert await client.count(NATURAL) == expected


async def test_a_page_with_partial_errors_keeps_its_other_items(
    simulator: Simulator, client: NivodaClient
) -> None:
    simulator.set_faults([Fault("partial_errors", limit=1)])

    rows = (await client.read_page(NATURAL, offset=0, limit=50)).rows

    assert {type(row) for row in rows} == {RawItem, Unreadable}


@pytest.mark.parametrize("refused", ["null", "error"])
async def test_a_wrong_password_is_told_plainly(refused: Literal["null", "error"]) -> None:
    settings = SimulatorSettings(stones=10, seed=1, refused_login=refused)
    async with Simulator(settings) as simulator, open_client(simulator, password="wrong") as client:
        with pytest.raises(WrongCredentials, match="check NIVODA_USERNAME and NIVODA_PASSWORD"):
            await client.check()
