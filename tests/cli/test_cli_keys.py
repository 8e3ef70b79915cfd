"""``diamond keys``: a key is printed once and alone, and can be taken away."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from diamond_opus.cli.access import parse_period
from diamond_opus.cli.app import app
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.keys.api_keys import is_generated_key
from diamond_opus.keys.permissions import InvalidKey


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", *arguments], catch_exceptions=False)


@pytest.fixture(autouse=True)
def configured(settings_of: Callable[..., None], database_url: str) -> None:
    settings_of(database_url=database_url)


def test_a_new_key_is_all_of_standard_output(database_url: str) -> None:
    made = call("create", "--name", "shop", "--permissions", "read, trade", "--expires", "30d")
    [key] = made.stdout.splitlines()
    assert is_generated_key(key)
    assert key not in made.stderr
    [listed] = json.loads(call("list", "--json").stdout)
    assert (listed["clientName"], listed["permissions"], listed["active"]) == (
        "shop",
        ["read", "trade"],
        True,
    )
    lifetime = datetime.fromisoformat(listed["expiresAt"]) - datetime.fromisoformat(listed["createdAt"])
    assert lifetime == timedelta(days=30)


def test_a_revoked_key_stays_listed_as_revoked() -> None:
    call("create", "--name", "[red]shop", "--permissions", "read")
    [listed] = json.loads(call("list", "--json").stdout)
    assert "is revoked" in call("revoke", listed["id"]).stderr
    [after] = json.loads(call("list", "--json").stdout)
    assert after["active"] is False
    shown = call("list").stdout
    assert "revoked" in shown
    assert "[red]shop" in shown


def test_revoking_what_is_no_key_is_an_error_that_says_where_to_look() -> None:
    with pytest.raises(InvalidKey, match="diamond keys list"):
        call("revoke", str(uuid4()))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [(["--permissions", "read,everything"], "everything"), (["--permissions", ","], "--permissions"),
     (["--expires", "soon"], "--expires"), (["--expires", "0d"], "--expires")],
)  # fmt: skip
def test_a_wrong_argument_is_named_before_anything_is_asked(
    settings_of: Callable[..., None], arguments: list[str], named: str
) -> None:
    settings_of(database_url="postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(ConfigurationError, match=named):
        call("create", "--name", "shop", *arguments)


@pytest.mark.parametrize(("text", "hours"), [("12h", 12), ("30d", 720), ("2W", 336)])
def test_a_period_is_hours_days_or_weeks(text: str, hours: int) -> None:
    assert parse_period(text) == timedelta(hours=hours)
