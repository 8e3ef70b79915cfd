"""What tests of instruments share: how far series have risen, for they are one process's and never set back."""

from collections.abc import Mapping

from diamond_opus.observability.metrics import REGISTRY

Series = tuple[str, frozenset[tuple[str, str]]]


def all_samples() -> Mapping[Series, float]:
    """Everything that this process tells now."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
    }


class Rise:
    """By how much series have risen since it was made."""

    def __init__(self) -> None:
        self._before = all_samples()

    def of(self, name: str, **labels: str) -> float:
        now = REGISTRY.get_sample_value(name, labels) or 0.0
        return now - self._before.get((name, frozenset(labels.items())), 0.0)

    def new_labels(self) -> set[str]:
        """Label values of series that were not there before."""
        return {value for _, labels in set(all_samples()) - set(self._before) for _, value in labels}
