"""What metrics, logs and idle tracing cost: the same benchmark with them and without, in interleaved pairs.

With them is as shipped: LOG_LEVEL=INFO, every metric counted, no exporter for traces. Without them the process and
those it starts find ``without_instruments`` on their path, which takes the metrics' methods and the logger away.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from statistics import median, quantiles
from typing import Any

_PAIRS = 10
_WITHOUT = Path(__file__).with_name("without_instruments")

#: What is compared of each benchmark: a time on the clock, and a processor's, which others on the machine disturb less.
_COSTS = {
    "consolidate": ("seconds", "our_processor_seconds"),
    "api": ("seconds_per_request", "processor_ms_per_request"),
}


async def measure(rows: int, sessions: int, batch_size: int | None) -> dict[str, float | int]:
    sizes = ["--rows", str(rows), "--sessions", str(sessions)]
    if batch_size is not None:
        sizes += ["--batch-size", str(batch_size)]
    ratios: dict[str, list[float]] = {
        f"{name}_{cost}": [] for name, costs in _COSTS.items() for cost in costs
    }
    for pair in range(_PAIRS):
        for name, costs in _COSTS.items():
            figures = {}
            for instruments in (True, False) if pair % 2 == 0 else (False, True):
                figures[instruments] = await _run([name, *sizes], instruments=instruments)
            for cost in costs:
                ratios[f"{name}_{cost}"].append(figures[True][cost] / figures[False][cost])
    spreads = [(name, *_spread(values)) for name, values in ratios.items()]
    return {
        "stones": rows,
        "pairs": _PAIRS,
        **{
            f"{name}_{which}": value
            for name, *figures in spreads
            for which, value in zip(("ratio", "quarter", "three_quarters"), figures, strict=True)
        },
        "target_ratio": 1.03,
    }


def _spread(values: list[float]) -> tuple[float, float, float]:
    lower, _, upper = quantiles(values, n=4)
    return median(values), lower, upper


async def _run(arguments: list[str], *, instruments: bool) -> dict[str, Any]:
    environment = {**os.environ, "LOG_LEVEL": "INFO"}
    if not instruments:
        path = [str(_WITHOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(path)
    level = "INFO" if instruments else "ERROR"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks", *arguments, "--log-level", level, "--json", env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(
            f"benchmark {arguments[0]} ended with {process.returncode}; run it alone to see why"
        )
    figures: dict[str, Any] = json.loads(output)
    if "requests_per_second" in figures:
        figures["seconds_per_request"] = 1 / figures["requests_per_second"]
    return figures
