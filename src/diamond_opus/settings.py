"""Every setting, read once from the environment and ``.env.local``; a wrong one stops the start with one line."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from croniter import croniter
from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.observability.redact import MASK, clean_text

Positive = Annotated[int, Field(gt=0)]
#: No longer than any installation lives, and within what dates can hold.
Days = Annotated[int, Field(gt=0, le=36_500)]
Seconds = Annotated[float, Field(gt=0, le=30 * 24 * 3600, allow_inf_nan=False)]

#: Two ways to the same service.
_EITHER = (
    ("azure_service_bus_connection_string", "azure_service_bus_namespace"),
    ("azure_storage_connection_string", "azure_storage_account_url"),
)
_MAIL = ("resend_api_key", "alert_email_to", "alert_email_from")
_JOB = ("azure_subscription_id", "azure_resource_group", "azure_scheduler_job_name")


class Settings(BaseSettings):
    """One frozen object. Field names are the variables' names in lower case; SPEC's names are kept.

    ``.env.example`` lists them all; a test compares it with this class.
    """

    model_config = SettingsConfigDict(
        env_file=".env.local", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True
    )

    # Where the database is: a URL, or its five parts, or nothing for the embedded server.
    database_url: SecretStr | None = None
    database_host: str | None = None
    database_port: Annotated[int, Field(gt=0, lt=65536)] = 5432
    database_name: str = "postgres"
    database_username: str = "postgres"
    database_password: SecretStr | None = None
    pg_pool_max: Positive = 2
    pg_idle_timeout_ms: Positive = 30_000
    pg_conn_timeout_ms: Positive = 10_000
    pg_answer_timeout_ms: Positive = 30_000
    pg_idle_transaction_timeout_ms: Positive = 30_000
    diamond_home: Path = Path(".diamond")
    diamond_postgres_bin: Path | None = None
    diamond_postgres_port: Annotated[int, Field(gt=0, lt=65536)] | None = None

    # The supplier. Without an endpoint the simulator of `diamond simulator` is asked.
    nivoda_endpoint: str | None = None
    nivoda_username: str | None = None
    nivoda_password: SecretStr | None = None
    nivoda_filter: str | None = None
    nivoda_request_timeout_ms: Positive = 45_000
    nivoda_connect_timeout_ms: Positive = 10_000
    nivoda_max_requests_per_second: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False)] | None = (
        None
    )
    nivoda_token_lifetime_seconds: Seconds = 6 * 3600
    nivoda_request_tries: Positive = 5
    # The supplier's gateway, not its own code, refused: such refusals last minutes.
    nivoda_gateway_pause_seconds: Seconds = 30
    simulator_port: Annotated[int, Field(gt=0, lt=65536)] = 4010

    # Planning.
    run_type: Literal["full", "incremental"] | None = None
    scheduler_cron: str = "0 2 * * *"
    full_run_cron: str = "0 3 * * 0"
    incremental_safety_minutes: Annotated[int, Field(ge=0)] = 15
    heatmap_max_workers: Annotated[int, Field(ge=4, le=1000)] = 30
    heatmap_min_records_per_worker: Positive = 1_000
    heatmap_dense_zone_threshold: Positive = 20_000
    heatmap_dense_zone_step: Positive = 100
    heatmap_max_price: Positive = 250_000
    records_per_worker: Positive = 5_000
    heatmap_timeout_seconds: Seconds = 120
    # A million stones at two requests a second take nine hours; the next night's run must find the feed free.
    run_timeout_seconds: Seconds = 12 * 3600

    # Reading.
    worker_concurrency: Positive = 4
    worker_max_offset: Annotated[int, Field(ge=200)] = 1_000
    worker_page_overlap: Annotated[int, Field(ge=1, le=40)] = 5
    worker_max_attempts: Positive = 5
    # A process that died is replaced when its lease is over and a sweep has seen it: within 60 s.
    worker_lease_seconds: Seconds = 30
    retry_first_backoff_seconds: Seconds = 2
    retry_longest_backoff_seconds: Seconds = 300
    sweep_seconds: Seconds = 10

    # Consolidating.
    consolidator_batch_size: Positive = 2_000
    consolidator_concurrency: Positive = 2
    removal_guard_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    auto_consolidation_success_threshold: (
        Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] | None
    ) = None

    # Trading. A lost answer is reported within 60 s: a lease of 20 s, and two turns of the watch.
    trade_lease_seconds: Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)] = 20
    trade_watch_seconds: Annotated[float, Field(gt=0, le=20, allow_inf_nan=False)] = 10

    # Bulk work gives way to searches on the same machine: under load it took their median from 13 s to 0.25 s.
    process_niceness: Annotated[int, Field(ge=0, le=19)] = 10

    # Serving.
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, lt=65536)] = 3000
    monitoring_port: Annotated[int, Field(gt=0, lt=65536)] | None = None
    api_statement_timeout_ms: Positive = 5_000
    rate_limit_read_per_minute: Positive = 600
    rate_limit_trade_per_minute: Positive = 60
    rate_limit_admin_per_minute: Positive = 120
    hmac_secrets: SecretStr | None = None
    cors_origins: Annotated[tuple[str, ...], NoDecode] = ("*",)
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()

    # Observing.
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "text"] = "auto"
    # OpenTelemetry's own variables; the SDK reads many more, which otel_variables() hands on as they are.
    otel_exporter_otlp_endpoint: str | None = None
    otel_exporter_otlp_traces_endpoint: str | None = None
    otel_exporter_otlp_headers: SecretStr | None = None
    otel_exporter_otlp_protocol: Literal["http/protobuf"] | None = None
    otel_service_name: str | None = None
    otel_traces_sampler: (
        Literal[
            "always_on", "always_off", "traceidratio",
            "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
        ]
        | None
    ) = None  # fmt: skip
    otel_traces_sampler_arg: Annotated[float, Field(ge=0, le=1)] | None = None
    otel_sdk_disabled: bool = False

    # Alerts: where they go, and from when on something is trouble.
    resend_api_key: SecretStr | None = None
    alert_email_to: Annotated[tuple[str, ...], NoDecode] = ()
    alert_email_from: str | None = None
    alert_urls: SecretStr | None = None
    public_url: str | None = None
    run_late_grace_minutes: Annotated[int, Field(gt=0, le=525_600)] = 360
    rejected_share_limit: Annotated[float, Field(gt=0, le=1)] = 0.02
    supplier_refusal_seconds: Seconds = 180
    database_size_limit_gb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    backup_max_age_hours: Annotated[float, Field(gt=0, le=87_600, allow_inf_nan=False)] | None = None

    # Housekeeping: when, and how long what nobody needs any more is kept.
    maintain_cron: str = "0 5 * * *"
    raw_retention_days: Days = 90
    deleted_stone_retention_days: Days = 365
    run_retention_days: Days = 90
    density_retention_days: Days = 90
    error_log_retention_days: Days = 30
    audit_retention_days: Days = 730
    incident_retention_days: Days = 180
    dead_letter_retention_days: Days = 30

    # Azure: queues and watermarks there instead of in PostgreSQL, by a connection string or by an identity.
    azure_service_bus_connection_string: SecretStr | None = None
    azure_service_bus_namespace: str | None = None
    azure_storage_connection_string: SecretStr | None = None
    azure_storage_account_url: str | None = None
    # The job that plans the runs that people start; without it the API plans them itself.
    azure_subscription_id: str | None = None
    azure_resource_group: str | None = None
    azure_scheduler_job_name: str | None = None

    @field_validator("scheduler_cron", "full_run_cron", "maintain_cron")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        if len(value.split()) != 5 or not croniter.is_valid(value):
            raise ValueError('must be five cron fields in UTC, such as "0 2 * * *"')
        return value

    @field_validator("cors_origins", "trusted_proxies", "alert_email_to", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("nivoda_endpoint")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must be an address such as https://integrations.nivoda.net/api/diamonds")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_page(cls, value: str | None) -> str | None:
        if value is not None and re.fullmatch(r"https?://[^\s/?#@]+(/\S*)?", value) is None:
            raise ValueError("must be where people find the dashboard, such as https://diamonds.example")
        return value

    @field_validator("otel_exporter_otlp_endpoint", "otel_exporter_otlp_traces_endpoint")
    @classmethod
    def _is_collector(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError(
                "must be the address of a collector that speaks OTLP over HTTP, such as http://127.0.0.1:4318"
            )
        return value

    @field_validator("azure_service_bus_namespace")
    @classmethod
    def _is_host(cls, value: str | None) -> str | None:
        if value is not None and ("/" in value or "." not in value):
            raise ValueError("must be the namespace's host name, such as diamond-prod.servicebus.windows.net")
        return value

    @field_validator("azure_storage_account_url")
    @classmethod
    def _is_https(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith("https://"):
            raise ValueError("must be the blob endpoint, such as https://diamondprod.blob.core.windows.net")
        return value

    @model_validator(mode="after")
    def _check(self) -> "Settings":
        if self.nivoda_endpoint is not None:
            for name in ("nivoda_username", "nivoda_password"):
                if getattr(self, name) is None:
                    raise ValueError(f"{name.upper()} is missing: NIVODA_ENDPOINT needs an account")
        for given, other in _EITHER:
            if getattr(self, given) is not None and getattr(self, other) is not None:
                raise ValueError(
                    f"{given.upper()} and {other.upper()} are both set; keep the one that is meant"
                )
        mail = [getattr(self, name) for name in _MAIL]
        if any(mail) and not all(mail):
            raise ValueError(f"{', '.join(_MAIL).upper()}: set all three, or none")
        job = [getattr(self, name) for name in _JOB]
        if any(job) and not all(job):
            raise ValueError(f"{', '.join(_JOB).upper()}: set all three, or none")
        return self

    @property
    def server_url(self) -> str | None:
        """The connection string of a server that is not ours to start, None for the embedded one."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        if self.database_host is None:
            return None
        password = (
            f":{quote(self.database_password.get_secret_value(), safe='')}" if self.database_password else ""
        )
        return (
            f"postgresql://{quote(self.database_username, safe='')}{password}"
            f"@{self.database_host}:{self.database_port}/{quote(self.database_name, safe='')}"
        )

    @property
    def uses_service_bus(self) -> bool:
        return bool(self.azure_service_bus_connection_string or self.azure_service_bus_namespace)

    @property
    def uses_blob_storage(self) -> bool:
        return bool(self.azure_storage_connection_string or self.azure_storage_account_url)

    @property
    def supplier_is_simulator(self) -> bool:
        return self.nivoda_endpoint is None


def load_settings(**overrides: Any) -> Settings:
    """Read the environment. Raises ConfigurationError with one line that names the variable, value and remedy.

    ``overrides`` are what the command line says; None means it says nothing.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f".env.local: it must be UTF-8 text, but {error.reason} at byte {error.start}"
        ) from None
    except ValidationError as error:
        raise ConfigurationError("; ".join(_explain(problem) for problem in error.errors())) from None


def otel_variables(settings: Settings) -> dict[str, str]:
    """OpenTelemetry's standard variables for its SDK, which does not know ``.env.local``: those of the environment,
    else those of the file, and what ``settings`` say of them.
    """
    known = {name: getattr(settings, name) for name in Settings.model_fields if name.startswith("otel_")}
    told = {
        name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in known.items()
        if value is not None
    }
    file = dotenv_values(".env.local", encoding="utf-8")
    found = {
        name: value for name, value in {**file, **os.environ}.items() if name.startswith("OTEL_") and value
    }
    return {**found, **told}


_SECRETS = ("url", "password", "secret", "connection_string", "namespace", "api_key", "headers")


def _explain(problem: Any) -> str:
    reason = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:
        return str(reason)
    name = str(problem["loc"][0])
    shown = "" if any(word in name for word in _SECRETS) else f" ({_shown(problem['input'])!r})"
    return f"{name.upper()}{shown}: {reason}"


def _shown(value: Any) -> Any:
    """The value, without what may be a login before an @."""
    if not isinstance(value, str):
        return value
    before, at, after = value.rpartition("@")
    return clean_text(f"{MASK}@{after}" if at else before + after)
