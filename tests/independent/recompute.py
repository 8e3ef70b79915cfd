"""Recomputes every price from the supplier's ground truth, sharing nothing with the program it judges.

    python tests/independent/recompute.py CONTROL_URL DATABASE_URL

Reads the simulator's truth over HTTP and the tables over SQL, compares stone by stone in Decimal, and prints one
JSON object; the exit code is 1 when anything differs. It imports nothing of diamond_opus on purpose.
"""

import json
import sys
import urllib.request
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg

CENT = Decimal("0.01")


def main(control_url: str, database_url: str) -> int:
    with urllib.request.urlopen(f"{control_url}truth") as answer:  # noqa: S310 - loopback, given by the caller
        truth = [json.loads(line) for line in answer]
    with psycopg.connect(database_url) as conn:
        report = compare(truth, conn)
    print(json.dumps(report))  # noqa: T201
    return 1 if report["wrong"] else 0


def compare(truth: list[dict[str, Any]], conn: psycopg.Connection[Any]) -> dict[str, Any]:
    rules = conn.execute(
        "SELECT carat_min, carat_max, shapes, lab_grown, feed, markup_ratio, rating FROM pricing_rules"
        " WHERE active ORDER BY priority, id"
    ).fetchall()
    diamonds = {
        row[0]: row[1:]
        for row in conn.execute(
            "SELECT supplier_stone_id, feed_price, price_model_price, markup_ratio, rating, carats, lab_grown, shape"
            " FROM diamonds WHERE status = 'active'"
        )
    }
    raw = {row[0] for row in conn.execute("SELECT supplier_stone_id FROM raw_diamonds")}
    wrong = []
    for stone in truth:
        expected_in_raw = stone["verdict"] != "unreadable"
        if (stone["id"] in raw) != expected_in_raw:
            wrong.append(
                f"{stone['id']}: {'missing from' if expected_in_raw else 'should not be in'} raw_diamonds"
            )
        is_diamond = stone["id"] in diamonds
        if stone["verdict"] in ("accepted", "rejected") and is_diamond != (stone["verdict"] == "accepted"):
            wrong.append(f"{stone['id']}: should be {stone['verdict']} ({stone['hostile']})")
        elif is_diamond:
            wrong += differences(stone, diamonds[stone["id"]], rules)
    strangers = raw - {stone["id"] for stone in truth}
    wrong += [f"{stone_id}: the supplier never had it" for stone_id in strangers]
    return {"stones": len(truth), "raw": len(raw), "diamonds": len(diamonds), "wrong": wrong[:20]}


def differences(stone: dict[str, Any], row: tuple[Any, ...], rules: list[tuple[Any, ...]]) -> list[str]:
    feed_price, price, ratio, rating, carats, lab_grown, shape = row
    cost = Decimal(stone["price_cents"]) / 100
    matched_ratio, matched_rating = next(
        (
            (rule[5], rule[6])
            for rule in rules
            if (rule[0] is None or rule[0] <= carats)
            and (rule[1] is None or carats <= rule[1])
            and (rule[2] is None or shape in rule[2])
            and (rule[3] is None or rule[3] == lab_grown)
            and (rule[4] is None or rule[4] == "nivoda")
        ),
        (Decimal("1.15"), 5),
    )
    expected = (cost, (cost * matched_ratio).quantize(CENT, ROUND_HALF_UP), matched_ratio, matched_rating)
    if (feed_price, price, ratio, rating) == expected and lab_grown == stone["lab_grown"]:
        return []
    return [f"{stone['id']}: {(feed_price, price, ratio, rating, lab_grown)} should be {expected}"]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
