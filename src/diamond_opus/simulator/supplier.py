"""One simulated supplier: takes HTTP requests for its GraphQL, lets faults and churn happen, and answers."""

from typing import Any

import orjson
from graphql import FieldNode, GraphQLError, OperationDefinitionNode

from diamond_opus.simulator.accounts import Accounts
from diamond_opus.simulator.api import Api, Caller
from diamond_opus.simulator.churn import Churn
from diamond_opus.simulator.clock import Clock
from diamond_opus.simulator.documents import Document, load_schema
from diamond_opus.simulator.execute import Executor, RequestError
from diamond_opus.simulator.faults import REFUSALS, Faults, instead_of_answer, spoiled, too_many_requests
from diamond_opus.simulator.http import Request, Response
from diamond_opus.simulator.inventory import Inventory
from diamond_opus.simulator.settings import SimulatorSettings
from diamond_opus.simulator.trade import Trade
from diamond_opus.simulator.traffic import Traffic

_KINDS = {
    "authenticate": "login",
    "diamonds_by_query": "page",
    "diamonds_by_query_count": "count",
    "get_diamond_by_id": "by_id",
    "create_hold": "create_hold",
    "cancel_hold": "cancel_hold",
    "create_order": "create_order",
    "create_request": "create_request",
    "create_concierge_order_request": "create_request",
}


class Supplier:
    """The parts of a supplier, wired; synchronous, because nothing in it waits."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.settings = settings
        self.clock = Clock()
        self.inventory = Inventory(
            seed=settings.seed,
            stones=settings.stones,
            hostile_share=settings.hostile_share,
            hostile_options=settings.hostile_options,
        )
        self.accounts = Accounts(
            self.clock,
            username=settings.username,
            password=settings.password,
            lifetime_seconds=settings.token_lifetime_seconds,
            seed=settings.seed,
            expires_in=settings.expires_in,
        )
        self.trade = Trade(self.inventory, self.clock, settings.seed)
        self.churn = Churn(
            self.inventory,
            self.clock,
            seed=settings.seed,
            per_1000_requests=settings.churn_per_1000_requests,
            per_second=settings.churn_per_second,
        )
        self.faults = Faults(settings.faults, settings.seed)
        self.traffic = Traffic()
        self._api = Api(settings, self.inventory, self.accounts, self.trade, self.traffic)
        self._executor = Executor(load_schema(), self.inventory)

    def handle(self, request: Request) -> Response:
        """Answer one POST of ``{query, variables, operationName}``."""
        self.traffic.arrive()
        response = self._answer(request)
        self.traffic.statuses["lost" if response.is_lost else str(response.status)] += 1
        return response

    def _answer(self, request: Request) -> Response:
        if not self.traffic.admits(self.settings.max_requests_per_second):
            return too_many_requests()
        self.churn.on_request()
        self.trade.let_time_pass()
        try:
            text, variables, name = _read(request.body)
            document, operation = self._executor.prepare(text, name)
        except RequestError as error:
            self.traffic.by_kind["invalid"] += 1
            return _refused(error)
        kind = _kind(document, operation)
        self.traffic.by_kind[kind] += 1
        fault = self.faults.befalling(kind)
        if fault and (response := instead_of_answer(fault)):
            return response
        if fault and fault.kind == "expired_token":
            self.accounts.expire_all()
        caller = Caller(
            _bearer(request.headers.get("authorization", "")),
            spoil_items=fault is not None and fault.kind == "partial_errors",
            refused=fault.kind if fault is not None and fault.kind in REFUSALS else None,
        )
        try:
            body = self._executor.execute(
                document, operation, variables, lambda type_: self._api.root(caller, type_)
            )
        except RequestError as error:
            return _refused(error)
        answer = Response(body=body, delay_seconds=self.settings.answer_delay_seconds)
        return spoiled(fault, answer) if fault else answer


def _read(body: bytes) -> tuple[str, dict[str, Any], str | None]:
    """Query text, variables and operation name. Raises RequestError."""
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError([GraphQLError(f"POST body is not JSON: {error}")]) from None
    if not isinstance(asked, dict) or not isinstance(asked.get("query"), str):
        raise RequestError([GraphQLError("Must provide query string.")])
    variables = asked.get("variables") or {}
    if not isinstance(variables, dict):
        raise RequestError([GraphQLError("Variables must be an object.")])
    return asked["query"], variables, asked.get("operationName")


def _refused(error: RequestError) -> Response:
    return Response(400, orjson.dumps({"errors": error.errors}))


def _bearer(header: str) -> str | None:
    scheme, _, token = header.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _kind(document: Document, operation: OperationDefinitionNode) -> str:
    """What an operation is counted as: its first field that has a name of its own, seen through ``as``."""
    key = ("kind", id(operation))
    known: str | None = document.notes.get(key)
    if known is None:
        known = document.notes[key] = next(_kinds(document, [operation.selection_set]), "other")
    return known


def _kinds(document: Document, sets: list[Any]) -> Any:
    for nodes in document.fields(sets, {}).values():
        node: FieldNode = nodes[0]
        if node.name.value in {"as", "b2c_key"}:
            yield from _kinds(document, [each.selection_set for each in nodes])
        elif node.name.value in _KINDS:
            yield _KINDS[node.name.value]
