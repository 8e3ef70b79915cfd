"""What each room gets of the settings, in its own terms."""

from collections.abc import Sequence
from datetime import timedelta

from diamond_opus import azure
from diamond_opus.alerts.channels import Channel, channels_of, mail_channels
from diamond_opus.consolidate.consolidator import ConsolidationSettings
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.feeds.nivoda import NivodaAccount, validate_filter
from diamond_opus.ingest.read_range import ReadingSettings
from diamond_opus.ingest.worker import AttemptSettings
from diamond_opus.maintain.retention import Retention
from diamond_opus.maintain.tasks import TASKS
from diamond_opus.monitoring.look import Limits
from diamond_opus.partitioning.settings import HeatmapSettings
from diamond_opus.schedule.plan_run import PlanningSettings
from diamond_opus.settings import Settings

SIMULATOR_ACCOUNT = ("demo@example.com", "demo")


def check_settings(settings: Settings) -> None:
    """Raise ConfigurationError for values that are refused only where they are used; asks nobody, starts nothing."""
    supplier_account(settings)
    validate_filter(settings.nivoda_filter or "")
    azure.check_settings(settings)
    alert_channels(settings)
    try:
        planning_settings(settings)
    except ValueError as error:
        raise ConfigurationError(f"HEATMAP_*: {error}") from error


def supplier_account(settings: Settings) -> NivodaAccount:
    """Who asks whom: the configured supplier, or the simulator on this machine."""
    if settings.nivoda_endpoint is None:
        endpoint = f"http://127.0.0.1:{settings.simulator_port}/api/diamonds"
        username, password = SIMULATOR_ACCOUNT
        username = settings.nivoda_username or username
        if settings.nivoda_password is not None:
            password = settings.nivoda_password.get_secret_value()
    else:
        if settings.nivoda_username is None or settings.nivoda_password is None:
            raise ConfigurationError("NIVODA_USERNAME and NIVODA_PASSWORD are missing")
        endpoint, username = settings.nivoda_endpoint, settings.nivoda_username
        password = settings.nivoda_password.get_secret_value()
    return NivodaAccount(
        endpoint,
        username,
        password,
        request_timeout_seconds=settings.nivoda_request_timeout_ms / 1000,
        connect_timeout_seconds=settings.nivoda_connect_timeout_ms / 1000,
        token_lifetime_seconds=settings.nivoda_token_lifetime_seconds,
        tries=settings.nivoda_request_tries,
        first_backoff_seconds=settings.retry_first_backoff_seconds,
        max_backoff_seconds=settings.retry_longest_backoff_seconds,
        gateway_pause_seconds=settings.nivoda_gateway_pause_seconds,
    )


def planning_settings(settings: Settings) -> PlanningSettings:
    return PlanningSettings(
        safety_minutes=settings.incremental_safety_minutes,
        run_timeout_seconds=settings.run_timeout_seconds,
        heatmap=HeatmapSettings(
            dense_zone_threshold=settings.heatmap_dense_zone_threshold,
            dense_zone_step=settings.heatmap_dense_zone_step,
            max_price=settings.heatmap_max_price,
            # One place is kept for each type's catch-up.
            max_workers=settings.heatmap_max_workers - 1,
            min_records_per_worker=settings.heatmap_min_records_per_worker,
            records_per_worker=settings.records_per_worker,
        ),
    )


def attempt_settings(settings: Settings) -> AttemptSettings:
    return AttemptSettings(
        lease_seconds=settings.worker_lease_seconds,
        max_attempts=settings.worker_max_attempts,
        first_backoff_seconds=settings.retry_first_backoff_seconds,
        longest_backoff_seconds=settings.retry_longest_backoff_seconds,
        enough_percent=settings.auto_consolidation_success_threshold,
        reading=ReadingSettings(overlap=settings.worker_page_overlap, max_offset=settings.worker_max_offset),
    )


def consolidation_settings(settings: Settings) -> ConsolidationSettings:
    return ConsolidationSettings(
        batch_size=settings.consolidator_batch_size,
        concurrency=settings.consolidator_concurrency,
        lease_seconds=settings.worker_lease_seconds,
        guard_share=settings.removal_guard_share,
        max_attempts=settings.worker_max_attempts,
        first_backoff_seconds=settings.retry_first_backoff_seconds,
    )


def retention(settings: Settings) -> Retention:
    return Retention(
        raw_days=settings.raw_retention_days,
        deleted_stone_days=settings.deleted_stone_retention_days,
        run_days=settings.run_retention_days,
        density_days=settings.density_retention_days,
        error_log_days=settings.error_log_retention_days,
        audit_days=settings.audit_retention_days,
        incident_days=settings.incident_retention_days,
        dead_letter_days=settings.dead_letter_retention_days,
    )


def incident_limits(settings: Settings) -> Limits:
    hours, gigabytes = settings.backup_max_age_hours, settings.database_size_limit_gb
    return Limits(
        scheduler_cron=settings.scheduler_cron,
        full_run_cron=settings.full_run_cron,
        late_after=timedelta(minutes=settings.run_late_grace_minutes),
        maintain_cron=settings.maintain_cron,
        tasks=[task.name for task in TASKS],
        rejected_share=settings.rejected_share_limit,
        refusal=timedelta(seconds=settings.supplier_refusal_seconds),
        backup_age=None if hours is None else timedelta(hours=hours),
        database_bytes=None if gigabytes is None else gigabytes * 1e9,
        disk=settings.diamond_home if settings.server_url is None else None,
    )


def alert_channels(settings: Settings) -> Sequence[Channel]:
    """Who is told of incidents. Raises ConfigurationError, without what is secret in an address."""
    mails = mail_channels(
        api_key=settings.resend_api_key.get_secret_value() if settings.resend_api_key else None,
        to=settings.alert_email_to,
        sender=settings.alert_email_from,
    )
    urls = settings.alert_urls.get_secret_value() if settings.alert_urls else None
    return [*mails, *channels_of(urls)]
