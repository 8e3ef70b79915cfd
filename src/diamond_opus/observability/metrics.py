"""Every metric of the system in one place: its name, what it tells, and which values its labels may have.

A label never holds an id, an address or a text of somebody else's: each is one of the values written here, or a name of
our own code (feeds, routes, queues, pools, tasks, events), so that a process has some hundred series, whatever happens.
``DESCRIPTIONS`` is the list, docs/monitoring.md its table.

A count or an observation takes one or two microseconds, and is made once for a page, a batch or a request.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final, Literal
from weakref import WeakSet

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from diamond_opus.observability.collectors import (
    CatalogueLike,
    Description,
    Named,
    PoolLike,
    Sample,
    Told,
    Values,
    sum_stats,
)

Kind = Literal["counter", "gauge", "histogram"]

#: When a series began is of no use to anybody here, and would be a line more for each.
disable_created_metrics()  # type: ignore[no-untyped-call]

#: Everything that this process tells. The library's own registry is not used, for anybody may add to it.
REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

DESCRIPTIONS: Final[dict[str, Description]] = {}

# --- What labels may hold ---------------------------------------------------------------------------------------------

FEED: Final = Named("a feed, such as nivoda")
QUEUE: Final = Named("work-items, work-done or consolidate")
CHANGES: Final = ("written", "unchanged")
PARTITION_OUTCOMES: Final = ("completed", "failed", "postponed", "given_back", "lease_lost")
REQUEST_OUTCOMES: Final = (
    "answered", "throttled", "token_rejected", "wrong_credentials", "not_sent", "bad_answer", "refused", "failed",
)  # fmt: skip
#: The last part of the JSON path at which a payload was refused; the words beside it are for people.
REJECTION_REASONS: Final = ("payload", "diamond", "certificate", "id", "price", "carats", "shape", "other")
RULES: Final = ("default", "other")
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
#: ``none``: the client went away before there was an answer.
STATUSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", "none")
#: The route of a request that none takes.
UNMATCHED: Final = "unmatched"
CACHES: Final = ("catalogue_index", "counts", "etag", "api_key")
CACHE_OUTCOMES: Final = ("hit", "miss")
MESSAGE_STATES: Final = ("visible", "hidden")
POOL_STATES: Final = ("in_use", "idle")
SUPPLIER_STATES: Final = ("answering", "refusing", "login_failed", "away")
RUN_TYPES: Final = ("full", "incremental")
RUN_STATES: Final = ("planned", "ingesting", "ingested", "consolidating", "completed", "failed", "cancelled")
SEVERITIES: Final = ("info", "warning", "error", "critical")

_SECONDS_OF_REQUEST: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_SECONDS_OF_SUPPLIER: Final = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 45.0)
_SECONDS_OF_WAIT: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 300.0)
_SECONDS_OF_BATCH: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)
_SECONDS_OF_PARTITION: Final = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)


def _described(name: str, kind: Kind, text: str, labels: Mapping[str, Values]) -> list[str]:
    """Write it down; the names of its labels."""
    DESCRIPTIONS[name] = Description(name, kind, text, labels)
    return list(labels)


def _counter(name: str, text: str, **labels: Values) -> Counter:
    return Counter(name, text, _described(name, "counter", text, labels), registry=REGISTRY)


def _gauge(name: str, text: str, **labels: Values) -> Gauge:
    return Gauge(name, text, _described(name, "gauge", text, labels), registry=REGISTRY)


def _histogram(name: str, text: str, buckets: Sequence[float], **labels: Values) -> Histogram:
    return Histogram(
        name, text, _described(name, "histogram", text, labels), buckets=buckets, registry=REGISTRY
    )


# --- The process ------------------------------------------------------------------------------------------------------

PROCESS = _gauge(
    "diamond_process_info",
    "Always 1: which process this is, and of which version.",
    service=Named("worker, consolidator, api, up, demo, run or scheduler"),
    version=Named("the installed version"),
)

# --- Reading ----------------------------------------------------------------------------------------------------------

PAGES_READ = _counter(
    "diamond_pages_read_total", "Pages of the supplier's inventory that were stored.", feed=FEED
)
STONES_READ = _counter(
    "diamond_stones_read_total",
    "Stones read from the supplier, each once for a range of prices; a range that is read again counts again.",
    feed=FEED,
)
RAW_ROWS = _counter(
    "diamond_raw_rows_stored_total",
    "Answers about stones that were stored: written, or only marked as seen because they were known.",
    feed=FEED,
    change=CHANGES,
)
UNREADABLE = _counter(
    "diamond_items_unreadable_total",
    "Items without an identity, or that the database cannot hold.",
    feed=FEED,
)
PARTITION_SECONDS = _histogram(
    "diamond_partition_seconds",
    "How long a worker had a partition, and how that ended.",
    _SECONDS_OF_PARTITION,
    feed=FEED,
    outcome=PARTITION_OUTCOMES,
)
LEASE_RECOVERIES = _counter(
    "diamond_lease_recoveries_total",
    "Partitions taken over from a worker that had stopped renewing its lease.",
    feed=FEED,
)

# --- The supplier -----------------------------------------------------------------------------------------------------

SUPPLIER_REQUESTS = _counter(
    "diamond_supplier_requests_total",
    "Requests to the supplier, by what came of them.",
    feed=FEED,
    operation=Named("an operation of the feed's GraphQL document"),
    outcome=REQUEST_OUTCOMES,
)
SUPPLIER_SECONDS = _histogram(
    "diamond_supplier_request_seconds",
    "From sending a request to the end of its answer.",
    _SECONDS_OF_SUPPLIER,
    feed=FEED,
    operation=Named("an operation of the feed's GraphQL document"),
)
BUDGET_WAIT_SECONDS = _histogram(
    "diamond_supplier_budget_wait_seconds",
    "How long requests waited for their slot in the account's budget.",
    _SECONDS_OF_WAIT,
    feed=FEED,
)

# --- Consolidating ----------------------------------------------------------------------------------------------------

STONES_CONSOLIDATED = _counter(
    "diamond_stones_consolidated_total",
    "Stones that went through consolidation, the rejected ones among them.",
    feed=FEED,
)
STONES_REJECTED = _counter(
    "diamond_stones_rejected_total",
    "Stones that consolidation rejected, by the part of the payload that was refused.",
    feed=FEED,
    reason=REJECTION_REASONS,
)
STONES_PRICED = _counter(
    "diamond_stones_priced_total",
    "Stones priced: by the rule that takes every stone or by none (default), or by another.",
    feed=FEED,
    rule=RULES,
)
BATCH_SECONDS = _histogram(
    "diamond_consolidation_batch_seconds",
    "How long a batch's transaction took, tries included.",
    _SECONDS_OF_BATCH,
    feed=FEED,
)
CONSOLIDATOR_BATCH_SIZE = _gauge(
    "diamond_consolidator_batch_size",
    "How many stones a batch may have now; 0 where nothing is consolidated.",
)
CONSOLIDATOR_CONCURRENCY = _gauge(
    "diamond_consolidator_concurrency",
    "How many batches run side by side now; 0 where nothing is consolidated.",
)

# --- The API ----------------------------------------------------------------------------------------------------------

REQUEST_SECONDS = _histogram(
    "diamond_api_request_seconds",
    "From a request's arrival to the beginning of its answer.",
    _SECONDS_OF_REQUEST,
    route=Named(f"a route's template, or {UNMATCHED}"),
    method=METHODS,
    status=STATUSES,
)
REQUESTS_IN_FLIGHT = _gauge(
    "diamond_api_requests_in_flight", "Requests whose answer is not complete, open event streams among them."
)
CACHE_REQUESTS = _counter(
    "diamond_cache_requests_total",
    "Questions that something remembered could answer: whether it did.",
    cache=CACHES,
    outcome=CACHE_OUTCOMES,
)


def count_cache(name: str, *, hit: bool) -> None:
    """One question to something remembered."""
    _cache_series(name, hit).inc()


@cache
def _cache_series(name: str, hit: bool) -> Counter:
    """Found once: to find a series takes longer than to count with it."""
    return CACHE_REQUESTS.labels(name, "hit" if hit else "miss")


@cache
def request_series(route: str, method: str, status: str) -> Histogram:
    """The same for requests; the labels are bounded, so is what is kept."""
    return REQUEST_SECONDS.labels(route, method, status)


def rejection_reason(json_path: str) -> str:
    """The category of a refused payload's path.

    >>> rejection_reason("$.diamond.certificate.carats"), rejection_reason("$"), rejection_reason("$.x.whatever")
    ('carats', 'payload', 'other')
    """
    last = json_path.rpartition(".")[2]
    if last == "$":
        return "payload"
    return last if last in REJECTION_REASONS else "other"


def begin(service: str, version: str, feeds: Iterable[str]) -> None:
    """Say who we are, and show at 0 what is counted by feed: of a series that begins with 1, nobody sees the rise."""
    PROCESS.labels(service, version).set(1)
    for feed in feeds:
        for counter in (PAGES_READ, STONES_READ, UNREADABLE, LEASE_RECOVERIES, STONES_CONSOLIDATED):
            counter.labels(feed)
        for histogram in (BUDGET_WAIT_SECONDS, BATCH_SECONDS):
            histogram.labels(feed)
        for counter, values in (
            (RAW_ROWS, CHANGES),
            (STONES_REJECTED, REJECTION_REASONS),
            (STONES_PRICED, RULES),
        ):
            for value in values:
                counter.labels(feed, value)
        for outcome in PARTITION_OUTCOMES:
            PARTITION_SECONDS.labels(feed, outcome)


# --- Connections ------------------------------------------------------------------------------------------------------

_POOL: Final = Named("worker, consolidator, api, index, up, demo, run or scheduler")
_POOL_METRICS: Final = (
    Description(
        "diamond_pool_connections", "gauge", "Connections of a pool.", {"pool": _POOL, "state": POOL_STATES}
    ),
    Description("diamond_pool_max_connections", "gauge", "How many it may have.", {"pool": _POOL}),
    Description(
        "diamond_pool_waiting", "gauge", "Who waits for one of its connections now.", {"pool": _POOL}
    ),
    Description(
        "diamond_pool_requests_total", "counter", "Connections that it was asked for.", {"pool": _POOL}
    ),
    Description(
        "diamond_pool_wait_seconds_total",
        "counter",
        "How long who asked had to wait, together.",
        {"pool": _POOL},
    ),
    Description("diamond_pool_refused_total", "counter", "Who got none in time.", {"pool": _POOL}),
)
_pools: WeakSet[PoolLike] = WeakSet()


def watch_pool(pool: PoolLike) -> None:
    """Tell of its connections until it is gone."""
    _pools.add(pool)


def _read_pools() -> Iterator[Sample]:
    for name, stats in sum_stats(list(_pools)).items():
        idle = stats.get("pool_available", 0)
        yield Sample("diamond_pool_connections", (name, "in_use"), max(0, stats.get("pool_size", 0) - idle))
        yield Sample("diamond_pool_connections", (name, "idle"), idle)
        yield Sample("diamond_pool_max_connections", (name,), stats.get("pool_max", 0))
        yield Sample("diamond_pool_waiting", (name,), stats.get("requests_waiting", 0))
        yield Sample("diamond_pool_requests_total", (name,), stats.get("requests_num", 0))
        yield Sample("diamond_pool_wait_seconds_total", (name,), stats.get("requests_wait_ms", 0) / 1000)
        yield Sample("diamond_pool_refused_total", (name,), stats.get("requests_errors", 0))


# --- The catalogue in memory ------------------------------------------------------------------------------------------

_CATALOGUE_METRICS: Final = (
    Description(
        "diamond_stones_active",
        "gauge",
        "Stones on sale, as the index that answers searches has them; of a process that serves.",
        {"feed": FEED},
    ),
)
_catalogues: WeakSet[CatalogueLike] = WeakSet()


def watch_catalogue(catalogue: CatalogueLike) -> None:
    """Tell how much is on sale, until it is gone."""
    _catalogues.add(catalogue)


def _read_catalogues() -> Iterator[Sample]:
    """A process has one."""
    totals = {feed: stones for one in list(_catalogues) for feed, stones in one.total_by_feed().items()}
    for feed, stones in totals.items():
        yield Sample("diamond_stones_active", (feed,), stones)


# --- What the database knows: monitoring/gauges.py asks it ------------------------------------------------------------


def _of_database(name: str, text: str, **labels: Values) -> Description:
    return Description(name, "gauge", text, labels, from_database=True)


_DATABASE_METRICS: Final = (
    _of_database("diamond_database_up", "1 when the database answered the last look, 0 when not."),
    _of_database("diamond_database_size_bytes", "What the database takes on its disk."),
    _of_database(
        "diamond_feed_age_seconds",
        "How old what shops see is at most: since the moment up to which the last completed run has read or, before "
        "the first, since the installation.",
        feed=FEED,
    ),
    _of_database(
        "diamond_run_state", "1 for the state of the feed's newest run.", feed=FEED, state=RUN_STATES
    ),
    _of_database("diamond_run_age_seconds", "Since the feed's newest run was planned.", feed=FEED),
    _of_database(
        "diamond_full_run_age_seconds",
        "Since the last completed full run was planned or, before the first, since the installation: what went since "
        "is still on sale.",
        feed=FEED,
    ),
    _of_database(
        "diamond_runs_unsuccessful",
        "How many of the feed's runs have ended failed or cancelled since one of the type, or a full one, completed.",
        feed=FEED,
        run_type=RUN_TYPES,
    ),
    _of_database(
        "diamond_queue_messages",
        "Messages of a queue: to be received, or leased and delayed. Absent where the queues are at Azure.",
        queue=QUEUE,
        state=MESSAGE_STATES,
    ),
    _of_database(
        "diamond_queue_oldest_message_age_seconds",
        "Since the oldest message was sent; 0 without one.",
        queue=QUEUE,
    ),
    _of_database("diamond_queue_dead_letters", "Messages that were set aside.", queue=QUEUE),
    _of_database(
        "diamond_supplier_state",
        "1 for how the supplier answers us.",
        feed=FEED,
        state=SUPPLIER_STATES,
    ),
    _of_database(
        "diamond_supplier_budget_requests_per_second", "How fast the account that asked last may ask now."
    ),
    _of_database(
        "diamond_supplier_budget_pause_seconds", "How long nobody may ask with it, after a refusal; else 0."
    ),
    _of_database(
        "diamond_incidents_open",
        "Trouble that is not over.",
        event=Named("an event of docs/runbook.md"),
        severity=SEVERITIES,
    ),
    _of_database("diamond_alerts_undelivered", "Messages about incidents that a channel has not got yet."),
    _of_database(
        "diamond_upkeep_age_seconds",
        "Since the task last succeeded or, before the first time, since the installation. A backup only where one was "
        "made.",
        task=Named("backup, or a task of housekeeping"),
    ),
)
_told_by_database: Sequence[Sample] = ()


def tell_database(samples: Sequence[Sample]) -> None:
    """What the database said last; it takes the place of all that it said before."""
    global _told_by_database
    _told_by_database = samples


for _metrics, _read in (
    (_POOL_METRICS, _read_pools),
    (_CATALOGUE_METRICS, _read_catalogues),
    (_DATABASE_METRICS, lambda: _told_by_database),
):
    DESCRIPTIONS.update({described.name: described for described in _metrics})
    REGISTRY.register(Told(_metrics, _read))


def exposition(accept: str | None = None) -> tuple[bytes, str]:
    """All metrics as the asker's ``Accept`` wants them, and the content's type; 30 ms for 1,000 lines if busy."""
    encode, content_type = choose_encoder(accept or "")
    return encode(REGISTRY), content_type
