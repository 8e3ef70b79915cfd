"""What metrics, logs and idle tracing cost: the same work with them and without, in interleaved pairs.

With them is as shipped: LOG_LEVEL=INFO, every metric counted, no exporter for traces. Without them a process finds
``without_instruments`` on its path, which takes the metrics' methods and the logger away.
"""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median, quantiles

from benchmarks.api import Ask, api_process, load, read_key, shop
from benchmarks.catalogue import catalogue
from benchmarks.world import Served

_PAIRS = 10
_WITHOUT = Path(__file__).with_name("without_instruments")

#: A pair of the API is so many turns of the one process and of the other, on one database: what else happens on the
#: machine meets both.
_TURNS = 30
_REQUESTS = 100


async def measure(rows: int, sessions: int, batch_size: int | None) -> dict[str, float | int]:
    sizes = ["--rows", str(rows), "--sessions", str(sessions)]
    if batch_size is not None:
        sizes += ["--batch-size", str(batch_size)]
    costs = await _consolidate(sizes) | await _api(rows)
    return {
        "stones": rows,
        "pairs": _PAIRS,
        **{
            f"{name}_{which}": value
            for name, ratios in costs.items()
            for which, value in zip(("ratio", "quarter", "three_quarters"), _spread(ratios), strict=True)
        },
        "target_ratio": 1.03,
    }


def _spread(values: list[float]) -> tuple[float, float, float]:
    lower, _, upper = quantiles(values, n=4)
    return median(values), lower, upper


def _orders() -> list[tuple[bool, bool]]:
    return [(True, False) if pair % 2 == 0 else (False, True) for pair in range(_PAIRS)]


async def _consolidate(sizes: list[str]) -> dict[str, list[float]]:
    """The ratios of the pairs: on the clock, and of processor time, which others on the machine disturb less."""
    costs = ("seconds", "our_processor_seconds")
    ratios: dict[str, list[float]] = {f"consolidate_{cost}": [] for cost in costs}
    for order in _orders():
        figures = {instruments: await _run("consolidate", sizes, instruments) for instruments in order}
        for cost in costs:
            ratios[f"consolidate_{cost}"].append(figures[True][cost] / figures[False][cost])
    return ratios


async def _run(name: str, sizes: list[str], instruments: bool) -> Mapping[str, float]:
    level = "INFO" if instruments else "ERROR"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks", name, *sizes, "--log-level", level, "--json",
        env={**os.environ, **_environment(instruments)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"benchmark {name} ended with {process.returncode}; run it alone to see why")
    figures: Mapping[str, float] = json.loads(output)
    return figures


def _environment(instruments: bool) -> Mapping[str, str]:
    if instruments:
        return {"LOG_LEVEL": "INFO"}
    path = [str(_WITHOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"LOG_LEVEL": "INFO", "PYTHONPATH": os.pathsep.join(path)}


async def _api(rows: int) -> dict[str, list[float]]:
    """The same of a page, each pair with two new processes: how they lie in memory alone makes two per cent."""
    ratios: dict[str, list[float]] = {"api_seconds": [], "api_processor_seconds": []}
    async with catalogue(rows) as (pool, _, _), read_key(pool) as key:
        for order in _orders():
            seconds, processor_seconds = await _take_turns(str(pool.conninfo), key, order)
            ratios["api_seconds"].append(seconds[True] / seconds[False])
            ratios["api_processor_seconds"].append(processor_seconds[True] / processor_seconds[False])
    return ratios


async def _take_turns(
    database_url: str, key: str, order: tuple[bool, bool]
) -> tuple[Mapping[bool, float], Mapping[bool, float]]:
    """What each process took, with instruments (True) and without: seconds on the clock, and of processor time."""
    served: dict[bool, Served] = {}
    ask: dict[bool, Ask] = {}
    async with AsyncExitStack() as stack:
        for instruments in order:
            api = await stack.enter_async_context(api_process(database_url, _environment(instruments)))
            served[instruments] = api
            ask[instruments] = await stack.enter_async_context(shop(api, key))
            await load(ask[instruments], 5 * _REQUESTS)  # what is first is slow
        before = {instruments: api.cpu_seconds() for instruments, api in served.items()}
        seconds = dict.fromkeys(order, 0.0)
        for instruments in order * _TURNS:
            seconds[instruments] += (await load(ask[instruments], _REQUESTS))[0]
        return seconds, {
            instruments: api.cpu_seconds() - before[instruments] for instruments, api in served.items()
        }
