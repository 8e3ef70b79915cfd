"""How metrics are described, and how values that exist elsewhere are told when somebody asks for them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Named:
    """What a label may hold when its values are names of our own: the words say which."""

    words: str


#: What a label may hold: these values and no others, or names of our own.
Values = tuple[str, ...] | Named


@dataclass(frozen=True, slots=True)
class Description:
    """A metric as people read of it. ``from_database``: asked of the database, so the same in every process."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    text: str
    labels: Mapping[str, Values]
    from_database: bool = False


class Sample(NamedTuple):
    """One value; ``labels`` in the order of the description."""

    name: str
    labels: Sequence[str]
    value: float


class Told(Collector):
    """Described metrics whose samples ``read`` gives, all of them each time: what it leaves out is gone."""

    def __init__(self, descriptions: Sequence[Description], read: Callable[[], Iterable[Sample]]) -> None:
        self._descriptions = descriptions
        self._read = read

    def collect(self) -> Iterator[Metric]:
        families = {described.name: _family(described) for described in self._descriptions}
        for sample in self._read():
            families[sample.name].add_metric(list(sample.labels), sample.value)
        yield from (family for family in families.values() if family.samples)


def _family(described: Description) -> CounterMetricFamily | GaugeMetricFamily:
    made = CounterMetricFamily if described.kind == "counter" else GaugeMetricFamily
    return made(described.name, described.text, labels=list(described.labels))


class PoolLike(Protocol):
    """As much of a pool as is measured; ``get_stats`` is psycopg_pool's."""

    @property
    def name(self) -> str: ...

    def get_stats(self) -> dict[str, int]: ...


class CatalogueLike(Protocol):
    """Who keeps the catalogue in memory."""

    def total_by_feed(self) -> Mapping[str, int]: ...


def sum_stats(pools: Iterable[PoolLike]) -> Mapping[str, Mapping[str, int]]:
    """Their figures by name, without the program's own that each begins with; two of one name are one."""
    sums: dict[str, dict[str, int]] = {}
    for pool in pools:
        named = sums.setdefault(pool.name.removeprefix("diamond "), {})
        for key, value in pool.get_stats().items():
            named[key] = named.get(key, 0) + value
    return sums
