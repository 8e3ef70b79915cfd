"""The API keeps to its own description: whatever schemathesis makes of it, no crash and no answer undescribed."""

from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from route_walk import id_source, operations
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from served_api import Served, served_api

from diamond_opus.api.openapi import openapi_document

#: What every answer must be; a 5xx is looked at below.
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]

ENDLESS = {one.path for one in operations() if one.answers_forever}
SCHEMA = schemathesis.openapi.from_dict(openapi_document()).exclude(
    lambda context: context.operation.path in ENDLESS
)
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations() if isinstance(found, Ok)}
#: As the description allows, and as it does not.
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
TURNS = count()


@pytest.fixture(scope="module")
def served(template_database: Any) -> Iterator[Served]:
    for url in template_database.lend(template=template_database.template):
        with served_api(url) as opened:
            yield opened


@pytest.fixture(scope="module")
def admin(served: Served) -> dict[str, str]:
    served.key("read", name="to be revoked")
    return {"X-API-Key": served.key("admin")}


# Not by schemathesis' own parametrize: its tests are lost on the way when several processes run them.
@pytest.mark.long  # hundreds of requests that schemathesis makes up
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", OPERATIONS)
def test_no_answer_is_a_crash_or_undescribed(
    label: str, mode: GenerationMode, served: Served, admin: dict[str, str]
) -> None:
    operation = OPERATIONS[label]

    @settings(
        max_examples=6,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        source = id_source(case.operation.path)
        if source is not None and case.path_parameters and next(TURNS) % 3:
            # Made-up ids lead nowhere: two times of three take one that is there.
            found = served.fetch(source)
            case.path_parameters = {name: quote(found or "", safe="") for name in case.path_parameters}
        answer = case.call(base_url=served.url, headers=admin, timeout=20)
        assert answer.status_code < 500 or (answer.status_code == 503 and answer.headers["Retry-After"])
        case.validate_response(answer, checks=CHECKS)

    try:
        ask()
    except Unsatisfiable:
        # Where nothing is asked for that could be wrong.
        assert mode is GenerationMode.NEGATIVE


def test_every_operation_is_tried() -> None:
    assert len(OPERATIONS) == len([one for one in operations() if not one.answers_forever])
