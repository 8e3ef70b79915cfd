"""Behind a stone: why it costs what it costs, and what the supplier said."""

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from diamond_opus.api.answers import answer_json
from diamond_opus.api.auth import Caller, Needs
from diamond_opus.api.dependencies import Dependencies
from diamond_opus.api.public.diamonds import StoneId, diamond_not_found, read_stone_id
from diamond_opus.api.query_string import refuse_parameters
from diamond_opus.api.schemas import One
from diamond_opus.api.schemas_catalog import PriceExplanation, RawAnswer
from diamond_opus.catalog.explain import Explanation, explain_price
from diamond_opus.catalog.stones import get_raw_answer
from diamond_opus.keys.permissions import Permission

router = APIRouter(prefix="/diamonds", tags=["diamonds"])


@router.get(
    "/{id}/price-explanation",
    summary="Why a stone costs what it costs",
    responses={200: {"model": One[PriceExplanation]}},
)
async def explain_diamond_price(
    request: Request,
    _caller: Annotated[Caller, Depends(Needs(Permission.COST))],
    dependencies: Dependencies,
    stone_id: StoneId,
) -> Response:
    """The stored price, what today's rules would make of the stone, which rule decides, and why the others do not."""
    refuse_parameters(request)
    known_id = read_stone_id(stone_id)
    async with dependencies.snapshot() as conn:
        explanation = await explain_price(conn, known_id)
    if explanation is None:
        raise diamond_not_found(known_id)
    return answer_json({"data": _shown(explanation)})


@router.get(
    "/{id}/raw", summary="The supplier's own answer about a stone", responses={200: {"model": One[RawAnswer]}}
)
async def read_raw_answer(
    request: Request,
    _caller: Annotated[Caller, Depends(Needs(Permission.ADMIN))],
    dependencies: Dependencies,
    stone_id: StoneId,
) -> Response:
    """The newest payload, byte for byte as it was received, also of a stone that was removed.

    Of one that is gone for long it was dropped: then it is null, and `payloadDroppedAt` says since when.
    """
    refuse_parameters(request)
    known_id = read_stone_id(stone_id)
    async with dependencies.snapshot() as conn:
        raw = await get_raw_answer(conn, known_id)
    if raw is None:
        raise diamond_not_found(known_id)
    return answer_json({"data": {**raw, "payload": orjson.Fragment(raw["payload"])}})


def _shown(explanation: Explanation) -> Mapping[str, Any]:
    stored, now = explanation.stored, explanation.now
    decisive = next((verdict for verdict in explanation.verdicts if not verdict.unmet), None)
    return {
        "id": stored["id"],
        "feedPriceCents": stored["feed_price_cents"],
        "stored": {
            "priceModelPriceCents": stored["price_model_price_cents"],
            "markupRatio": float(stored["markup_ratio"]),
            "rating": stored["rating"],
            "ruleId": stored["rule_id"],
        },
        "now": {
            "priceModelPriceCents": now.price_model_price_cents,
            "markupRatio": float(now.markup_ratio),
            "rating": now.rating,
            "ruleId": now.matched_rule_id,
        },
        "rules": [
            {
                "id": verdict.rule.id,
                "priority": verdict.rule.priority,
                "markupRatio": float(verdict.rule.markup_ratio),
                "rating": verdict.rule.rating,
                "unmet": list(verdict.unmet),
                "isDecisive": verdict is decisive,
            }
            for verdict in explanation.verdicts
        ],
    }
