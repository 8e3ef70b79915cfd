"""What can go wrong between client and supplier, and when it does: by rate, by schedule, for a while."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from diamond_opus.simulator.http import Response

FaultKind = Literal[
    "http_429",  # too many requests, with Retry-After when ``seconds`` is set
    "gateway_403",  # the gateway's block, in HTML
    "bad_gateway",  # 502, in HTML
    "unavailable",  # 503, in HTML
    "truncated",  # the body ends in the middle and the connection with it
    "malformed_json",  # a complete answer that is no JSON
    "reset",  # the connection breaks before the request is looked at
    "answer_lost",  # the request is carried out, then the connection breaks
    "slow",  # the answer comes after ``seconds``
    "expired_token",  # every token given out so far expires just before the request
    "partial_errors",  # some items of a page are null, with errors
    "hold_refused",  # the vendor denies the hold
    "cancel_refused",  # the hold goes on
    "order_refused",  # the order is not taken
    "failed_after",  # the request is carried out, then the server says that it failed itself
]

#: What befalls the answer of one of the supplier's own operations.
REFUSALS = frozenset({"hold_refused", "cancel_refused", "order_refused"})

#: What a request does: for ``Fault.requests`` and the statistics.
REQUEST_KINDS = (
    "login", "page", "count", "by_id", "create_hold", "cancel_hold", "create_order", "create_request",
    "other",
)  # fmt: skip

_FAILED_ITSELF = (
    b'{"data":null,"errors":[{"message":"Internal server error",'
    b'"extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}'
)

_GATEWAY_PAGE = (
    "<!DOCTYPE html><html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr>"
    "<center>gateway</center></body></html>\n"
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule. It befalls each request of the kinds in ``requests`` (all, when empty) with probability
    ``rate``, or every ``every``-th of them; not the first ``after``; and at most ``limit`` of them.
    """

    kind: FaultKind
    rate: float = 1.0
    every: int | None = None
    after: int = 0
    limit: int | None = None
    requests: Sequence[str] = ()
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            raise ValueError(f"unknown fault {self.kind!r}; there are {', '.join(get_args(FaultKind))}")
        if unknown := set(self.requests) - set(REQUEST_KINDS):
            raise ValueError(f"unknown request kind {min(unknown)!r}; there are {', '.join(REQUEST_KINDS)}")
        if not 0 <= self.rate <= 1 or (self.every is not None and self.every < 1):
            raise ValueError(f"a fault's rate is between 0 and 1, and every is at least 1: {self}")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Fault":
        """Raises ValueError or TypeError, both fit to be shown."""
        return cls(**{**value, "requests": tuple(value.get("requests", ()))})


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    left: int | None = None


class Faults:
    """The rules in force, asked once for each request; the first that applies wins."""

    def __init__(self, faults: Sequence[Fault], seed: int) -> None:
        self._rng = random.Random(f"faults {seed}")
        self.injected: Counter[str] = Counter()
        self.set(faults)

    def set(self, faults: Sequence[Fault]) -> None:
        """Replace all rules; their counting starts anew."""
        self._armed = [_Armed(fault, left=fault.limit) for fault in faults]

    def add(self, faults: Sequence[Fault]) -> None:
        self._armed += [_Armed(fault, left=fault.limit) for fault in faults]

    @property
    def rules(self) -> list[Fault]:
        """What is still in force, with the limits that are left."""
        return [replace(armed.fault, limit=armed.left) for armed in self._armed if armed.left != 0]

    def befalling(self, request_kind: str) -> Fault | None:
        """The fault of the request that has just come."""
        for armed in self._armed:
            fault = armed.fault
            if armed.left == 0 or (fault.requests and request_kind not in fault.requests):
                continue
            armed.seen += 1
            turn = armed.seen - fault.after
            if turn <= 0 or (turn % fault.every if fault.every else self._rng.random() >= fault.rate):
                continue
            if armed.left is not None:
                armed.left -= 1
            self.injected[fault.kind] += 1
            return fault
        return None


def instead_of_answer(fault: Fault) -> Response | None:
    """The response of a fault that keeps the request from being carried out; None for the other faults."""
    if fault.kind == "reset":
        return Response(is_lost=True)
    if fault.kind == "http_429":
        return too_many_requests(fault.seconds)
    titles = {
        "gateway_403": (403, "403 Forbidden"),
        "bad_gateway": (502, "502 Bad Gateway"),
        "unavailable": (503, "503 Service Unavailable"),
    }
    if fault.kind not in titles:
        return None
    status, title = titles[fault.kind]
    return Response(status, _GATEWAY_PAGE.format(title).encode(), content_type="text/html")


def too_many_requests(retry_after_seconds: float = 0.0) -> Response:
    headers = {"retry-after": f"{retry_after_seconds:g}"} if retry_after_seconds else {}
    return Response(429, b'{"message":"Too Many Requests"}', headers=headers)


def spoiled(fault: Fault, answer: Response) -> Response:
    """The answer of a request that was carried out, as the fault lets it arrive."""
    assert isinstance(answer.body, bytes)  # noqa: S101
    if fault.kind == "truncated":
        return replace(answer, cut_after=len(answer.body) // 2)
    if fault.kind == "malformed_json":
        return replace(answer, body=answer.body[: len(answer.body) * 2 // 3] + b"\n<!-- upstream error -->")
    if fault.kind == "answer_lost":
        return Response(is_lost=True)
    if fault.kind == "failed_after":
        return replace(answer, body=_FAILED_ITSELF)
    if fault.kind == "slow":
        return replace(answer, delay_seconds=answer.delay_seconds + fault.seconds)
    return answer
