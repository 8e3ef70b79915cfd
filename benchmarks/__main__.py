"""``python -m benchmarks NAME [--rows N] [--json]``; the names stand below."""

import argparse
import asyncio
import json
from functools import partial

from benchmarks import (
    api,
    consolidate,
    dashboard,
    ingest,
    operators,
    overhead,
    refresh,
    search,
    thirty_days,
    tuning,
    under_load,
    whole_run,
)
from diamond_opus.observability.logging import configure_logging

BENCHMARKS = {
    "consolidate": consolidate.measure,
    "refresh": refresh.measure,
    "ingest": ingest.measure,
    "search": search.measure,
    "api": api.measure,
    "operators": operators.measure,
    "under-load": under_load.measure,
    "whole-run": whole_run.measure,
    "dashboard": dashboard.measure,
    "overhead": overhead.measure,
    "thirty-days": thirty_days.measure,
    "tuning": tuning.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--rows", type=int, default=100_000, help="stones (default 100,000)")
    parser.add_argument("--sessions", type=int, default=2, help="database sessions, for us and for the limit")
    parser.add_argument("--batch-size", type=int, default=None, help="else the default of the settings")
    parser.add_argument("--log-level", default="ERROR", help="of the benchmark's own process (default ERROR)")
    parser.add_argument("--json", action="store_true", dest="as_json")
    parser.add_argument("--days", type=int, default=30, help="of thirty-days")
    parser.add_argument("--change", type=float, default=0.02, help="of thirty-days: the share of a day")
    options = parser.parse_args()
    configure_logging(service="benchmark", level=options.log_level)
    measure = BENCHMARKS[options.name]
    if measure is thirty_days.measure:
        measure = partial(thirty_days.measure, days=options.days, change=options.change)
    figures = asyncio.run(measure(options.rows, options.sessions, options.batch_size))
    if options.as_json:
        print(json.dumps({"benchmark": options.name, **figures}))
        return
    if options.name == "thirty-days":
        print(thirty_days.as_markdown(figures))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:,.3f}" if isinstance(value, float) else f"{name:<{width}}  {value:,}")


if __name__ == "__main__":
    main()
