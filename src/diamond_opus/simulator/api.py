"""The supplier's GraphQL roots: what each field of Query and Mutation answers to whom."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from graphql import OperationType

from diamond_opus.simulator.accounts import Accounts
from diamond_opus.simulator.execute import FieldError, Stones
from diamond_opus.simulator.fields import SUPPLIER_IDS
from diamond_opus.simulator.filters import Filter, Lookup, compile_filter
from diamond_opus.simulator.inventory import Inventory
from diamond_opus.simulator.predicates import RefusedFilterError
from diamond_opus.simulator.selection import Selection
from diamond_opus.simulator.selections import Selections
from diamond_opus.simulator.settings import SimulatorSettings
from diamond_opus.simulator.trade import Trade
from diamond_opus.simulator.traffic import Traffic
from diamond_opus.simulator.view import rows_of_certificates

#: The supplier's documented page size, and the most this server gives.
MAX_LIMIT = 50

_EXCHANGE_RATES = [{"id": "USD", "name": "USD", "to_USD": 1.0}]
_CURRENCIES = [
    {"id": name, "value": name, "label": name, "is_active": True}
    for name in ("USD", "GBP", "EUR", "ZAR", "HKD", "INR", "AUD", "CAD", "AED")
]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and which faults befall the answer."""

    token: str | None
    spoil_items: bool = False
    refused: str | None = None


class Api:
    """Builds a tree of answers for one caller; every field but ``authenticate`` needs a good token."""

    def __init__(
        self,
        settings: SimulatorSettings,
        inventory: Inventory,
        accounts: Accounts,
        trade: Trade,
        traffic: Traffic,
    ) -> None:
        self._settings = settings
        self._inventory = inventory
        self._accounts = accounts
        self._trade = trade
        self._traffic = traffic
        self._selections = Selections(inventory)
        self._rng = np.random.default_rng([settings.seed % (1 << 63), 2])
        supplier_codes = {supplier_id: code for code, supplier_id in enumerate(SUPPLIER_IDS)}
        self._lookup = Lookup(
            rows_of_ids=lambda ids: [
                row for name in ids if (row := inventory.row_of(name.removeprefix("DIAMOND/"))) is not None
            ],
            rows_of_certificates=lambda numbers: rows_of_certificates(inventory, numbers),
            supplier_codes=lambda ids: [supplier_codes[name] for name in ids if name in supplier_codes],
        )

    def root(self, caller: Caller, operation: OperationType) -> dict[str, Any]:
        return self._query(caller) if operation is OperationType.QUERY else self._mutation(caller)

    def _query(self, caller: Caller) -> dict[str, Any]:
        return {
            "authenticate": {
                "username_and_password": self._log_in,
                "username_and_token": lambda username, token: self._refresh(token),  # noqa: ARG005
                "refresh_token": lambda refresh_token: self._refresh(refresh_token),
                "auto_login": lambda email, token, is_super_saver=False: self._refresh(token),  # noqa: ARG005
            },
            "as": lambda token=None: self._query(replace(caller, token=token)),
            "b2c_key": lambda token: self._query(replace(caller, token=token)),
            "diamonds_by_query": self._guarded(caller, lambda **asked: self._page(caller, **asked)),
            "diamonds_by_query_count": self._guarded(caller, self._count),
            "get_diamond_by_id": self._guarded(caller, self._by_id),
            "get_exchange_rates": self._guarded(caller, lambda apply_markup=None: _EXCHANGE_RATES),  # noqa: ARG005
            "get_currencies": self._guarded(caller, lambda: _CURRENCIES),
        }

    def _mutation(self, caller: Caller) -> dict[str, Any]:
        trade = self._trade
        answers: dict[str, Any] = {
            "create_hold": lambda ProductId, ProductType, requested_info=(): trade.create_hold(  # noqa: N803
                ProductId, ProductType, requested_info or (), refuse=caller.refused == "hold_refused"
            ),
            "cancel_hold": lambda hold_id: trade.cancel_hold(
                hold_id, refuse=caller.refused == "cancel_refused"
            ),
            "create_order": lambda items: trade.create_order(items, refuse=caller.refused == "order_refused"),
            "create_request": trade.create_request,
            "create_concierge_order_request": trade.create_concierge_request,
            "create_location": trade.create_location,
            "update_location": lambda id, location=None: trade.update_location(id, location),  # noqa: A006
            "delete_location": lambda id: trade.delete_location(id),  # noqa: A006
        }
        return {
            "as": lambda token: self._mutation(replace(caller, token=token)),
            **{name: self._guarded(caller, answer) for name, answer in answers.items()},
        }

    def _guarded(self, caller: Caller, answer: Any) -> Any:
        """The answer for those whose token is good. Raises AuthenticationError when asked by others."""

        def ask(**arguments: Any) -> Any:
            self._accounts.check(caller.token)
            return answer(**arguments)

        return ask

    def _log_in(self, username: str, password: str, **_: str | None) -> dict[str, Any] | None:
        if self._accounts.knows(username, password):
            return self._accounts.open_session()
        self._traffic.logins_refused += 1
        if self._settings.refused_login == "error":
            raise FieldError("Invalid username or password")
        return None

    def _refresh(self, token: str) -> dict[str, Any] | None:
        return self._accounts.open_session() if self._accounts.is_refresh_token(token) else None

    def _page(
        self, caller: Caller, offset: int | None = None, limit: int | None = None,
        query: Mapping[str, Any] | None = None, order: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        first = 0 if offset is None else offset
        most = MAX_LIMIT if limit is None else limit
        self._check_window(first, most)
        filter_ = self._filter(query)
        by, direction = (order["type"], order["direction"]) if order else ("none", "ASC")
        selection = self._selections.select(filter_, by, descending=direction == "DESC")
        rows = self._served(selection, first, most)
        self._traffic.rows += len(rows)
        self._traffic.max_offset = max(self._traffic.max_offset, first)
        spoiled = (
            frozenset(np.flatnonzero(self._rng.random(len(rows)) < 0.1).tolist())
            if caller.spoil_items
            else frozenset()
        )
        return {
            "items": Stones(rows, spoiled, report=self._settings.null_item_errors),
            "total_count": len(rows),
        }

    def _check_window(self, offset: int, limit: int) -> None:
        if limit > MAX_LIMIT:
            raise FieldError(f"limit must not be greater than {MAX_LIMIT}, got {limit}")
        if limit < 0 or offset < 0:
            raise FieldError(f"offset and limit must not be negative, got {offset} and {limit}")
        deepest = self._settings.max_offset
        if deepest is not None and offset > deepest:
            raise FieldError(f"offset must not be greater than {deepest}, got {offset}")

    def _served(self, selection: Selection, offset: int, limit: int) -> Any:
        """The rows of a page: neighbours with equal keys may have changed places, and the last ones may be
        withheld.
        """
        start, stop = max(0, offset - 1), offset + limit + 1
        rows, keys = selection.window(start, stop)
        if self._settings.unstable_ties and len(rows) > 1:
            rows = rows.copy()
            swaps = np.flatnonzero(
                (keys[1:] == keys[:-1]) & (self._rng.random(len(keys) - 1) < self._settings.tie_swap_rate)
            )
            for at in swaps.tolist():
                rows[at], rows[at + 1] = rows[at + 1], rows[at]
        page = rows[offset - start : offset - start + limit]
        if len(page) > 1 and self._rng.random() < self._settings.short_page_rate:
            self._traffic.short_pages += 1
            page = page[: -int(self._rng.integers(1, max(1, len(page) // 4) + 1))]
        return page

    def _count(
        self, offset: int | None = None, limit: int | None = None,  # noqa: ARG002
        query: Mapping[str, Any] | None = None, order: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> int:  # fmt: skip
        return int(self._selections.count(self._filter(query)) * self._settings.count_factor)

    def _by_id(self, diamond_id: str) -> Stones:
        """One listed stone by its bare UUID; a stone that vanished is an error, like one that never was."""
        row = self._inventory.row_of(diamond_id)
        if row is None or not self._inventory.columns.present[row]:
            raise FieldError("Diamond not found")
        return Stones(np.array([row]), report=self._settings.null_item_errors)

    def _filter(self, query: Mapping[str, Any] | None) -> Filter:
        try:
            return compile_filter(query, self._lookup)
        except RefusedFilterError as error:
            raise FieldError(str(error)) from None
