"""How people change pricing rules: checked as a whole before they are stored, and noted in the audit log.

Nothing here prices a stone: a rule takes effect when stones are priced the next time.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from pydantic.alias_generators import to_camel

from diamond_opus.db.audit import record_act
from diamond_opus.db.pool import Connection
from diamond_opus.domain.errors import DiamondError
from diamond_opus.domain.shapes import normalise_shape
from diamond_opus.pricing import store
from diamond_opus.pricing.rules import PricingRule
from diamond_opus.pricing.store import StoredRule


class RuleNotFound(DiamondError):
    """There is no pricing rule with this id."""

    def __init__(self, rule_id: UUID) -> None:
        super().__init__(f"there is no pricing rule with the id {rule_id}")


async def create_rule(
    conn: Connection, values: Mapping[str, Any], *, actor: str, now: datetime
) -> StoredRule:
    """A new rule of these columns. Raises InvalidRule."""
    rule = PricingRule.create(id=uuid4(), **_with_shapes_normalised(values))
    await store.insert_rule(conn, rule, now)
    stored = await _get(conn, UUID(str(rule.id)))
    await _audit(conn, actor, "create", stored, {"rule": _plain(_criteria(stored))})
    return stored


async def change_rule(
    conn: Connection, rule_id: UUID, changes: Mapping[str, Any], *, actor: str, now: datetime
) -> StoredRule:
    """The rule with these columns replaced; the others stay. Raises RuleNotFound or InvalidRule."""
    before = await _get(conn, rule_id, for_change=True)
    rule = PricingRule.create(id=rule_id, **{**_criteria(before), **_with_shapes_normalised(changes)})
    await store.update_rule(conn, rule, now)
    after = await _get(conn, rule_id)
    old, new = _criteria(before), _criteria(after)
    changed = [name for name in new if new[name] != old[name]]
    if changed:
        details = {
            "before": _plain({name: old[name] for name in changed}),
            "after": _plain({name: new[name] for name in changed}),
        }
        await _audit(conn, actor, "update", after, details)
    return after


async def deactivate_rule(conn: Connection, rule_id: UUID, *, actor: str, now: datetime) -> StoredRule:
    """Take the rule out of pricing and keep it; doing so again changes nothing. Raises RuleNotFound."""
    before = await _get(conn, rule_id, for_change=True)
    if not before.active:
        return before
    await store.deactivate_rule(conn, rule_id, now)
    after = await _get(conn, rule_id)
    await _audit(conn, actor, "deactivate", after, {})
    return after


async def _get(conn: Connection, rule_id: UUID, *, for_change: bool = False) -> StoredRule:
    rule = await store.get_rule(conn, rule_id, for_change=for_change)
    if rule is None:
        raise RuleNotFound(rule_id)
    return rule


def _criteria(rule: StoredRule) -> dict[str, Any]:
    """What a person decides about a rule, by column."""
    columns = asdict(rule)
    for name in ("id", "created_at", "updated_at"):
        del columns[name]
    return columns


def _with_shapes_normalised(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Shapes as stones carry them, each once: a rule for "Round" must not look as if it matched nothing."""
    shapes = values.get("shapes")
    if not shapes:
        return values
    return {**values, "shapes": list(dict.fromkeys(map(normalise_shape, shapes)))}


def _plain(columns: Mapping[str, Any]) -> dict[str, Any]:
    """JSON of columns; decimals as the texts that they are."""
    return {
        to_camel(name): str(value) if isinstance(value, Decimal) else value for name, value in columns.items()
    }


async def _audit(
    conn: Connection, actor: str, action: str, rule: StoredRule, details: Mapping[str, Any]
) -> None:
    await record_act(
        conn, actor=actor, action=f"pricing_rule.{action}", subject=str(rule.id), details=details
    )
