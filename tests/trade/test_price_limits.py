"""The price of an order: asked anew, held to the caller's limit, and no way to learn what a stone costs."""

from trade_market import Client, Market


async def test_a_limit_of_who_may_not_see_cost_is_one_of_the_selling_price(
    market: Market, shop: Client
) -> None:
    """Trying limits tells what the stone sells for, which everybody may know, and never what it costs."""
    stone = await market.stone()
    row = await market.diamond(stone)
    cost, selling = int(row["feed_price"] * 100), int(row["price_model_price"] * 100)

    for number, limit in enumerate((cost, selling - 1)):
        assert (await shop.buy(stone, f"low-{number}", maxPriceCents=limit)).status_code == 409
    assert not market.orders
    assert (await shop.buy(stone, "enough", maxPriceCents=selling)).status_code == 201


async def test_the_price_is_asked_anew_and_a_dearer_stone_is_not_ordered(market: Market) -> None:
    shop = await market.client("trade", "cost")
    stone = await market.stone()
    cents = int((await market.diamond(stone))["feed_price"] * 100)
    row = market.simulator.supplier.inventory.row_of(await market.supplier_id(stone))
    assert row is not None
    market.simulator.supplier.inventory.reprice(row, cents + 1, market.simulator.supplier.clock.now_ms())

    refused = await shop.buy(stone, maxPriceCents=cents)

    assert refused.status_code == 409
    assert refused.json()["error"]["details"] == {"maxPriceCents": cents, "feedPriceCents": cents + 1}
    assert await market.availability(stone) == "available"
    told = (await (await market.client()).buy(stone, maxPriceCents=cents)).json()
    assert told["error"]["details"] == {"maxPriceCents": cents}
    assert not market.orders

    assert (await shop.buy(stone, "key-2", maxPriceCents=cents + 1)).status_code == 201
    bought = await market.row("SELECT feed_price FROM purchase_history WHERE status = 'ordered'")
    assert int(bought["feed_price"] * 100) == cents + 1


async def test_a_price_ten_times_off_is_no_price_to_order_at(market: Market, shop: Client) -> None:
    stone = await market.stone()
    cents = int((await market.diamond(stone))["feed_price"] * 100)
    row = market.simulator.supplier.inventory.row_of(await market.supplier_id(stone))
    assert row is not None
    market.simulator.supplier.inventory.reprice(row, cents * 100, market.simulator.supplier.clock.now_ms())

    assert (await shop.buy(stone)).status_code == 409
    assert not market.orders
