"""Pricing rules over the API: read with ``cost``, changed by administrators."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic.alias_generators import to_camel
from starlette.responses import Response

from diamond_opus.api.answers import answer_json, paginated
from diamond_opus.api.auth import Caller, Needs
from diamond_opus.api.dependencies import ApiDependencies, Dependencies
from diamond_opus.api.errors import ApiError, ErrorCode
from diamond_opus.api.guarded_route import GuardedRoute
from diamond_opus.api.listing import listing, position_of
from diamond_opus.api.query_string import describe_parameters, read_id, read_query, refuse_parameters
from diamond_opus.api.schemas import Body, ListOf, One
from diamond_opus.api.schemas_pricing import NewPricingRule, PricingRule, PricingRuleChange
from diamond_opus.catalog.parameters import InvalidParameters, OneOf, Parameter, Problem, read_parameters
from diamond_opus.keys.permissions import Permission
from diamond_opus.pricing import change_rules
from diamond_opus.pricing.rules import InvalidRule
from diamond_opus.pricing.store import StoredRule, get_rule, page_of_rules

router = APIRouter(prefix="/pricing-rules", tags=["pricing rules"], route_class=GuardedRoute)
Merchandiser = Annotated[Caller, Depends(Needs(Permission.COST))]
Administrator = Annotated[Caller, Depends(Needs(Permission.ADMIN))]
RuleId = Annotated[str, Path(alias="id", json_schema_extra={"format": "uuid"})]

_WHICH: Mapping[str, bool | None] = {"true": True, "false": False, "all": None}
_PARAMETERS = listing(
    Parameter(
        "active",
        OneOf(tuple(_WHICH)),
        "Rules that price, rules that were deactivated, or all.",
        default="true",
    )
)


@router.get(
    "",
    summary="List the pricing rules",
    responses={200: {"model": ListOf[PricingRule]}},
    openapi_extra={"parameters": describe_parameters(_PARAMETERS.values())},
)
async def list_pricing_rules(request: Request, _caller: Merchandiser, dependencies: Dependencies) -> Response:
    """In the order in which they are tried: by priority, then id. The first one that matches a stone prices it."""
    values = read_parameters(_PARAMETERS, read_query(request))
    position = position_of(values)
    async with dependencies.snapshot() as conn:
        rules, total = await page_of_rules(
            conn, active=_WHICH[values.get("active", "true")], limit=position.limit, offset=position.offset
        )
    return answer_json(
        paginated([_shown(rule) for rule in rules], total=total, page=position.page, limit=position.limit)
    )


@router.post("", status_code=201, summary="Make a pricing rule", responses={201: {"model": One[PricingRule]}})
async def create_pricing_rule(
    request: Request, caller: Administrator, dependencies: Dependencies, body: NewPricingRule
) -> Response:
    """It prices the stones that are consolidated from now on; stones already in the catalogue keep their price
    until their feed shows them changed."""
    refuse_parameters(request)
    values = _values(body, dependencies)
    with _told_by_field():
        async with dependencies.unit_of_work() as conn:
            rule = await change_rules.create_rule(conn, values, actor=caller.id, now=dependencies.clock.now())
    return answer_json({"data": _shown(rule)}, status=201)


@router.get("/{id}", summary="One pricing rule", responses={200: {"model": One[PricingRule]}})
async def read_pricing_rule(
    request: Request, _caller: Merchandiser, dependencies: Dependencies, rule_id: RuleId
) -> Response:
    """Active or not."""
    refuse_parameters(request)
    known_id = read_id("id", rule_id)
    async with dependencies.snapshot() as conn:
        rule = await get_rule(conn, known_id)
    if rule is None:
        raise _not_found(change_rules.RuleNotFound(known_id))
    return answer_json({"data": _shown(rule)})


@router.put("/{id}", summary="Change a pricing rule", responses={200: {"model": One[PricingRule]}})
async def change_pricing_rule(
    request: Request,
    caller: Administrator,
    dependencies: Dependencies,
    rule_id: RuleId,
    body: PricingRuleChange,
) -> Response:
    """Fields that are left out stay as they are; null clears a criterion or the rating.

    Stones already in the catalogue keep their price until their feed shows them changed.
    """
    refuse_parameters(request)
    known_id, changes = read_id("id", rule_id), _values(body, dependencies)
    with _told_by_field():
        async with dependencies.unit_of_work() as conn:
            rule = await change_rules.change_rule(
                conn, known_id, changes, actor=caller.id, now=dependencies.clock.now()
            )
    return answer_json({"data": _shown(rule)})


@router.delete("/{id}", summary="Deactivate a pricing rule", responses={200: {"model": One[PricingRule]}})
async def deactivate_pricing_rule(
    request: Request, caller: Administrator, dependencies: Dependencies, rule_id: RuleId
) -> Response:
    """It prices nothing any more, and stays: stones name the rule that priced them. PUT `active` brings it back.

    Any rule may go, the default one too: a stone that no rule matches is sold at 1.15 times its cost, with rating 5.
    """
    refuse_parameters(request)
    known_id = read_id("id", rule_id)
    with _told_by_field():
        async with dependencies.unit_of_work() as conn:
            rule = await change_rules.deactivate_rule(
                conn, known_id, actor=caller.id, now=dependencies.clock.now()
            )
    return answer_json({"data": _shown(rule)})


def _values(body: Body, dependencies: ApiDependencies) -> Mapping[str, Any]:
    """What the client said, by column. Raises InvalidParameters for a feed that there is not."""
    values = {name: getattr(body, name) for name in body.model_fields_set}
    feeds = sorted(dependencies.pipeline.mappers)
    if values.get("feed") is not None and values["feed"] not in feeds:
        raise InvalidParameters([Problem("feed", values["feed"], "is not known", feeds)])
    return values


@contextmanager
def _told_by_field() -> Iterator[None]:
    """What pricing refuses, as the API tells it."""
    try:
        yield
    except InvalidRule as error:
        raise InvalidParameters(
            [Problem(to_camel(error.field), str(error.value), f"must be {error.allowed}")]
        ) from error
    except change_rules.RuleNotFound as error:
        raise _not_found(error) from error


def _not_found(error: change_rules.RuleNotFound) -> ApiError:
    return ApiError(
        404, ErrorCode.NOT_FOUND, str(error), hint="GET /pricing-rules?active=all lists all there are."
    )


def _shown(rule: StoredRule) -> dict[str, Any]:
    """Decimals as the nearest doubles, whose shortest texts have the same digits again."""
    return {
        "id": rule.id,
        "priority": rule.priority,
        "caratMin": None if rule.carat_min is None else float(rule.carat_min),
        "caratMax": None if rule.carat_max is None else float(rule.carat_max),
        "shapes": rule.shapes,
        "labGrown": rule.lab_grown,
        "feed": rule.feed,
        "markupRatio": float(rule.markup_ratio),
        "rating": rule.rating,
        "active": rule.active,
        "createdAt": rule.created_at,
        "updatedAt": rule.updated_at,
    }
