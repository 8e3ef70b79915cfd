"""What became of each request that a channel made: Apprise itself tells only whether all went well.

Whether a message may have arrived decides whether it may be sent again. Of HTTP and SMTP, which nearly all channels
speak, that is seen where the request is made; what is made otherwise and fails counts as not delivered.
"""

import contextvars
import smtplib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, wraps
from typing import Any


class Outcome(StrEnum):
    """What is known of a message that was sent."""

    DELIVERED = "delivered"
    AWAY = "away"  # surely not delivered: nobody there, or a refusal
    UNKNOWN = "unknown"  # the answer was lost: it may have arrived


@dataclass(frozen=True, slots=True)
class Answer:
    """``reason`` is a class of error or a status, never an address, which may hold a secret."""

    outcome: Outcome
    reason: str = ""


_noted: contextvars.ContextVar[list[Answer] | None] = contextvars.ContextVar("noted", default=None)


def send_noting(send: Callable[[], bool], *, targets: int = 1) -> Answer:
    """Call ``send``, which makes requests and says whether all went well.

    Of several ``targets`` some may have the message while others failed: that is as an answer that was lost.
    """
    _watch_requests()
    noted: list[Answer] = []
    token = _noted.set(noted)
    try:
        if send():
            return Answer(Outcome.DELIVERED)
    except Exception as error:  # a channel's own mistake must not end the others
        noted.append(Answer(Outcome.AWAY, type(error).__name__))
    finally:
        _noted.reset(token)
    return _worst(noted, targets)


def _worst(noted: Sequence[Answer], targets: int) -> Answer:
    """Of a message that did not go well."""
    for answer in noted:
        if answer.outcome is Outcome.UNKNOWN:
            return answer
    failed = [answer for answer in noted if answer.outcome is Outcome.AWAY]
    if targets > 1 and len(failed) < len(noted):
        return Answer(Outcome.UNKNOWN, "only a part of its targets has it")
    return failed[-1] if failed else Answer(Outcome.AWAY, "refused")


@cache
def _watch_requests() -> None:
    """Once in a process. Requests of others pass by unseen: nobody notes for them."""
    import requests  # with Apprise, and as late

    _watch(requests.Session, "request", _of_response, _of_http_error)
    _watch(smtplib.SMTP, "connect", lambda _: None, _of_no_connection)
    _watch(smtplib.SMTP, "data", _of_smtp_reply, _of_smtp_error)


def _watch(
    kind: type,
    method: str,
    judge_result: Callable[[Any], Answer | None],
    judge_error: Callable[[Exception], Answer],
) -> None:
    original = getattr(kind, method)

    @wraps(original)
    def watched(*args: Any, **kwargs: Any) -> Any:
        noted = _noted.get()
        if noted is None:
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except Exception as error:
            noted.append(judge_error(error))
            raise
        answer = judge_result(result)
        if answer is not None:
            noted.append(answer)
        return result

    setattr(kind, method, watched)


def _of_response(response: Any) -> Answer:
    """A gateway's 502 or 504 too is a refusal here: a provider that is down often answers so, and may for hours."""
    status = int(response.status_code)
    return Answer(Outcome.DELIVERED if 200 <= status < 300 else Outcome.AWAY, f"HTTP {status}")


def _of_http_error(error: Exception) -> Answer:
    """Without a connection nothing was sent. Whatever else went wrong may have gone wrong after that."""
    import requests
    from urllib3.exceptions import MaxRetryError

    cause = error.args[0] if error.args else None
    if isinstance(cause, MaxRetryError) and cause.reason is not None:
        return Answer(Outcome.AWAY, type(cause.reason).__name__)
    unsent = not isinstance(error, requests.RequestException) or isinstance(
        error, ValueError
    )  # such as InvalidURL
    return Answer(Outcome.AWAY if unsent else Outcome.UNKNOWN, type(error).__name__)


def _of_no_connection(error: Exception) -> Answer:
    return Answer(Outcome.AWAY, type(error).__name__)


def _of_smtp_reply(reply: Any) -> Answer:
    status = int(reply[0])
    return Answer(Outcome.DELIVERED if status == 250 else Outcome.AWAY, f"SMTP {status}")


def _of_smtp_error(error: Exception) -> Answer:
    """The server's word is a refusal; a connection that ends while it takes the message leaves it open."""
    refused = isinstance(error, smtplib.SMTPResponseException)
    return Answer(Outcome.AWAY if refused else Outcome.UNKNOWN, type(error).__name__)
