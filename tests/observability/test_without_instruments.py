"""The process that ``benchmarks overhead`` compares with really has no metrics and, once it is ready, no log."""

import os
import subprocess
import sys
from pathlib import Path

PLACE = Path(__file__).parents[2] / "benchmarks" / "without_instruments"

PROGRAM = """
from prometheus_client import Counter, Gauge, Histogram, generate_latest
from diamond_opus.observability.logging import configure_logging, get_logger

configure_logging(service="test", as_json=True)
log = get_logger("test")
log.info("before")
log.info("catalog_index_loaded")
log.error("after")
Counter("stones", "help", ["feed"]).labels("nivoda").inc()
Gauge("age", "help").set(3)
with Histogram("seconds", "help").time():
    pass
lines = generate_latest().decode().splitlines()
print([line for line in lines if line.startswith(("stones", "age ", "seconds_count"))])
"""


def test_nothing_is_counted_and_once_it_is_ready_nothing_logged() -> None:
    environment = {**os.environ, "PYTHONPATH": str(PLACE)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['age 0.0', 'seconds_count 0.0']"
    assert [event in done.stderr for event in ("before", "catalog_index_loaded", "after")] == [
        True,
        True,
        False,
    ]
