"""What each wrong answer of the supplier means: ask again, slow down, log in anew, or call a person."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from diamond_opus.domain.errors import DiamondError, Fatal, Retryable
from diamond_opus.feeds.health import SupplierState
from diamond_opus.feeds.trading import Refused
from diamond_opus.observability.redact import clean_text

#: The longest wish to be left alone that is taken at its word.
MAX_RETRY_AFTER_SECONDS = 3600.0

#: The supplier's authentication texts, in any case of letters: the only words that decide anything.
_TOKEN_TEXTS = (
    "jwt expired",
    "jwt malformed",
    "invalid token",
    "token expired",
    "unauthorized",
    "authentication required",
    "unauthenticated",
)
_REFUSED_CODES = frozenset({"GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED", "BAD_USER_INPUT"})
_SHOWN_CHARACTERS = 300


class Throttled(Retryable):
    """The supplier or its gateway wants fewer requests: everybody waits."""


class NotSent(Retryable):
    """The request never left, or was turned away at the door: what it asked for was surely not done."""


class TooLate(NotSent):
    """It was we who did not send it in time; the supplier has no part in it."""


class BadAnswer(Retryable):
    """The answer is not what the protocol promises: HTML, broken or partial JSON, no data."""


class TokenRejected(DiamondError):  # named as its siblings are, by what happened
    """The token is expired or unknown; a new login may help."""


class WrongCredentials(Fatal):
    """The supplier does not know this user name and password."""


class RefusedQuery(Fatal):
    """The supplier understood the request and will never grant it; the message quotes its reason."""


def judge_status(
    subject: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    *,
    gateway_pause_seconds: float,
) -> DiamondError | None:
    """The error of an HTTP answer, or None when its body is to be read (200).

    ``subject`` begins the message, such as ``nivoda: page at offset 650 of natural USD 1200 to 1340``. The pause is for
    a refusal of the gateway that names none itself.
    """
    if status == 200:
        return None
    wait = parse_retry_after(headers.get("Retry-After"), now)
    said = f"{subject} answered {status}"
    errors = _graphql_errors(body)
    if status == 401 or (status in (400, 403) and speaks_of_token(errors)):
        return TokenRejected(f"{said}: {show(errors) if errors else quote(body)}")
    if status == 429:
        return Throttled(said, retry_after_seconds=wait)
    if status == 403:
        wait = gateway_pause_seconds if wait is None else wait
        return Throttled(f"{said} from its gateway: {quote(body)}", retry_after_seconds=wait)
    if status == 400 and (errors or _is_json(body)):
        return RefusedQuery(f"{said}, it refuses the query: {show(errors) if errors else quote(body)}")
    if status >= 500 or status in (408, 425):
        return Retryable(said, retry_after_seconds=wait)
    if 400 < status < 500:
        return RefusedQuery(f"{said}: {quote(body)}; check NIVODA_ENDPOINT")
    return BadAnswer(f"{said}: {quote(body)}", retry_after_seconds=wait)


def judge_errors(subject: str, errors: Sequence[Any]) -> DiamondError:
    """The error of an answer with status 200 that has GraphQL errors and nothing usable beside them."""
    if speaks_of_token(errors):
        return TokenRejected(f"{subject} was answered with: {show(errors)}")
    if any(_code(error) in _REFUSED_CODES for error in errors):
        return RefusedQuery(f"{subject} was refused: {show(errors)}")
    if errors:
        return BadAnswer(f"{subject} was answered with errors and no data: {show(errors)}")
    return BadAnswer(f"{subject} was answered without data and without an error")


def judge_action(subject: str, errors: Sequence[Any]) -> DiamondError:
    """The error of an answer without data to a request that changes something."""
    judged = judge_errors(subject, errors)
    codes = {_code(error) for error in errors}
    says_no = isinstance(judged, BadAnswer) and errors and "INTERNAL_SERVER_ERROR" not in codes
    # An address or an option that it does not take is a no to this request, not a fault of ours.
    if says_no or (isinstance(judged, RefusedQuery) and "BAD_USER_INPUT" in codes):
        return Refused(f"{subject} was refused: {show(errors)}")
    return judged


def judge_login(subject: str, errors: Sequence[Any]) -> DiamondError:
    """The error of a login without a token: wrong credentials, unless the supplier says it failed itself."""
    if any(_code(error) == "INTERNAL_SERVER_ERROR" for error in errors):
        return BadAnswer(f"{subject} was answered with: {show(errors)}")
    said = f" ({show(errors)})" if errors else ""
    return WrongCredentials(f"{subject} was refused{said}; check NIVODA_USERNAME and NIVODA_PASSWORD")


def judge_health(error: DiamondError | None) -> SupplierState | None:
    """What an exchange says of the supplier's state; None for what says nothing, such as an answer we cannot use."""
    if error is None or isinstance(error, Refused):
        return SupplierState.ANSWERING
    if isinstance(error, Throttled):
        return SupplierState.REFUSING
    if isinstance(error, WrongCredentials):
        return SupplierState.LOGIN_FAILED
    if isinstance(error, Retryable) and not isinstance(error, TooLate):
        return SupplierState.AWAY
    return None


def speaks_of_token(errors: Sequence[Any]) -> bool:
    """Whether an error is one of the known refusals of a token.

    >>> speaks_of_token([{"message": "JWT expired"}])
    True
    """
    return any(
        _code(error) == "UNAUTHENTICATED" or any(text in _message(error).lower() for text in _TOKEN_TEXTS)
        for error in errors
    )


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds to wait by a ``Retry-After`` header (seconds or an HTTP date); None without a usable one.

    >>> parse_retry_after("Wed, 21 Oct 2015 07:28:20 GMT", datetime(2015, 10, 21, 7, 28, tzinfo=UTC))
    20.0
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds()
    if not seconds >= 0:  # also for "nan"
        return 0.0 if seconds < 0 else None
    return min(seconds, MAX_RETRY_AFTER_SECONDS)


def show(errors: Sequence[Any]) -> str:
    """The supplier's own words, masked and cut."""
    texts = list(dict.fromkeys(_message(error) for error in errors))
    return _cut("; ".join(texts))


def quote(body: bytes) -> str:
    """How an answer begins, masked and cut, for a message.

    >>> quote(b"<html>\\n<h1>Bad gateway</h1>")
    "HTML: '<html> <h1>Bad gateway</h1>'"
    """
    if not body.strip():
        return "an empty body"
    text = " ".join(body[:4096].decode(errors="replace").split())
    kind = "HTML: " if text.startswith("<") else ""
    return f"{kind}{_cut(text)!r}"


def _cut(text: str) -> str:
    masked = clean_text(text)
    return masked if len(masked) <= _SHOWN_CHARACTERS else f"{masked[:_SHOWN_CHARACTERS]}…"


def _message(error: Any) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) else str(error)


def _code(error: Any) -> object:
    extensions = error.get("extensions") if isinstance(error, dict) else None
    return extensions.get("code") if isinstance(extensions, dict) else None


def _graphql_errors(body: bytes) -> Sequence[Any]:
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    errors = answer.get("errors") if isinstance(answer, dict) else None
    return errors if isinstance(errors, list) else []


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
