"""What a caller does with a failure: the answers every error of this package gives."""

from dataclasses import dataclass


class DiamondError(Exception):
    """An error whose message is written for a person: what, where, which value, what to do next."""


class ConfigurationError(DiamondError):
    """A setting is missing or wrong; nothing was started. The message names the setting."""


class Retryable(DiamondError):
    """The same call may succeed later; ``retry_after_seconds`` is the other side's own wish, if it told one."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Skippable(DiamondError):
    """One item is unusable: record it and go on with the rest."""


class Fatal(DiamondError):
    """The same call can never succeed; a person has to change something first."""


class Superseded(DiamondError):
    """Others do this work now, or it was called off or ended: what is not committed is given up, and nothing failed."""


@dataclass(frozen=True, slots=True)
class Warned:
    """A single odd field that became null: counted, shown with an example, never fatal.

    ``json_path`` is where in the supplier's item, such as ``$.diamond.certificate.length``.
    """

    json_path: str
    reason: str
    example: str
