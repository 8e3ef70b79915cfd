"""The default channel: an alert is a line in the log, at the level of its severity."""

import pytest
from structlog.testing import capture_logs

from diamond_opus.alerts.log import LogAlerts
from diamond_opus.alerts.protocol import Alert, Alerts, Severity


@pytest.mark.parametrize("severity", Severity)
async def test_an_alert_is_logged_with_everything_it_says(severity: Severity) -> None:
    alerts: Alerts = LogAlerts()
    alert = Alert(
        severity,
        "consolidation_skipped",
        "Run r1 was not consolidated",
        "2 of 14 partitions failed. Retry them, or consolidate with force.",
        run_id="r1",
        fields={"failed": 2, "level": "a field may have any name", "event": "even this"},
    )

    with capture_logs() as logs:
        await alerts.raise_alert(alert)

    assert logs == [
        {
            "event": "alert",
            "log_level": severity.value,
            "alert": "consolidation_skipped",
            "title": "Run r1 was not consolidated",
            "text": "2 of 14 partitions failed. Retry them, or consolidate with force.",
            "run_id": "r1",
            "fields": alert.fields,
        }
    ]


async def test_an_alert_without_a_run_has_no_run_id() -> None:
    with capture_logs() as logs:
        await LogAlerts().raise_alert(Alert(Severity.INFO, "e", "t", "x"))

    assert "run_id" not in logs[0]
