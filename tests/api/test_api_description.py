"""The API describes itself, completely, and shows that description without asking any other server."""

import re
from typing import Any

import pytest
from api_support import open_api

from diamond_opus.api.openapi import openapi_document
from diamond_opus.catalog.search import PARAMETERS
from diamond_opus.db.pool import open_pool
from diamond_opus.domain.clock import ManualClock
from diamond_opus.keys.permissions import Permission


@pytest.fixture
def document() -> dict[str, Any]:
    return openapi_document()


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_description_needs_no_database(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.0.")
    assert document["info"]["version"]


def test_every_route_of_the_api_says_how_to_authenticate_and_which_permission_it_needs(
    document: dict[str, Any],
) -> None:
    versioned = {name: one for name, one in operations(document).items() if " /api/v2/" in name}

    assert {"GET /api/v2/diamonds", "POST /api/v2/api-keys"} < set(versioned)
    for name, operation in versioned.items():
        assert operation["security"] == [
            {"ApiKey": []},
            {"HmacClient": [], "HmacTimestamp": [], "HmacSignature": []},
        ], name
        needs = operation["x-permissions"]
        assert set(needs) <= set(Permission), name
        # Only who one is may be asked with any key.
        assert bool(needs) is (name != "GET /api/v2/me")
        told = f"Needs the permission `{needs[0]}`" if needs else "Any key or signature will do."
        assert told in operation["description"]
        assert operation["summary"], name
        assert {"400", "401", "403", "429", "500", "503"} <= set(operation["responses"])
        assert "422" not in operation["responses"]


def test_every_parameter_of_a_search_is_described(document: dict[str, Any]) -> None:
    described = {one["name"]: one for one in operations(document)["GET /api/v2/diamonds"]["parameters"]}

    assert set(described) == set(PARAMETERS)
    assert described["color"]["schema"]["items"]["enum"][0] == "D"
    assert described["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}
    assert "permission `cost`" in described["cost_min"]["description"]


def test_operation_ids_are_unique_and_readable(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for operation in operations(document).values()]

    assert len(ids) == len(set(ids))
    assert {"get_health", "list_diamonds", "create_api_key"} < set(ids)
    assert [name for name in ids if not re.fullmatch("[a-z]+(_[a-z]+)*", name)] == []


def test_the_document_is_openapi_3_0_and_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    def visit(node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                visit(item)
        elif isinstance(node, dict):
            assert node.get("type") != "null"
            assert not isinstance(node.get("type"), list)
            assert "const" not in node
            assert node.get("exclusiveMinimum", True) is node.get("exclusiveMaximum", True) is True
            if "$ref" in node:
                assert set(node) == {"$ref"}
                _, _, kind, name = node["$ref"].split("/")
                assert name in document["components"][kind]
            for item in node.values():
                visit(item)

    visit(document)
    assert schemas["Diamond"]["properties"]["color"]["nullable"] is True
    used = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert set(schemas) == used


def test_every_answer_tells_its_headers(document: dict[str, Any]) -> None:
    answers = document["paths"]["/api/v2/diamonds"]["get"]["responses"]

    assert {"X-Trace-Id", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"} <= set(
        answers["200"]["headers"]
    )
    assert "Retry-After" in answers["429"]["headers"]
    assert set(answers["401"]["headers"]) == {"X-Trace-Id"}


def test_every_route_that_may_be_sent_a_body_says_that_it_can_be_too_large(document: dict[str, Any]) -> None:
    versioned = {name: one for name, one in operations(document).items() if " /api/v2/" in name}

    silent = [
        name for name, one in versioned.items() if ("413" in one["responses"]) is name.startswith("GET")
    ]
    assert silent == []


def test_schemas_have_names_that_a_generated_client_can_use(document: dict[str, Any]) -> None:
    names = set(document["components"]["schemas"])

    assert [name for name in names if not re.fullmatch("([A-Z][a-z]+)+", name)] == []
    assert {"Diamond", "DiamondList", "DiamondAnswer"} < names


async def test_the_page_and_all_it_loads_come_from_here(clock: ManualClock) -> None:
    pool = open_pool("postgresql://nobody@127.0.0.1:1/nothing", application_name="test", max_size=1)
    async with open_api(pool, clock) as api:
        page = await api.client.get("/api-docs")
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        answers = {path: await api.client.get(f"/{path}") for path in loaded}
        script = answers["api-docs/init.js"].text
        described = await api.client.get("/openapi.json")
        slash = await api.client.get("/api-docs/")

    assert page.headers["content-type"].startswith("text/html")
    assert len(loaded) == 4
    assert "://" not in page.text + script
    assert 'url: "openapi.json"' in script
    assert "validatorUrl: null" in script
    for path, answer in answers.items():
        assert answer.status_code == 200, path
        assert answer.content
    for answer in (page, *answers.values()):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "http" not in policy
    assert described.json() == openapi_document("9.9.9")
    assert slash.headers["location"] == "../api-docs"
