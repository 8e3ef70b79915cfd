"""From when on a look takes something for trouble, where a test does not say it: no clock calls, and nothing is due."""

from datetime import timedelta

from diamond_opus.monitoring.look import Limits

NEVER = "0 0 31 2 *"

QUIET = Limits(
    scheduler_cron=NEVER,
    full_run_cron=NEVER,
    late_after=timedelta(hours=6),
    maintain_cron=NEVER,
    tasks=(),
    rejected_share=0.1,
    refusal=timedelta(0),
)
