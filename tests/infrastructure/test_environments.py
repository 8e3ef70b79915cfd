"""The environments are complete, alike, free of secrets, and say what the code says."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from terraform_tree import ENVIRONMENTS, MODULES, ROOT, Block, parse, parse_folder, text_of, tfvars, variables

from diamond_opus.queue.limits import LIMITS
from diamond_opus.settings import Settings

NAMES = ("staging", "prod")
APPS = ("api", "consolidator", "dashboard", "scheduler", "worker")

#: Read by azure-identity itself, and by the dashboard's nginx.
READ_BY_OTHERS = {"AZURE_CLIENT_ID", "API_URL"}

needs_terraform = pytest.mark.skipif(
    shutil.which("terraform") is None, reason="terraform is missing; no package registry has it"
)


@pytest.mark.parametrize("environment", NAMES)
def test_tfvars_set_declared_variables_and_all_that_have_no_default(environment: str) -> None:
    declared = variables(ENVIRONMENTS / environment)
    required = {name for name, block in declared.items() if "default" not in block.arguments}
    assert set(tfvars(environment)) <= set(declared)
    assert required <= set(tfvars(environment))


def test_environments_differ_in_their_values_only() -> None:
    for name in ("main.tf", "variables.tf", "outputs.tf", "versions.tf"):
        staging, prod = ((ENVIRONMENTS / environment / name).read_bytes() for environment in NAMES)
        assert staging == prod, name
    assert set(tfvars("staging")) == set(tfvars("prod"))


@pytest.mark.parametrize("environment", NAMES)
def test_each_environment_has_a_state_of_its_own_without_keys(environment: str) -> None:
    [terraform] = parse((ENVIRONMENTS / environment / "backend.tf").read_text("utf-8"))
    [backend] = terraform.named("backend")
    assert text_of(backend.arguments["key"]) == f"{environment}.tfstate"
    assert backend.arguments["use_azuread_auth"] is True
    assert not {"access_key", "sas_token"} & set(backend.arguments)


@pytest.mark.parametrize("environment", NAMES)
def test_replicas_and_schedule_are_those_that_were_decided(environment: str) -> None:
    scale = {app.strip('"'): (s["min"], s["max"]) for app, s in tfvars(environment)["scale"].items()}
    assert (
        scale
        == {
            "staging": {"api": (0, 2), "consolidator": (0, 2), "dashboard": (0, 2), "worker": (0, 10)},
            "prod": {"api": (1, 4), "consolidator": (1, 3), "dashboard": (1, 2), "worker": (1, 8)},
        }[environment]
    )
    crons = [text_of(tfvars(environment)[f"{which}_cron_expression"]) for which in ("scheduler", "full_run")]
    never = "0 0 31 2 *"
    assert crons == {"staging": [never, never], "prod": ["0 2 * * 1-6", "0 2 * * 0"]}[environment]
    usual = Settings(scheduler_cron=str(crons[0]), full_run_cron=str(crons[1]))
    assert [usual.scheduler_cron, usual.full_run_cron] == crons


@pytest.mark.parametrize("environment", NAMES)
def test_no_file_of_an_environment_names_the_deployment(environment: str) -> None:
    """TF_VAR_name does, and a file would go over it while the workflows went on with DEPLOYMENT_NAME."""
    assert "name" not in tfvars(environment)


#: UUIDs (of subscriptions, tenants, ...), keys of Azure and Resend, and passwords in URLs.
SECRET = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
    r"|(?:AccountKey|SharedAccessKey|SharedAccessSignature|sig)=[^\s$]"
    r"|\bre_[A-Za-z0-9_]{10,}"
    r"|://[^\s/:@$]+:[^\s/@$]+@"
    r"|[A-Za-z0-9+/]{43}="
    r"|\b(?:password|secret|api_key|client_secret|access_key)\s*=\s*\"[^\"$]",
    re.IGNORECASE,
)


def test_no_file_holds_a_credential_or_an_id_of_a_subscription() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match.group(0)}"
        for path in sorted((ROOT / "infrastructure").rglob("*"))
        if path.suffix in (".tf", ".tfvars", ".sh", ".md") and not {".terraform", ".venv"} & set(path.parts)
        for match in SECRET.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        f'subscription_id = "{"-".join(["2dade7a0", "6731", "4d26", "ba6d", "02228cccbe2d"])}"',
        'database_url = "postgresql://postgres:' + 'hunter2@db:6543/postgres"',
        'x = "DefaultEndpointsProtocol=https;AccountKey=' + 'abc"',
        'nivoda_password = "' + 'hunter2"',
        'x = "re_' + '123456789abcdef"',
    ],
)
def test_a_credential_would_be_found(line: str) -> None:
    assert SECRET.search(line.replace("nivoda_", ""))


def test_no_variable_takes_a_secret() -> None:
    # The one sensitive value goes from a resource to a module; no person, file or pipeline hands it in.
    for environment in NAMES:
        for name, block in variables(ENVIRONMENTS / environment).items():
            assert "sensitive" not in block.arguments, name
            assert not re.search(r"password|secret|api_key|connection_string|database_url", name)


# --- What the containers are given --------------------------------------------------------------------------


def resources(kind: str) -> dict[str, Block]:
    blocks = parse_folder(MODULES / "container-apps")
    return {b.labels[1]: b for b in blocks if b.kind == "resource" and b.labels[0] == kind}


def containers() -> dict[str, Block]:
    apps = {**resources("azurerm_container_app"), **resources("azurerm_container_app_job")}
    return {name: app.named("template")[0].named("container")[0] for name, app in apps.items()}


def given_by_terraform() -> set[str]:
    text = (MODULES / "container-apps" / "main.tf").read_text(encoding="utf-8")
    # Only environment variables are written in capitals.
    return set(re.findall(r'\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b|(?<=")PORT(?=")|\b(?:HOST|PORT)(?= +=)', text))


def test_every_variable_of_a_container_is_a_setting() -> None:
    given = given_by_terraform()
    settings = {name.upper() for name in Settings.model_fields}
    assert given - settings - READ_BY_OTHERS == set()
    assert given >= {"DATABASE_URL", "HMAC_SECRETS", "HOST", "PG_POOL_MAX", "PORT", "TRUSTED_PROXIES"}


def test_an_apply_leaves_every_image_as_it_is() -> None:
    apps = {**resources("azurerm_container_app"), **resources("azurerm_container_app_job")}
    assert set(apps) == {"api", "consumer", "dashboard", "scheduler"}
    for name, app in apps.items():
        [lifecycle] = app.named("lifecycle")
        assert lifecycle.arguments["ignore_changes"] == ["${template[0].container[0].image}"], name


def test_everything_that_goes_on_running_is_probed() -> None:
    probes = {
        name: {
            probe.kind.removesuffix("_probe"): (probe.arguments["port"], text_of(probe.arguments["path"]))
            for probe in container.blocks
            if probe.kind.endswith("_probe")
        }
        for name, container in containers().items()
    }
    assert probes == {
        "api": {"startup": (3000, "/health"), "liveness": (3000, "/health"), "readiness": (3000, "/ready")},
        "consumer": {"startup": (9090, "/health"), "liveness": (9090, "/health")},
        "dashboard": {"startup": (8080, "/"), "liveness": (8080, "/"), "readiness": (8080, "/")},
        "scheduler": {},
    }


DEPLOY = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")


def test_what_terraform_sets_itself_is_refused_as_a_setting() -> None:
    text = (ENVIRONMENTS / "staging" / "variables.tf").read_text(encoding="utf-8")
    [listed] = re.findall(r"setintersection\(keys\(var\.settings\), \[(.*?)\]", text, re.DOTALL)
    assert set(re.findall(r'"([A-Z0-9_]+)"', listed)) == given_by_terraform()


def examples_of_settings() -> dict[str, Any]:
    [example] = re.findall(r"^settings = \{\n(.*?)^\}", DEPLOY, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r'^ +([A-Z0-9_]+) += "(.*)"$', example, re.MULTILINE))


def test_the_documents_examples_of_settings_are_settings() -> None:
    examples = examples_of_settings()
    assert len(examples) >= 4
    assert {name.lower() for name in examples} <= set(Settings.model_fields)
    Settings(**{name.lower(): value for name, value in examples.items()})


def test_the_jobs_have_their_limits() -> None:
    [job] = resources("azurerm_container_app_job").values()
    assert job.arguments["replica_timeout_in_seconds"] == 1800
    assert job.arguments["replica_retry_limit"] == 1


def test_queues_are_those_of_the_code() -> None:
    blocks = parse_folder(MODULES / "service-bus")
    [queues] = [b.arguments["queues"] for b in blocks if b.kind == "locals"]
    limits = {
        name.strip('"'): (_seconds(str(text_of(queue["lock_duration"]))), queue["max_delivery_count"])
        for name, queue in queues.items()
    }
    assert limits == {name: (q.lease_seconds, q.max_deliveries) for name, q in LIMITS.items()}
    [queue] = [b for b in blocks if b.labels[:1] == ("azurerm_servicebus_queue",)]
    assert text_of(queue.arguments["default_message_ttl"]) == "P1D"
    assert queue.arguments["dead_lettering_on_message_expiration"] is True
    assert queue.arguments["requires_duplicate_detection"] is True
    assert text_of(queue.arguments["duplicate_detection_history_time_window"]) == "PT10M"


def _seconds(duration: str) -> int:
    match = re.fullmatch(r"PT(\d+)M", duration)
    assert match, duration
    return int(match.group(1)) * 60


# --- Evaluated by Terraform itself, which needs no provider where there is no resource ----------------------


def run_terraform(
    folder: Path, *arguments: str, stdin: str | None = None
) -> "subprocess.CompletedProcess[str]":
    quiet = {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull, "TF_IN_AUTOMATION": "1"}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    return subprocess.run(
        ["terraform", *arguments],
        cwd=folder,
        env={**clean, **quiet},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def plan_variables(folder: Path, of: str, /, **values: Any) -> "subprocess.CompletedProcess[str]":
    """Let Terraform judge an environment's values: a plan of its variables alone."""
    shutil.copy(ENVIRONMENTS / of / "variables.tf", folder)
    (folder / "values.tfvars.json").write_text(json.dumps(values), encoding="utf-8")
    tfvars_file = ENVIRONMENTS / of / "terraform.tfvars"
    assert run_terraform(folder, "init", "-input=false").returncode == 0
    return run_terraform(
        folder,
        "plan",
        "-input=false",
        "-no-color",
        f"-var-file={tfvars_file}",
        "-var-file=values.tfvars.json",
    )


def images(**changed: str) -> dict[str, str]:
    every = {app: f"example.azurecr.io/diamond-{app}@sha256:{'0' * 64}" for app in APPS}
    return {**every, **changed}


SECOND_PHASE = {"enable_container_apps": True, "nivoda_username": "shop@example.com", "images": images()}


@needs_terraform
@pytest.mark.parametrize("environment", NAMES)
@pytest.mark.parametrize("values", [{}, SECOND_PHASE], ids=["first-phase", "second-phase"])
def test_terraform_accepts_the_values(tmp_path: Path, environment: str, values: dict[str, Any]) -> None:
    plan = plan_variables(tmp_path, environment, **values)
    assert plan.returncode == 0, plan.stderr


@needs_terraform
@pytest.mark.parametrize(
    "values",
    [
        {"scale": {"api": (1, 5)}, "connection_limit": 67},
        {"pool_sizes": {"worker": 2, "consolidator": 4}},  # no more than these open anyway
        {"settings": "of the document"},
    ],
    ids=["limit", "least", "settings"],
)
def test_terraform_counts_connections_as_the_processes_open_them(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    given = dict(values)
    if "scale" in given:
        given["scale"] = scale(**given["scale"])
    if "pool_sizes" in given:
        given["pool_sizes"] = pools(**given["pool_sizes"])
    if "settings" in given:
        given["settings"] = examples_of_settings()
    plan = plan_variables(tmp_path, "prod", **given)
    assert plan.returncode == 0, plan.stderr


def test_what_terraform_counts_is_what_the_processes_open() -> None:
    """The figures in variables.tf's validation, where the program has them."""
    api, processes = (
        (ROOT / "src" / "diamond_opus" / "cli" / name).read_text("utf-8")
        for name in ("api_server.py", "processes.py")
    )
    assert "_INDEX_CONNECTIONS = 3\n" in api
    assert '_process(settings, "worker", least_connections=2)' in processes
    assert "_SPARE_CONNECTIONS = 2\n" in processes
    assert "least = settings.consolidator_concurrency + _SPARE_CONNECTIONS\n" in processes
    assert Settings().consolidator_concurrency == 2


def pools(**changed: int) -> dict[str, int]:
    return {"api": 2, "consolidator": 2, "scheduler": 2, "worker": 1, **changed}


def scale(**changed: tuple[int, int]) -> dict[str, dict[str, int]]:
    limits = {"api": (1, 4), "consolidator": (1, 3), "dashboard": (1, 2), "worker": (1, 8), **changed}
    return {app: {"min": low, "max": high} for app, (low, high) in limits.items()}


@needs_terraform
@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"environment": "production"}, "environment must be staging or prod"),
        ({"name": "diamond-opus"}, "name must be 3 to 9"),
        ({"name": "diamondopu"}, "name must be 3 to 9"),
        ({"service_bus_sku": "Basic"}, "service_bus_sku must be Standard or Premium"),
        ({"storage_replication_type": "XRS"}, "storage_replication_type must be"),
        ({"container_registry_sku": "Free"}, "container_registry_sku must be"),
        ({"key_vault_retention_days": 6}, "key_vault_retention_days must be 7 to 90"),
        ({"nivoda_endpoint": "http://supplier"}, "must begin with https"),
        ({"scheduler_cron_expression": "0 2 * *"}, "must be five cron fields"),
        ({"full_run_cron_expression": "0 3 * * 0 *"}, "full_run_cron_expression must be five cron fields"),
        ({"scheduler_parallelism": 0}, "must be at least 1"),
        ({"log_retention_days": 6}, "must be 7 to 730"),
        ({"log_retention_days": 731}, "must be 7 to 730"),
        ({"scale": scale(api=(-1, 2))}, "min must be at least 0"),
        ({"scale": scale(worker=(3, 2))}, "max at least min"),
        ({"scale": scale(consolidator=(1, 6))}, "at most 5 consolidators"),
        ({"scale": {"api": {"min": 0, "max": 1}}}, "scale must name"),
        ({"scale": scale(worker=(1, 9))}, "more connections than connection_limit"),
        ({"scale": scale(api=(1, 5))}, "more connections than connection_limit"),
        ({"scale": scale(consolidator=(1, 4))}, "more connections than connection_limit"),
        ({"pool_sizes": pools(scheduler=3)}, "more connections than connection_limit"),
        ({"pool_sizes": pools(api=3)}, "more connections than connection_limit"),
        ({"pool_sizes": pools(worker=3)}, "more connections than connection_limit"),
        ({"connection_limit": 59}, "more connections than connection_limit"),
        ({"settings": {"CONSOLIDATOR_CONCURRENCY": "3"}}, "more connections than connection_limit"),
        ({"pool_sizes": {"api": 2}}, "pool_sizes must name"),
        ({"pool_sizes": pools(worker=0)}, "pool_sizes must be at least 1"),
        ({"settings": {"worker_concurrency": "8"}}, "names are in upper case"),
        ({"settings": {"PG_POOL_MAX": "8"}}, "must not name what Terraform sets"),
        ({"alert_channels": ["SMS"]}, "may name RESEND_API_KEY and ALERT_URLS"),
        ({"alert_channels": ["RESEND_API_KEY"]}, "needs ALERT_EMAIL_FROM and ALERT_EMAIL_TO"),
        ({"settings": {"ALERT_URLS": "x"}}, "must not name what Terraform sets"),
        ({"settings": {"DATABASE_PASSWORD": "x"}}, "must not hold secrets"),
        ({"resources": {"api": {"cpu": 0.5, "memory": "4Gi"}}}, "2 Gi of memory"),
        ({"enable_container_apps": True}, "images must name"),
        ({**SECOND_PHASE, "nivoda_username": ""}, "nivoda_username is missing"),
        ({**SECOND_PHASE, "images": images(api="example.azurecr.io/diamond-api:latest")}, "images must name"),
        ({**SECOND_PHASE, "images": images(worker=images()["api"])}, "images must name"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_terraform_refuses_a_value(tmp_path: Path, values: dict[str, Any], problem: str) -> None:
    plan = plan_variables(tmp_path, "prod", **values)
    assert plan.returncode == 1
    assert problem in " ".join(plan.stderr.replace("│", " ").split())


def evaluate(folder: Path, expression: str, **values: Any) -> Any:
    """An expression over the variables and locals of the container-apps module, as Terraform computes it."""
    module = MODULES / "container-apps"
    text = (module / "main.tf").read_text(encoding="utf-8")
    shutil.copy(module / "variables.tf", folder)
    (folder / "locals.tf").write_text(
        text[text.index("locals {") : text.index("\n}\n") + 3], encoding="utf-8"
    )
    given = {
        "name_prefix": "diamond-staging",
        "location": "here",
        "resource_group_name": "group",
        "subscription_id": "subscription",
        "tags": {},
        "identities": {app: {"id": app, "client_id": f"{app}-client", "principal_id": app} for app in APPS},
        "registry_server": "registry",
        "images": images(),
        "resources": {},
        "scale": {},
        "pool_sizes": pools(),
        "service_bus_name": "bus",
        "service_bus_host": "bus.servicebus.windows.net",
        "scale_rules_connection_string": "",
        "storage_account_url": "https://blobs/",
        "key_vault_uri": "https://vault/",
        "nivoda_endpoint": "https://supplier",
        "nivoda_username": "shop@example.com",
        "settings": {},
        "alert_channels": [],
        "trusted_proxies": ["100.100.0.0/17"],
        "scheduler_cron_expression": "0 2 * * *",
        "full_run_cron_expression": "0 3 * * 0",
        "scheduler_parallelism": 1,
        "log_retention_days": 7,
        **values,
    }
    assert set(given) == set(variables(module))
    (folder / "terraform.tfvars.json").write_text(json.dumps(given), encoding="utf-8")
    console = run_terraform(folder, "console", stdin=f"jsonencode({expression})\n")
    assert console.returncode == 0, console.stderr
    return json.loads(json.loads(console.stdout))


@needs_terraform
def test_each_application_is_given_its_own_variables(tmp_path: Path) -> None:
    env = evaluate(tmp_path, "local.env")
    common = {
        "AZURE_CLIENT_ID",
        "AZURE_SERVICE_BUS_NAMESPACE",
        "AZURE_STORAGE_ACCOUNT_URL",
        "FULL_RUN_CRON",
        "LOG_FORMAT",
        "NIVODA_ENDPOINT",
        "NIVODA_USERNAME",
        "PG_POOL_MAX",
        "SCHEDULER_CRON",
    }
    job = {"AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_SCHEDULER_JOB_NAME"}
    assert set(env["scheduler"]) == common
    assert set(env["worker"]) == set(env["consolidator"]) == common | {"HOST", "MONITORING_PORT"}
    assert set(env["api"]) == common | {"HOST", "PORT", "TRUSTED_PROXIES"} | job
    assert {app: (e["AZURE_CLIENT_ID"], e["PG_POOL_MAX"]) for app, e in env.items()} == {
        "api": ("api-client", "2"),
        "consolidator": ("consolidator-client", "2"),
        "scheduler": ("scheduler-client", "2"),
        "worker": ("worker-client", "1"),
    }
    # What the settings know already they accept.
    for variables_of_one in env.values():
        given = {"nivoda_password": "of the vault", **variables_of_one}
        Settings(**{name.lower(): value for name, value in given.items()})


@needs_terraform
def test_further_settings_reach_every_python_container_and_change_none_of_ours(tmp_path: Path) -> None:
    env = evaluate(tmp_path, "local.env", settings={"WORKER_CONCURRENCY": "8", "PG_POOL_MAX": "99"})
    assert set(env) == {"api", "consolidator", "scheduler", "worker"}
    assert {of_app["WORKER_CONCURRENCY"] for of_app in env.values()} == {"8"}
    assert "99" not in {of_app["PG_POOL_MAX"] for of_app in env.values()}


@needs_terraform
def test_one_job_plans_what_changed_and_one_everything(tmp_path: Path) -> None:
    assert evaluate(tmp_path, "local.jobs") == {
        "scheduler": {"cron": "0 2 * * *", "command": ["diamond", "schedule"]},
        "scheduler-full": {"cron": "0 3 * * 0", "command": ["diamond", "schedule", "--type", "full"]},
    }
    api = evaluate(tmp_path, "local.env")["api"]
    assert api["AZURE_SCHEDULER_JOB_NAME"] == "diamond-staging-scheduler"
    blocks = parse_folder(MODULES / "container-apps")
    [role] = [b for b in blocks if b.labels[:1] == ("azurerm_role_assignment",)]
    assert '.scheduler["scheduler"].id' in role.arguments["scope"], "that one is the API's to start"


@needs_terraform
def test_only_the_api_may_read_the_signing_secrets(tmp_path: Path) -> None:
    secrets = evaluate(tmp_path, "local.secrets")
    assert {app for app, of_app in secrets.items() if "HMAC_SECRETS" in of_app} == {"api"}
    assert set(secrets["worker"].items()) == {
        ("DATABASE_URL", "database-url"),
        ("NIVODA_PASSWORD", "nivoda-password"),
    }


@needs_terraform
def test_everything_that_may_tell_of_trouble_reads_the_channels_that_are_in_the_vault(tmp_path: Path) -> None:
    secrets = evaluate(tmp_path, "local.secrets", alert_channels=["RESEND_API_KEY"])
    assert {of_app["RESEND_API_KEY"] for of_app in secrets.values()} == {"resend-api-key"}
    assert not any("ALERT_URLS" in of_app for of_app in secrets.values())
    mailing = {
        "ALERT_EMAIL_TO": "ann@example.com",
        "ALERT_EMAIL_FROM": "b@example.com",
        "PUBLIC_URL": "https://d",
    }
    env = evaluate(tmp_path, "local.env", settings=mailing)
    assert all(mailing.items() <= of_app.items() for of_app in env.values())


@needs_terraform
def test_no_name_is_longer_than_azure_allows(tmp_path: Path) -> None:
    prefix = f"{'x' * 9}-staging"
    jobs = evaluate(tmp_path, "local.job_names", name_prefix=prefix)
    assert set(jobs) == {"scheduler", "scheduler-full"}
    assert max(map(len, jobs.values())) <= 32
    assert max(len(f"{prefix}-{app}") for app in APPS) <= 32
    assert len(f"{prefix}-kv") <= 24
    assert len(f"{prefix.replace('-', '')}st") <= 24


@needs_terraform
def test_every_file_is_formatted() -> None:
    formatted = run_terraform(ROOT / "infrastructure" / "terraform", "fmt", "-check", "-diff", "-recursive")
    assert formatted.returncode == 0, formatted.stdout
