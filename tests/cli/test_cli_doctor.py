"""``diamond doctor``: each thing that can be wrong is one line that says which part it is and what to do."""

import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from typer.testing import CliRunner

from diamond_opus.cli.app import app
from diamond_opus.cli.doctor import Finding, Verdict, examine
from diamond_opus.domain.clock import Clock, SystemClock
from diamond_opus.queue.limits import LIMITS
from diamond_opus.queue.protocol import WORK_DONE
from diamond_opus.simulator.server import Simulator, SimulatorSettings

USE = Callable[..., None]


@pytest.fixture
async def supplier() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorSettings(stones=100)) as running:
        yield running


@pytest.fixture
def port(supplier: Simulator) -> int:
    return urlsplit(supplier.url).port or 0


async def findings(clock: Clock | None = None) -> Mapping[str, Finding]:
    return {finding.check: finding for finding in await examine(clock)}


class WrongClock(SystemClock):
    """This machine's, if it were wrong by so much; each look at it may take a while."""

    def __init__(self, wrong_by: float, *, look_seconds: float = 0.0) -> None:
        self._wrong_by = timedelta(seconds=wrong_by)
        self._look_seconds = look_seconds
        self._looks = 0

    def now(self) -> datetime:
        return super().now() + self._wrong_by

    def monotonic(self) -> float:
        self._looks += 1
        return super().monotonic() + self._looks * self._look_seconds


async def test_a_sound_installation_passes_every_check(
    settings_of: USE, database_url: str, port: int
) -> None:
    settings_of(database_url=database_url, simulator_port=port, port=0)
    found = await findings()
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}
    assert list(found) == [
        "settings", "home", "database", "version", "clock", "migrations", "queues", "watermark", "supplier", "alerts",
        "port",
    ]  # fmt: skip


async def test_a_wrong_setting_is_told_by_name(settings_of: USE) -> None:
    settings_of(worker_concurrency=0)
    [finding] = await examine()
    assert (finding.check, finding.verdict) == ("settings", Verdict.FAILED)
    assert "WORKER_CONCURRENCY" in finding.message


async def test_a_misspelt_name_is_told_with_the_one_that_was_meant(
    settings_of: USE, database_url: str, tmp_path: Path
) -> None:
    settings_of(database_url=database_url)
    (tmp_path / ".env.local").write_text("# for the shop\nCONSOLIDATOR_BATCHSIZE=10\n")
    found = await findings()
    assert found["settings"].verdict is Verdict.WARNING
    assert "did you mean CONSOLIDATOR_BATCH_SIZE?" in found["settings"].message


async def test_a_wrong_database_password_is_the_database_and_what_hangs_on_it(
    settings_of: USE, database_url: str, port: int
) -> None:
    settings_of(database_url=make_conninfo(database_url, password="hush-hush"), simulator_port=port)
    found = await findings()
    assert found["database"].verdict is Verdict.FAILED
    assert "check user and password" in found["database"].message
    assert found["migrations"].verdict is Verdict.SKIPPED
    assert found["supplier"].verdict is Verdict.OK
    assert "hush" not in " ".join(finding.message for finding in found.values())


async def test_pending_migrations_come_with_the_command_that_applies_them(
    settings_of: USE, empty_database_url: str, port: int
) -> None:
    settings_of(database_url=empty_database_url, simulator_port=port)
    found = await findings()
    assert found["migrations"].verdict is Verdict.FAILED
    assert "diamond db migrate" in found["migrations"].message
    assert found["queues"].verdict is Verdict.SKIPPED


async def test_an_unreachable_database_is_replaced_by_none_of_the_environment(
    settings_of: USE, database_url: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = conninfo_to_dict(database_url)
    for name, part in (("HOST", "host"), ("PORT", "port"), ("USER", "user"), ("DATABASE", "dbname")):
        monkeypatch.setenv(f"PG{name}", str(foreign[part]))
    monkeypatch.setenv("PGPASSWORD", str(foreign.get("password", "")))
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens on it
        nowhere = f"postgresql://shop@127.0.0.1:{held.getsockname()[1]}/shop"
        settings_of(database_url=nowhere, simulator_port=port, nivoda_max_requests_per_second=25)
        found = await findings()
    assert (found["database"].verdict, found["supplier"].verdict) == (Verdict.FAILED, Verdict.OK)
    with psycopg.connect(database_url) as conn:
        for table in ("supplier_health", "request_budget"):
            assert conn.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (0,), table


async def test_nothing_is_noted_of_the_supplier_where_the_tables_are_missing(
    settings_of: USE, empty_database_url: str, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_of(database_url=empty_database_url, simulator_port=port)
    assert (await findings())["supplier"].verdict is Verdict.OK
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("wrong_by", "verdict"),
    [
        (-2, Verdict.OK),
        (2, Verdict.OK),
        (-20, Verdict.WARNING),
        (20, Verdict.WARNING),
        (-90, Verdict.FAILED),
        (90, Verdict.FAILED),
    ],
)
async def test_the_clocks_of_database_and_machine_are_compared(
    settings_of: USE, database_url: str, wrong_by: float, verdict: Verdict
) -> None:
    settings_of(database_url=database_url)
    clock = (await findings(WrongClock(wrong_by)))["clock"]
    assert clock.verdict is verdict
    assert "the database's clock shows 20" in clock.message
    if verdict is not Verdict.OK:
        assert "s apart; set the wrong one" in clock.message


async def test_a_slow_answer_makes_no_clock_wrong(settings_of: USE, database_url: str) -> None:
    settings_of(database_url=database_url)
    asked_long_ago = WrongClock(-30, look_seconds=60)
    assert (await findings(asked_long_ago))["clock"].verdict is Verdict.OK


async def test_a_watermark_in_the_future_comes_with_what_sets_it_right(
    settings_of: USE, database_url: str
) -> None:
    settings_of(database_url=database_url)
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO watermarks (feed, last_updated_at, version)"
            " VALUES ('nivoda', clock_timestamp() + interval '1 minute', 1)"
        )
    watermark = (await findings())["watermark"]
    assert watermark.verdict is Verdict.WARNING
    assert "lies in the future; the database's clock shows" in watermark.message
    assert "diamond schedule" in watermark.message


async def test_dead_letters_are_a_warning(settings_of: USE, database_url: str, port: int) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("SELECT pgmq.send('work_items_dlq', '{}')")
    settings_of(database_url=database_url, simulator_port=port)
    found = await findings()
    assert found["queues"].verdict is Verdict.WARNING
    assert "1 dead letters" in found["queues"].message


async def test_azure_is_looked_at_where_the_settings_ask_for_it(
    settings_of: USE, database_url: str, port: int, azurite: str
) -> None:
    service_bus = pytest.importorskip("service_bus")
    blob_storage = pytest.importorskip("blob_storage")
    with service_bus.open_broker(LIMITS) as broker:
        settings_of(
            database_url=database_url,
            simulator_port=port,
            azure_service_bus_connection_string=broker.connection_string,
            azure_storage_connection_string=azurite,
        )
        async with blob_storage.open_container(azurite):
            found = await findings()
    assert (found["queues"].verdict, found["watermark"].verdict) == (Verdict.OK, Verdict.OK)
    assert "Service Bus" in found["queues"].message
    assert "Blob Storage" in found["watermark"].message


async def test_what_is_missing_in_azure_is_told_with_what_makes_it(
    settings_of: USE, database_url: str, port: int, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AZURE_TOKEN_CREDENTIALS", "AzureCliCredential"
    )  # the others are waited for a quarter minute
    service_bus = pytest.importorskip("service_bus")
    some = {name: limits for name, limits in LIMITS.items() if name != WORK_DONE}
    with service_bus.open_broker(some) as broker:
        settings_of(
            database_url=database_url,
            simulator_port=port,
            azure_service_bus_connection_string=broker.connection_string,
            azure_storage_connection_string=azurite,
            azure_subscription_id="s1",
            azure_resource_group="g1",
            azure_scheduler_job_name="diamond-prod-scheduler",
        )
        found = await findings()
    assert {name for name, one in found.items() if one.verdict is Verdict.FAILED} == {
        "queues",
        "watermark",
        "job",
    }
    assert "work-done: there is no such queue" in found["queues"].message
    assert "infrastructure/terraform" in found["queues"].message
    assert "watermarks/nivoda.json: the blob storage refuses" in found["watermark"].message
    assert "AZURE_CLIENT_ID" in found["job"].message


async def test_a_simulator_that_does_not_run_comes_with_the_command_that_starts_it(
    settings_of: USE, database_url: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        free = closed_soon.getsockname()[1]
    settings_of(database_url=database_url, simulator_port=free)
    found = await findings()
    assert found["supplier"].verdict is Verdict.FAILED
    assert "diamond simulator" in found["supplier"].message


async def test_a_wrong_login_at_the_supplier_names_the_settings_and_shows_no_secret(
    settings_of: USE, database_url: str, supplier: Simulator
) -> None:
    settings_of(
        database_url=database_url,
        nivoda_endpoint=supplier.url,
        nivoda_username="shop@example.com",
        nivoda_password="hush-hush",
    )
    found = await findings()
    assert found["supplier"].verdict is Verdict.FAILED
    assert "NIVODA_USERNAME and NIVODA_PASSWORD" in found["supplier"].message
    assert "hush" not in found["supplier"].message


async def test_the_supplier_is_asked_through_the_request_budget(
    settings_of: USE, database_url: str, supplier: Simulator
) -> None:
    settings_of(
        database_url=database_url,
        nivoda_endpoint=supplier.url,
        nivoda_username=supplier.supplier.settings.username,
        nivoda_password=supplier.supplier.settings.password,
    )
    assert (await findings())["supplier"].verdict is Verdict.OK
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT count(*) FROM request_budget").fetchone() == (1,)


async def test_a_taken_port_is_told_with_its_number(settings_of: USE, database_url: str, port: int) -> None:
    settings_of(database_url=database_url, simulator_port=port, port=port)
    found = await findings()
    assert found["port"].verdict is Verdict.FAILED
    assert str(port) in found["port"].message


def test_the_command_fails_when_a_check_does_and_json_is_one_object(
    settings_of: USE, empty_database_url: str
) -> None:
    settings_of(database_url=empty_database_url)
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["ok"] is False
    shown = CliRunner().invoke(app, ["doctor"])
    assert shown.exit_code == 1
    assert len(shown.stdout.splitlines()) == len(told["checks"])
