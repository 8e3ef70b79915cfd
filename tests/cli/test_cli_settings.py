"""A wrong or missing setting: one line that names it, exit code 2, and nothing was started."""

import socket
from pathlib import Path

import pytest
from cli_processes import Command

CASES = [
    ("status", {"database_url": "postgres//shop:hush-hush@db.example/shop"}, "DATABASE_URL"),
    ("status", {"database_url": "postgresql://shop:hush/hush@127.0.0.1:1/x"}, "write / as %2F"),
    ("status", {"database_url": "postgresql://shop:12/hush@127.0.0.1:1/x"}, "write / as %2F"),
    ("status", {"database_url": "postgresql://shop:hu@hush@127.0.0.1:1/x"}, "write / as %2F"),
    ("api", {"otel_exporter_otlp_endpoint": "me:hush/hush@collector:4318"}, "('***@collector:4318')"),
    (
        "run",
        {"nivoda_endpoint": "hush@supplier.example/graphql"},
        "NIVODA_ENDPOINT ('***@supplier.example/graphql')",
    ),
    ("api", {"public_url": "not-a-url"}, "PUBLIC_URL: must be where people find the dashboard"),
    ("worker", {"worker_concurrency": "many"}, "WORKER_CONCURRENCY ('many')"),
    ("run", {"nivoda_endpoint": "https://supplier.example/graphql"}, "NIVODA_USERNAME is missing"),
    ("up", {"scheduler_cron": "at two"}, "SCHEDULER_CRON ('at two')"),
    ("api", {"hmac_secrets": '{"shop": "hush-hush'}, "HMAC_SECRETS must be a JSON object"),
    ("api", {"trusted_proxies": "the-proxy"}, "TRUSTED_PROXIES"),
    ("run", {"nivoda_filter": '{"colour": ["D"]}'}, "NIVODA_FILTER"),
    ("run", {"heatmap_max_price": "1000"}, "HEATMAP_*: dense_zone_threshold is 20000"),
    (
        "worker",
        {"azure_service_bus_connection_string": "SharedAccessKey=hush-hush"},
        "AZURE_SERVICE_BUS_CONNECTION_STRING is no connection string",
    ),
    (
        "consolidator",
        {"azure_storage_connection_string": "hush-hush"},
        "AZURE_STORAGE_CONNECTION_STRING is no connection string",
    ),
    (
        "worker",
        {
            "azure_service_bus_connection_string": "Endpoint=sb://x",
            "azure_service_bus_namespace": "x.servicebus.windows.net",
        },
        "AZURE_SERVICE_BUS_CONNECTION_STRING and AZURE_SERVICE_BUS_NAMESPACE are both set",
    ),
    (
        "worker",
        {"azure_service_bus_namespace": "Endpoint=sb://x/;SharedAccessKey=hush-hush"},
        "AZURE_SERVICE_BUS_NAMESPACE: must be the namespace's host name",
    ),
    (
        "worker",
        {
            "azure_service_bus_connection_string": "Endpoint=sb://x/;SharedAccessKeyName=k;SharedAccessKey=hush-hush;"
            "EntityPath=work-items"
        },
        "AZURE_SERVICE_BUS_CONNECTION_STRING is one queue's",
    ),
    (
        "api",
        {"azure_storage_account_url": "diamondprod"},
        "AZURE_STORAGE_ACCOUNT_URL: must be the blob endpoint",
    ),
    ("api", {"azure_resource_group": "diamond-prod-rg"}, "AZURE_SCHEDULER_JOB_NAME: set all three, or none"),
]


#: Only Azure's SDKs can tell that these are wrong.
READ_BY_THE_SDKS = {
    "AZURE_SERVICE_BUS_CONNECTION_STRING is no connection string",
    "AZURE_STORAGE_CONNECTION_STRING is no connection string",
    "AZURE_SERVICE_BUS_CONNECTION_STRING is one queue's",
}


@pytest.mark.parametrize(
    ("command", "settings", "named"), CASES, ids=lambda case: case if isinstance(case, str) else ""
)
def test_a_wrong_setting_stops_the_start_with_one_line_that_names_it(
    diamond: Command, home: Path, command: str, settings: dict[str, str], named: str
) -> None:
    if named in READ_BY_THE_SDKS:
        pytest.importorskip("azure.servicebus", reason="the extra azure is not installed")
    done = diamond(command, **settings)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("diamond: ")
    assert named in line
    assert "hush" not in line
    assert not home.exists()


def test_the_doctor_tells_of_a_torn_url_without_its_password(diamond: Command) -> None:
    done = diamond("doctor", database_url="postgresql://shop:hush/hush@127.0.0.1:1/x")
    assert done.returncode == 1
    assert "write / as %2F" in done.stdout
    assert "hush" not in done.stdout + done.stderr


def test_a_database_that_is_away_is_told_of_under_one_name(diamond: Command) -> None:
    done = diamond("status", database_url="postgresql://shop@127.0.0.1:1/x")
    assert done.returncode == 1
    assert done.stderr.startswith("diamond: cannot connect")


def test_a_taken_port_stops_the_start_before_a_server_is_made(diamond: Command, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = diamond("demo", port=port)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert str(port) in line
    assert "PORT=" in line
    assert not home.exists()


def test_openapi_needs_neither_settings_nor_a_database(diamond: Command, home: Path) -> None:
    done = diamond("openapi", port="not a port", database_url="nonsense")
    assert done.returncode == 0
    assert '"/api/v2/diamonds"' in done.stdout
    assert not home.exists()
