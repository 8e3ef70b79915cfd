"""Where alerts go: e-mail through Resend, and whatever else Apprise knows, each from how bad a thing on.

Apprise is loaded when a channel is configured and not before: it takes a second.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from diamond_opus.alerts.addresses import Address, digest, read_addresses
from diamond_opus.alerts.protocol import Severity
from diamond_opus.alerts.render import Kind, Message, as_html
from diamond_opus.alerts.transport import Answer, Outcome, send_noting
from diamond_opus.domain.errors import ConfigurationError

LONGEST_SEND_SECONDS = 20.0

#: For a connection, and for each part of an answer, unless an address says otherwise (cto, rto). Apprise's own 4 s send
#: twice what a slow provider took; both together are less than the longest send, so that it is known which it was.
_TIMEOUTS = {"socket_connect_timeout": 5.0, "socket_read_timeout": 14.0}


class Channel(Protocol):
    """A way to one recipient. Its ``name`` is stored and shown, and holds no secret."""

    @property
    def name(self) -> str: ...

    @property
    def least(self) -> Severity:
        """It is told of what is as bad as that, or worse."""
        ...

    async def send(self, message: Message) -> Answer:
        """Never raises, and takes 20 s at most."""
        ...


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """``make`` gives a new service of Apprise for each message: they keep a state of their own.

    ``html`` is for mail, of which Apprise would make one long line that no window breaks.
    """

    name: str
    least: Severity
    make: Callable[[], Any]
    html: bool = False

    async def send(self, message: Message) -> Answer:
        answer = _in_thread(lambda: self._send(message))
        try:
            async with asyncio.timeout(LONGEST_SEND_SECONDS):
                return await answer
        except TimeoutError:
            return Answer(Outcome.UNKNOWN, "TimeoutError")

    def _send(self, message: Message) -> Answer:
        apprise = _apprise()
        service = self.make()
        if service is None:
            return Answer(Outcome.AWAY, "Apprise refuses its address")
        if hasattr(service, "dedup") and hasattr(
            service, "action"
        ):  # PagerDuty: an end resolves what it began
            service.dedup, service.action = message.key, "map"
        every = apprise.Apprise()
        every.add(service)
        return send_noting(
            lambda: bool(
                every.notify(
                    title=message.title,
                    body=as_html(message) if self.html else message.body,
                    notify_type=_type_of(message),
                    body_format=apprise.NotifyFormat.HTML if self.html else apprise.NotifyFormat.TEXT,
                )
            ),
            targets=len(service),
        )


def channels_of(urls: str | None) -> Sequence[Channel]:
    """The channels of ALERT_URLS. Raises ConfigurationError, which tells a position and never an address."""
    return [_channel_of(address) for address in read_addresses(urls)]


def _channel_of(address: Address) -> Channel:
    if _instantiate(address.url) is None:
        raise ConfigurationError(
            f"{address.where} is refused by Apprise; see https://appriseit.com/services/"
        )
    return AppriseChannel(address.name, address.least, lambda: _instantiate(address.url))


def mail_channels(
    *, api_key: str | None, to: Sequence[str], sender: str | None, address: str | None = None
) -> Sequence[Channel]:
    """E-mail through Resend, a channel for each of ``to``: each is told once, whatever becomes of the others.

    ``address`` is where Resend's API answers, None for its own. Raises ConfigurationError.
    """
    if not api_key or not sender:
        return []
    return list(_mail_channels(api_key, to, sender, address))


def _mail_channels(api_key: str, to: Sequence[str], sender: str, address: str | None) -> Iterator[Channel]:
    for position, recipient in enumerate(dict.fromkeys(to), start=1):
        make = _mailer(api_key, recipient, sender, address)
        if not _is_mail_address(sender):
            raise ConfigurationError("ALERT_EMAIL_FROM is no e-mail address")
        if not _is_mail_address(recipient):
            raise ConfigurationError(f"ALERT_EMAIL_TO: the {position}. of {len(to)} is no e-mail address")
        if make() is None:
            raise ConfigurationError("RESEND_API_KEY is none that Resend gives")
        yield AppriseChannel(f"resend-{digest(recipient)}", Severity.WARNING, make, html=True)


def _mailer(api_key: str, recipient: str, sender: str, address: str | None) -> Callable[[], Any]:
    def make() -> Any:
        service = _instantiate(
            {"schema": "resend", "apikey": api_key, "from_addr": sender, "targets": [recipient]}
        )
        if service is not None and address is not None:
            service.notify_url = address
        return service

    return make


def _is_mail_address(text: str) -> bool:
    from apprise.utils import parse

    is_email: Callable[[str], object] = parse.is_email
    return bool(is_email(text))


def _instantiate(address: str | Mapping[str, Any]) -> Any:
    """A service of Apprise, or None when it can make nothing of the address; it logs why, which nobody is shown."""
    apprise = _apprise()
    # Without a limit of its own it sends in our thread; else in one for which a process that ends has to wait.
    asset = apprise.AppriseAsset(app_id="Diamond Opus", app_desc="Alerts of Diamond Opus", service_timeout=0)
    service = apprise.Apprise.instantiate(
        dict(address) if isinstance(address, Mapping) else address, asset=asset
    )
    if service is not None:
        _be_patient(service)
    return service


def _be_patient(service: Any) -> None:
    """What an address says stands on the service itself; a service that waits longer by its kind, as for SMTP, may."""
    for name, seconds in _TIMEOUTS.items():
        if name not in vars(service):
            setattr(service, name, max(seconds, getattr(service, name)))


@cache
def _apprise() -> Any:
    import apprise

    return apprise


def _type_of(message: Message) -> Any:
    types = _apprise().NotifyType
    if message.kind is Kind.RESOLVED:
        return types.SUCCESS
    return {Severity.INFO: types.INFO, Severity.WARNING: types.WARNING}.get(message.severity, types.FAILURE)


def _in_thread(work: Callable[[], Answer]) -> "asyncio.Future[Answer]":
    """A thread of its own, which nobody waits for when the process ends: a channel may hang."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Answer] = loop.create_future()
    context = contextvars.copy_context()

    def settle(answer: Answer) -> None:
        if not future.done():
            future.set_result(answer)

    def run() -> None:
        try:
            answer = context.run(work)
        except Exception as error:  # whatever it is, the one who waits has to know
            answer = Answer(Outcome.AWAY, type(error).__name__)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, answer)

    threading.Thread(target=run, name="alert", daemon=True).start()
    return future
