"""A failure that is alerted stands in the operator's list of errors too."""

import pytest

from diamond_opus.alerts.protocol import Alert, Severity
from diamond_opus.alerts.recorded import RecordedAlerts as Recorder
from diamond_opus.db.pool import Pool
from pipeline_builders import RecordedAlerts as Channel


@pytest.mark.parametrize(
    ("severity", "kept"), [(Severity.WARNING, 0), (Severity.ERROR, 1), (Severity.CRITICAL, 1)]
)
async def test_a_failure_is_recorded_and_every_alert_is_handed_on(
    pool: Pool, severity: Severity, kept: int
) -> None:
    channel = Channel()
    alert = Alert(severity, "consolidation_skipped", "Run r1 failed", "Retry it.", run_id="r1")

    await Recorder(pool, channel, service="worker").raise_alert(alert)

    assert channel.raised == [alert]
    async with pool.connection() as conn:
        cursor = await conn.execute("SELECT service, error_message, context->>'runId' FROM error_logs")
        assert await cursor.fetchall() == [("worker", "Run r1 failed. Retry it.", "r1")] * kept
