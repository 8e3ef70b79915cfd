"""The stack of docker-compose.yml: it is whole, hardened, and agrees with what the program calls things."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from dockerfiles import NAMES, ROOT, read_dockerfile
from test_dockerfiles import SETTINGS
from typer.core import TyperGroup

from diamond_opus.cli.app import app
from diamond_opus.queue.limits import LIMITS
from diamond_opus.settings import Settings
from diamond_opus.wiring import FEEDS

Service = Mapping[str, Any]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")


def stack(**environment: str) -> Mapping[str, Service]:
    """The services that start, with the variables put in as Compose does it."""

    def put_in(match: re.Match[str]) -> str:
        name, how, other = match.groups()
        value = environment.get(name, "")
        return (value or other) if how == ":-" else (other if value else "")

    text = re.sub(r"\$\{(\w+)(:[-+])([^}]*)\}", put_in, TEXT)
    assert "${" not in text
    profiles = set(environment.get("COMPOSE_PROFILES", "").split(","))
    services: Mapping[str, Service] = yaml.safe_load(text)["services"]
    return {
        name: service
        for name, service in services.items()
        if not service.get("profiles") or profiles & set(service["profiles"])
    }


LOCAL = stack()
AZURE = stack(COMPOSE_PROFILES="azure")
OURS = {name: service for name, service in AZURE.items() if "build" in service}


def test_the_whole_stack_is_there_with_azure_and_without() -> None:
    local = {"postgres", "migrate", "simulator", *NAMES}
    assert set(LOCAL) == local
    assert set(AZURE) == local | {"azurite", "servicebus", "sqlserver", "servicebus-ready"}


def test_every_image_is_built_from_its_dockerfile_and_the_others_have_a_release() -> None:
    for name in NAMES:
        assert OURS[name]["build"] == {"context": ".", "dockerfile": f"docker/Dockerfile.{name}"}
    for name, service in AZURE.items():
        if name not in OURS:
            assert re.search(r":[\w.-]*\d[\w.-]*$", service["image"]), service["image"]
            assert "latest" not in service["image"]


@pytest.mark.parametrize("name", OURS)
def test_ours_run_with_nothing_they_do_not_need(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"][0].startswith("/tmp:")  # noqa: S108
    assert service["stop_grace_period"] == "30s"
    assert not {"privileged", "user", "cap_add", "pid", "network_mode"} & set(service)
    once = {"migrate", "scheduler", "servicebus-ready"}
    assert service["restart"] == ("no" if name in once else "unless-stopped")
    assert (service.get("healthcheck") == {"disable": True}) == (name in once)


def test_nginx_may_write_the_one_folder_that_its_entry_point_fills() -> None:
    user, group = read_dockerfile("dashboard").last("USER").rest.split(":")
    assert f"/etc/nginx/conf.d:uid={user},gid={group},mode=0755" in AZURE["dashboard"]["tmpfs"]


def test_every_variable_of_ours_is_a_setting() -> None:
    for name, service in OURS.items():
        names = set(service.get("environment", {})) - ({"API_URL"} if name == "dashboard" else set())
        assert names <= SETTINGS, name


def test_only_the_api_and_the_dashboard_are_reached_and_only_from_this_machine() -> None:
    ports = {name: service["ports"] for name, service in AZURE.items() if "ports" in service}
    assert ports == {"api": ["127.0.0.1:3000:3000"], "dashboard": ["127.0.0.1:8080:8080"]}
    for name, [port] in ports.items():
        assert int(port.rpartition(":")[2]) == int(read_dockerfile(name).last("EXPOSE").rest)


@pytest.mark.parametrize("env_local", ["", EXAMPLE], ids=["no .env.local", "one that was copied"])
def test_prometheus_reaches_every_process_that_it_asks(env_local: str) -> None:
    config = yaml.safe_load((ROOT / "deploy" / "monitoring" / "prometheus.yml").read_text(encoding="utf-8"))
    targets = [
        target.split(":")
        for job in config["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    ]
    assert sorted(name for name, _ in targets) == ["api", "consolidator", "worker"]
    for name, port in targets:
        in_it = _environment_in(name, env_local)
        assert (in_it["HOST"], in_it["MONITORING_PORT"]) == ("0.0.0.0", port), name  # noqa: S104


def _environment_in(name: str, env_local: str) -> Mapping[str, str]:
    """What the container has: its image's, over that .env.local, and over all what the service sets."""
    of_file = dict(re.findall(r"^(\w+)=(.*)$", env_local, re.MULTILINE))
    return {**read_dockerfile(name).environment, **of_file, **LOCAL[name]["environment"]}


def test_what_is_waited_for_is_there_and_can_tell() -> None:
    for services in (LOCAL, AZURE):
        for name, service in services.items():
            for other, how in service.get("depends_on", {}).items():
                if other not in services:
                    assert how["required"] is False, (name, other)
                    assert services is LOCAL
                elif how["condition"] == "service_healthy":
                    own = services[other].get("healthcheck")
                    assert own != {"disable": True}
                    assert own or other in NAMES, (name, other)
                elif how["condition"] == "service_completed_successfully":
                    assert services[other]["restart"] == "no"


def test_every_command_exists() -> None:
    for service in OURS.values():
        words = list(service.get("command", ["python"]))
        if words[0] == "python":
            continue
        command: Any = typer.main.get_command(app)
        assert words.pop(0) == "diamond"
        while isinstance(command, TyperGroup):
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("name", ["migrate", "api", "worker", "consolidator", "scheduler"])
def test_without_azure_its_settings_hold(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable, value in LOCAL[name]["environment"].items():
        monkeypatch.setenv(variable, value or "")
    monkeypatch.chdir(tmp_path)  # where no .env.local is
    settings = Settings()
    assert settings.server_url == "postgresql://diamond:local-only@postgres:5432/diamond"
    assert settings.nivoda_endpoint == "http://simulator:4010/api/diamonds"
    assert settings.azure_service_bus_connection_string is None
    assert settings.azure_storage_connection_string is None


def test_the_database_is_that_of_the_settings() -> None:
    database = LOCAL["postgres"]["environment"]
    assert LOCAL["api"]["environment"]["DATABASE_URL"] == (
        f"postgresql://{database['POSTGRES_USER']}:{database['POSTGRES_PASSWORD']}@postgres:5432/{database['POSTGRES_DB']}"
    )


def test_another_supplier_can_be_named_from_outside() -> None:
    given = {
        "NIVODA_ENDPOINT": "https://example.com/x",
        "NIVODA_USERNAME": "shop",
        "NIVODA_PASSWORD": "its own",
    }
    for name in ("api", "worker", "consolidator", "scheduler"):
        environment = stack(**given)[name]["environment"]
        assert {variable: environment[variable] for variable in given} == given


def test_with_azure_its_own_libraries_take_the_connection_strings() -> None:
    bus, blob = pytest.importorskip("azure.servicebus"), pytest.importorskip("azure.storage.blob")
    environment = AZURE["worker"]["environment"]
    client = bus.ServiceBusClient.from_connection_string(environment["AZURE_SERVICE_BUS_CONNECTION_STRING"])
    assert client.fully_qualified_namespace == "servicebus"
    service = blob.BlobServiceClient.from_connection_string(environment["AZURE_STORAGE_CONNECTION_STRING"])
    assert service.url.rstrip("/") == "http://azurite:10000/devstoreaccount1"
    assert {"servicebus", "azurite"} <= set(AZURE)


def test_the_profile_without_its_variable_does_not_start_emulators_that_nobody_uses() -> None:
    started_by_the_flag = yaml.safe_load(re.sub(r"\$\{COMPOSE_PROFILES:\+[^}]*\}", "", TEXT))["services"]
    for name in ("servicebus", "sqlserver"):
        assert not started_by_the_flag[name]["environment"]["ACCEPT_EULA"]
        assert AZURE[name]["environment"]["ACCEPT_EULA"] in ("Y", True)


def test_the_emulator_has_the_queues_of_the_program() -> None:
    config = json.loads((ROOT / "docker" / "servicebus-emulator.json").read_text(encoding="utf-8"))
    [namespace] = config["UserConfig"]["Namespaces"]
    assert namespace["Name"] == "sbemulatorns", "the only one that the emulator knows"
    assert namespace["Topics"] == []
    declared = {queue["Name"]: queue["Properties"] for queue in namespace["Queues"]}
    assert {
        name: (_seconds(each["LockDuration"]), each["MaxDeliveryCount"]) for name, each in declared.items()
    } == {name: (limits.lease_seconds, limits.max_deliveries) for name, limits in LIMITS.items()}
    for properties in declared.values():
        assert _seconds(properties["DefaultMessageTimeToLive"]) <= 3600, "the emulator's longest"
        assert 5 <= _seconds(properties["LockDuration"]) <= 300, "the emulator's shortest and longest"
        assert 1 <= properties["MaxDeliveryCount"] <= 10


def _seconds(period: str) -> int:
    match = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?", period)
    assert match
    hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def test_there_is_one_feed_for_the_scheduler_to_read() -> None:
    assert len(FEEDS) == 1, "more: give each a scheduler with --feed"
