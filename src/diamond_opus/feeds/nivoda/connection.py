"""How one question reaches the supplier: token, budget, one HTTP exchange, and tries by class of error."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace, TracebackType
from typing import Any, Generic, Self, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from diamond_opus.domain.clock import Clock
from diamond_opus.domain.errors import ConfigurationError, DiamondError, Retryable
from diamond_opus.feeds.budget import Outcome, RequestBudget, Verdict
from diamond_opus.feeds.health import SupplierHealth, SupplierState
from diamond_opus.feeds.nivoda.answers import read_login
from diamond_opus.feeds.nivoda.body import read_body
from diamond_opus.feeds.nivoda.documents import OPERATIONS
from diamond_opus.feeds.nivoda.errors import (
    BadAnswer,
    NotSent,
    Throttled,
    TokenRejected,
    TooLate,
    WrongCredentials,
    judge_errors,
    judge_health,
    judge_login,
    judge_status,
    quote,
    show,
)
from diamond_opus.feeds.nivoda.token import TokenKeeper
from diamond_opus.observability import metrics
from diamond_opus.observability.logging import get_logger
from diamond_opus.observability.trace import current_trace, format_traceparent
from diamond_opus.observability.tracing import Kind, Span, is_recording, span

T = TypeVar("T")

#: How long everybody pauses after a refusal that names no time itself.
PAUSE_SECONDS = 5.0

#: How long what changes something may wait for a token and a slot before it leaves.
ACTION_WAIT_SECONDS = 20.0

#: The feed, as metrics call it.
_FEED = "nivoda"

#: What came of a request, by the class of its error; the first that fits.
_OUTCOMES: Sequence[tuple[type[DiamondError], str]] = (
    (Throttled, "throttled"),
    (TokenRejected, "token_rejected"),
    (WrongCredentials, "wrong_credentials"),
    (NotSent, "not_sent"),
    (BadAnswer, "bad_answer"),
    (Retryable, "failed"),
    (DiamondError, "refused"),
)

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NivodaAccount:
    """Where and as whom the supplier is asked, and how patiently.

    Raises ConfigurationError for what cannot work.
    """

    endpoint: str
    username: str
    password: str = field(repr=False)
    request_timeout_seconds: float = 45.0
    connect_timeout_seconds: float = 10.0
    token_lifetime_seconds: float = 6 * 3600.0
    tries: int = 5
    first_backoff_seconds: float = 2.0
    max_backoff_seconds: float = 300.0
    gateway_pause_seconds: float = 30.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.endpoint)
        if "@" in parts.netloc:
            raise ConfigurationError("NIVODA_ENDPOINT holds a login; use NIVODA_USERNAME and NIVODA_PASSWORD")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(
                f"NIVODA_ENDPOINT must be an http or https address, not {self.endpoint!r}"
            )
        if not self.username or not self.password:
            raise ConfigurationError("NIVODA_USERNAME and NIVODA_PASSWORD must both be set")


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """One operation with its variables.

    ``subject`` names it in messages ("count of natural USD 0 to 100"). ``read`` takes the answer's body and
    gives the value (None: nothing usable) and the errors beside it, raising ``msgspec.DecodeError`` for a
    broken body; ``judge`` makes the error of an answer without value. An action changes something: it gets a
    new connection, because one kept alive may be closed by the other side just when it is used; and it leaves
    within ``ACTION_WAIT_SECONDS`` or not at all, because whoever asked for it may count it as lost by then.
    """

    operation: str
    variables: Mapping[str, Any]
    subject: str
    read: Callable[[bytes], tuple[T | None, Sequence[Any]]]
    judge: Callable[[str, Sequence[Any]], DiamondError] = judge_errors
    is_action: bool = False


class NivodaConnection:
    """One HTTP session and one token, shared by everything that asks this account; close it after use."""

    def __init__(
        self,
        account: NivodaAccount,
        *,
        budget: RequestBudget,
        clock: Clock,
        health: SupplierHealth | None = None,
        jitter: random.Random | None = None,
    ) -> None:
        self._account = account
        self._health = health
        self._budget = budget
        self._clock = clock
        self._jitter = jitter or random.Random()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._tokens = TokenKeeper(self.log_in, clock, lifetime_seconds=account.token_lifetime_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._tokens.aclose()
        while self._sessions:
            await self._sessions.popitem()[1].close()

    async def ask(self, question: Question[T], *, tries: int | None = None) -> T:
        """The answer's value, after up to ``tries`` tries (the account's by default).

        A rejected token is replaced; only if the new one is rejected too does that count as a try. Raises ``Retryable``
        or ``Fatal``.
        """
        tries = tries or self._account.tries
        asked_at = self._clock.monotonic()
        attempt = 0
        renewed = False
        while True:
            try:
                token = await self._tokens.get()
            except Retryable as error:
                raise NotSent(str(error), retry_after_seconds=error.retry_after_seconds) from error
            except WrongCredentials as error:  # perhaps those of a while ago, which nobody tries again yet
                self._note(SupplierState.LOGIN_FAILED, error)
                raise
            try:
                return await self._exchange(question, token, asked_at)
            except TokenRejected as error:
                self._tokens.reject(token)
                if renewed:
                    attempt += 1
                    refused = NotSent(
                        f"{error}; a new login did not help: check that the account may use the API"
                    )
                    self._note(SupplierState.REFUSING, refused)
                    await self._wait_or_give_up(refused, attempt, tries)
                renewed = True
            except Retryable as error:
                attempt += 1
                await self._wait_or_give_up(error, attempt, tries)

    async def log_in(self) -> str:
        """A new token. Raises ``WrongCredentials`` or ``Retryable``."""
        account = self._account
        credentials = {"username": account.username, "password": account.password}
        question = Question("Login", credentials, "login", read_login, judge_login)
        attempt = 0
        while True:
            try:
                return await self._exchange(question, None, self._clock.monotonic())
            except TokenRejected as error:
                raise judge_login("nivoda: login", [str(error)]) from error
            except Retryable as error:
                attempt += 1
                await self._wait_or_give_up(error, attempt, account.tries)

    async def _wait_or_give_up(self, error: Retryable, attempt: int, tries: int) -> None:
        """Sleep before the next try: exponential with full jitter, and at least as long as was wished."""
        limit = self._account.max_backoff_seconds
        wished = error.retry_after_seconds
        if attempt >= tries or (wished is not None and wished > limit):
            raise _given_up(error, attempt) from error
        wait = self._jitter.random() * min(limit, self._account.first_backoff_seconds * 2 ** (attempt - 1))
        if wished is not None:
            wait = wished + wait / 10
        log.warning("supplier_request_retried", reason=f"{error}; retry in {wait:.0f} s", attempt=attempt)
        await self._clock.sleep(wait)

    async def _exchange(self, question: Question[T], token: str | None, asked_at: float) -> T:
        waits_since = self._clock.monotonic()
        try:
            with span("budget wait"):
                async with asyncio.timeout(ACTION_WAIT_SECONDS if question.is_action else None):
                    await self._budget.acquire()
        except Retryable as error:
            raise NotSent(f"nivoda: {question.subject} was not sent: {error}") from error
        except TimeoutError as error:
            raise _too_late(question) from error

        def check_time() -> None:
            if question.is_action and self._clock.monotonic() - asked_at > ACTION_WAIT_SECONDS:
                raise _too_late(question)

        check_time()
        sent_at = self._clock.monotonic()
        metrics.BUDGET_WAIT_SECONDS.labels(_FEED).observe(sent_at - waits_since)
        try:
            with self._span(question) as asking:
                value = await self._answer(question, token, check_time, asking)
        except DiamondError as error:
            await self._report(question.operation, sent_at, error)
            raise
        await self._report(question.operation, sent_at, None)
        return value

    async def _report(self, operation: str, sent_at: float, error: DiamondError | None) -> None:
        seconds = self._clock.monotonic() - sent_at
        self._note(judge_health(error), error)
        metrics.SUPPLIER_REQUESTS.labels(_FEED, operation, _outcome(error)).inc()
        metrics.SUPPLIER_SECONDS.labels(_FEED, operation).observe(seconds)
        if isinstance(error, Throttled):
            pause = PAUSE_SECONDS if error.retry_after_seconds is None else error.retry_after_seconds
            await self._budget.report(Outcome(operation, Verdict.THROTTLED, seconds, pause))
        else:
            verdict = Verdict.GOOD if error is None else Verdict.FAILED
            await self._budget.report(Outcome(operation, verdict, seconds))

    def _note(self, state: SupplierState | None, error: DiamondError | None) -> None:
        if self._health is not None and state is not None:
            self._health.note(state, None if error is None else str(error))

    def _span(self, question: Question[Any]) -> Span:
        attributes = {
            "http.request.method": "POST",
            "server.address": urlsplit(self._account.endpoint).hostname,
        }
        return span(f"nivoda {question.operation}", Kind.CLIENT, attributes)

    async def _answer(
        self, question: Question[T], token: str | None, check_time: Callable[[], None], asking: Span
    ) -> T:
        """One exchange, judged. Raises ``Retryable``, ``Fatal`` or ``TokenRejected``."""
        subject = f"nivoda: {question.subject}"
        status, headers, body = await self._post(question, token, subject, check_time)
        asking.set({"http.response.status_code": status, "http.response.body.size": len(body)})
        error = judge_status(
            subject,
            status,
            headers,
            body,
            self._clock.now(),
            gateway_pause_seconds=self._account.gateway_pause_seconds,
        )
        if error is None:
            try:
                value, errors = question.read(body)
            except msgspec.ValidationError as cause:
                error = BadAnswer(f"{subject} answered in an unknown form ({cause}): {quote(body)}")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                error = BadAnswer(f"{subject} answered 200 with what is not JSON: {quote(body)}")
            else:
                if value is not None:
                    if errors:
                        # Counted by the run as unreadable items; hardly worth a line each.
                        log.debug(
                            "supplier_errors_beside_data", subject=question.subject, errors=show(errors)
                        )
                    return value
                error = question.judge(subject, errors)
        error.args = (self._hide(str(error), token),)
        raise error

    async def _post(
        self, question: Question[T], token: str | None, subject: str, check_time: Callable[[], None]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One exchange; ``check_time`` has the last word once the connection is there, before the first byte."""
        request = {"query": OPERATIONS[question.operation], "variables": question.variables}
        data = msgspec.json.encode(request)
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        trace = current_trace()
        if is_recording() and trace is not None and trace.sampled:
            headers["traceparent"] = format_traceparent(trace)  # two random numbers, and nothing of ours
        try:
            async with self._open_session(question).post(
                self._account.endpoint,
                data=data,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=check_time,
            ) as response:
                return response.status, response.headers, await read_body(response, subject)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotSent(f"{subject} was not sent, no connection: {error}") from error
        except TimeoutError as error:
            seconds = self._account.request_timeout_seconds
            raise Retryable(f"{subject} was not answered within {seconds:g} s") from error
        except aiohttp.ClientPayloadError as error:
            raise BadAnswer(f"{subject} broke off in the middle of its answer") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Retryable(f"{subject} was not answered: {str(error) or type(error).__name__}") from error

    def _open_session(self, question: Question[Any]) -> aiohttp.ClientSession:
        session = self._sessions.get(question.is_action)
        if session is None:
            account = self._account
            session = self._sessions[question.is_action] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=question.is_action),
                timeout=aiohttp.ClientTimeout(
                    total=account.request_timeout_seconds, sock_connect=account.connect_timeout_seconds
                ),
                headers={"User-Agent": "diamond-opus"},
                trace_configs=[_LAST_WORD],
            )
        return session

    def _hide(self, text: str, token: str | None) -> str:
        """The supplier may quote what it was sent; messages are read by people who may not see it."""
        for secret in (self._account.password, self._account.username, token):
            if secret:
                text = text.replace(secret, "***")
        return text


async def _check_time(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _created: aiohttp.TraceConnectionCreateEndParams,
) -> None:
    context.trace_request_ctx()


#: Who stood still while the connection was made asks again whether the request may still leave.
_LAST_WORD = aiohttp.TraceConfig()
_LAST_WORD.on_connection_create_end.append(_check_time)


def _outcome(error: DiamondError | None) -> str:
    if error is None:
        return "answered"
    return next(outcome for kind, outcome in _OUTCOMES if isinstance(error, kind))


def _too_late(question: Question[Any]) -> TooLate:
    return TooLate(
        f"nivoda: {question.subject} was not sent: it could not leave within {ACTION_WAIT_SECONDS:g} s"
    )


def _given_up(error: Retryable, attempts: int) -> Retryable:
    wished = error.retry_after_seconds
    if wished is not None:
        text = f"{error}; retry in {wished:.0f} s"
    elif attempts > 1:
        text = f"{error}; gave up after {attempts} tries, try again later"
    else:
        text = f"{error}; try again later"
    return type(error)(text, retry_after_seconds=wished)
