"""The control address: ground truth, statistics, and the levers a test pulls. Loopback only.

GET under ``/control/``: ``truth`` and ``events?since=N`` (NDJSON), ``stats``, ``trade``.

POST, with a JSON object:
``churn``          {"events"}, {"remove_share"}, {"share", "requests"} or {"per_1000_requests", "per_second"}
``change``         {"remove": [id], "relist": [id], "reprice": {id: cents}, "availability": {id: word}, "insert": n}
``faults``         {"faults": [...]} replaces the rules, {"add": [...]} adds some
``advance``        {"seconds"} moves the clock
``decide``         {"order_id", "confirm"} ends a pending order
``end-hold``       {"hold_id"} ends an active hold, as its vendor may
``expire-tokens``, ``reset-stats``
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qs

import orjson

from diamond_opus.simulator.faults import Fault
from diamond_opus.simulator.hostile import KINDS
from diamond_opus.simulator.http import Request, Response
from diamond_opus.simulator.supplier import Supplier
from diamond_opus.simulator.truth import ndjson
from diamond_opus.simulator.vocabulary import AVAILABILITIES

PREFIX = "/control/"

_LOOPBACK = ("127.", "::1", "::ffff:127.")
_NDJSON = "application/x-ndjson"
_EVENTS_A_CHUNK = 1_000


class Control:
    """Answers what a test may ask or order; unknown orders and bad values are 400 with the reason."""

    def __init__(self, supplier: Supplier) -> None:
        self._supplier = supplier
        self._reads: dict[str, Callable[[Request], Response]] = {
            "truth": lambda _: Response(body=ndjson(supplier.inventory), content_type=_NDJSON),
            "stats": lambda _: _json(self.stats()),
            "trade": lambda _: _json(asdict(supplier.trade.book)),
            "events": self._events,
        }
        self._orders: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "churn": self._churn,
            "change": self._change,
            "faults": self._set_faults,
            "advance": self._advance,
            "decide": self._decide,
            "end-hold": self._end_hold,
            "expire-tokens": self._expire_tokens,
            "reset-stats": self._reset_stats,
        }

    def handle(self, request: Request) -> Response:
        if not request.peer.startswith(_LOOPBACK):
            return _json({"error": "the control address answers only to loopback"}, 403)
        name = request.path.removeprefix(PREFIX)
        if request.method == "GET" and name in self._reads:
            return self._reads[name](request)
        if request.method != "POST" or name not in self._orders:
            return _json({"error": f"no such control: {request.method} {request.path}"}, 404)
        try:
            body = orjson.loads(request.body or b"{}")
            return _json(self._orders[name](body))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return _json({"error": f"{name}: {error}"}, 400)

    def stats(self) -> dict[str, Any]:
        supplier, inventory = self._supplier, self._supplier.inventory
        hostile = inventory.hostile_counts()
        return {
            **supplier.traffic.snapshot(),
            "faults_injected": dict(supplier.faults.injected),
            "faults": [asdict(fault) for fault in supplier.faults.rules],
            "stones_present": inventory.present_count,
            "stones_ever": inventory.born,
            "events": inventory.log.version,
            "hostile_present": {KINDS[code - 1].name: count for code, count in sorted(hostile.items())},
            "holds": len(supplier.trade.book.holds),
            "orders": len(supplier.trade.book.orders),
            "now_ms": supplier.clock.now_ms(),
        }

    def _events(self, request: Request) -> Response:
        since = int(parse_qs(request.query).get("since", ["0"])[0])
        return Response(body=self._event_lines(since), content_type=_NDJSON)

    def _event_lines(self, since: int) -> Iterator[bytes]:
        inventory = self._supplier.inventory
        lines: list[bytes] = []
        for event in inventory.log.since(since):
            line = {**asdict(event), "kind": event.kind.name.lower(), "id": inventory.stone_id(event.row)}
            lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            if len(lines) == _EVENTS_A_CHUNK:
                yield b"".join(lines)
                lines.clear()
        yield b"".join(lines)

    def _churn(self, body: dict[str, Any]) -> dict[str, Any]:
        churn = self._supplier.churn
        before = self._supplier.inventory.log.version
        if "events" in body:
            churn.apply(int(body["events"]))
        if "remove_share" in body:
            churn.remove_share(float(body["remove_share"]))
        if "share" in body:
            churn.spread(float(body["share"]), int(body["requests"]))
        if "per_1000_requests" in body or "per_second" in body:
            churn.set_rates(
                per_1000_requests=float(body.get("per_1000_requests", 0)),
                per_second=float(body.get("per_second", 0)),
            )
        return {"events": self._supplier.inventory.log.version - before}

    def _change(self, body: dict[str, Any]) -> dict[str, Any]:
        """Move the very stones that a test names."""
        inventory, now = self._supplier.inventory, self._supplier.clock.now_ms()
        before = inventory.log.version
        for stone_id in body.get("remove", ()):
            inventory.remove(self._row(stone_id, present=True), now)
        for stone_id in body.get("relist", ()):
            inventory.relist(self._row(stone_id, present=False), now)
        for stone_id, cents in body.get("reprice", {}).items():
            inventory.reprice(self._row(stone_id, present=True), int(cents), now)
        for stone_id, word in body.get("availability", {}).items():
            inventory.set_availability(self._row(stone_id, present=True), AVAILABILITIES.code(word), now)
        inserted = [inventory.stone_id(inventory.insert(now)) for _ in range(int(body.get("insert", 0)))]
        return {"events": inventory.log.version - before, "inserted": inserted}

    def _row(self, stone_id: str, *, present: bool) -> int:
        row = self._supplier.inventory.row_of(stone_id)
        if row is None or bool(self._supplier.inventory.columns.present[row]) != present:
            raise ValueError(f"stone {stone_id} is {'not ' if present else ''}listed")
        return row

    def _set_faults(self, body: dict[str, Any]) -> dict[str, Any]:
        faults = self._supplier.faults
        if "faults" in body:
            faults.set([Fault.from_json(fault) for fault in body["faults"]])
        faults.add([Fault.from_json(fault) for fault in body.get("add", ())])
        return {"faults": [asdict(fault) for fault in faults.rules]}

    def _advance(self, body: dict[str, Any]) -> dict[str, Any]:
        self._supplier.clock.advance(float(body["seconds"]))
        self._supplier.trade.let_time_pass()
        return {"now_ms": self._supplier.clock.now_ms()}

    def _decide(self, body: dict[str, Any]) -> dict[str, Any]:
        order = self._supplier.trade.decide(str(body["order_id"]), confirm=bool(body["confirm"]))
        return {"order_id": order.id, "state": order.state}

    def _end_hold(self, body: dict[str, Any]) -> dict[str, Any]:
        hold = self._supplier.trade.end_hold(str(body["hold_id"]))
        return {"hold_id": hold.id, "state": hold.state}

    def _expire_tokens(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        self._supplier.accounts.expire_all()
        return {}

    def _reset_stats(self, body: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        self._supplier.traffic.reset()
        self._supplier.faults.injected.clear()
        return {}


def _json(value: object, status: int = 200) -> Response:
    return Response(status, orjson.dumps(value))
