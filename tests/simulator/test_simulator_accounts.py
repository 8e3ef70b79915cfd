from typing import Any

import orjson
import pytest
from supplier_client import supplier

COUNT = "{ diamonds_by_query_count }"


async def test_a_token_works_in_the_header_and_as_a_wrapper_that_nests_the_answer() -> None:
    async with supplier() as client:
        by_header = await client.data(COUNT)
        token, client.token = client.token, None
        wrapped = await client.data(
            "query($token: String!) { as(token: $token) { diamonds_by_query_count } }", {"token": token}
        )

        assert wrapped == {"as": by_header}


async def test_the_session_tells_when_it_ends() -> None:
    async with supplier(token_lifetime_seconds=3600) as client:
        session = await client.log_in()

        assert session is not None
        assert session["expires"] == pytest.approx(client.sim.supplier.clock.now_ms() + 3_600_000, abs=60_000)
        assert session["token"].count(".") == 2


async def test_a_wrong_password_is_a_null_session() -> None:
    async with supplier() as client:
        assert await client.log_in(password="wrong") is None
        assert client.sim.stats()["logins_refused"] == 1


async def test_a_wrong_password_can_be_an_error() -> None:
    async with supplier(refused_login="error") as client:
        _, answer = await client.post(
            '{ authenticate { username_and_password(username: "x", password: "y") { token } } }'
        )

        assert answer["errors"][0]["message"] == "Invalid username or password"
        assert answer["data"] == {"authenticate": {"username_and_password": None}}


@pytest.mark.parametrize(
    ("token", "message"),
    [(None, "authentication required"), ("nonsense", "jwt malformed"), ("a.b.c", "invalid token")],
)
async def test_a_bad_token_is_http_200_with_the_text_clients_match(token: str | None, message: str) -> None:
    async with supplier() as client:
        client.token = token

        assert await client.post(COUNT) == (200, {"errors": [{"message": message}], "data": None})


async def test_a_token_of_another_signature_is_invalid() -> None:
    async with supplier() as client, supplier(seed=8) as other:
        client.token = other.token

        assert await client.problem(COUNT) == "invalid token"


async def test_a_token_expires_when_its_life_is_over() -> None:
    async with supplier() as client:
        client.sim.advance(6 * 3600 - 60)
        assert await client.count() > 0

        await client.control("advance", seconds=120)

        assert await client.post(COUNT) == (200, {"errors": [{"message": "jwt expired"}], "data": None})
        await client.log_in()
        assert await client.count() > 0


async def test_all_tokens_can_be_made_to_expire_at_once() -> None:
    async with supplier() as client:
        await client.control("expire-tokens")

        assert await client.problem(COUNT) == "jwt expired"


async def test_a_refresh_token_opens_a_new_session() -> None:
    async with supplier() as client:
        session = await client.log_in()
        assert session is not None
        await client.control("expire-tokens")

        data = await client.data(
            """query($token: String!) {
              authenticate { refresh_token(refresh_token: $token) { token user { email role } } } }""",
            {"token": session["refresh_token"]},
        )

        renewed: dict[str, Any] = data["authenticate"]["refresh_token"]
        assert renewed["user"] == {"email": "demo@example.com", "role": "CUSTOMER"}
        client.token = renewed["token"]
        assert await client.count() > 0


async def test_a_mutation_needs_a_token_too() -> None:
    async with supplier() as client:
        token, client.token = client.token, None
        mutation = 'mutation { cancel_hold(hold_id: "x") { id } }'
        assert await client.problem(mutation) == "authentication required"

        _, answer = await client.post(
            'mutation($token: String!) { as(token: $token) { cancel_hold(hold_id: "x") { id } } }',
            {"token": token},
        )
        assert answer == {
            "errors": [{"message": "Hold not found", "path": ["as", "cancel_hold"]}],
            "data": None,
        }


async def test_no_answer_of_a_refused_request_holds_the_password() -> None:
    async with supplier(password="very-secret", refused_login="error") as client:
        login = (
            'authenticate { username_and_password(username: "demo@example.com", password: "very") { token } }'
        )
        _, answer = await client.post(f"{{ {login} }}")

        assert b"very-secret" not in orjson.dumps(answer)
