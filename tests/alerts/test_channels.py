"""What a channel answers, seen at a real server; where it leads, and that no secret of it is told."""

import io
import json
import logging
import re
import socket
import threading
from collections.abc import Iterator
from typing import Self

import pytest

from alert_receiver import Receiver, Reply
from diamond_opus.alerts.channels import channels_of, mail_channels
from diamond_opus.alerts.protocol import Severity
from diamond_opus.alerts.render import Kind, Message
from diamond_opus.alerts.transport import Answer, Outcome
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.observability.logging import configure_logging
from diamond_opus.room_settings import check_settings
from diamond_opus.settings import load_settings

MESSAGE = Message(
    "[error] Run 7 failed", "The disk is full.\n\nRun: 7", Severity.ERROR, Kind.OPENED, "the-incident"
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (200, Answer(Outcome.DELIVERED)),
        (503, Answer(Outcome.AWAY, "HTTP 503")),
        (429, Answer(Outcome.AWAY, "HTTP 429")),
        (401, Answer(Outcome.AWAY, "HTTP 401")),
        ("closes", Answer(Outcome.UNKNOWN, "ConnectionError")),
        ("hangs", Answer(Outcome.UNKNOWN, "ReadTimeout")),
    ],
)
async def test_what_the_provider_answers_decides_what_is_known(
    receiver: Receiver, reply: Reply, answer: Answer
) -> None:
    receiver.answer_with(reply)
    [channel] = channels_of(f"{receiver.alert_url}?rto=0.3")
    assert await channel.send(MESSAGE) == answer
    [received] = receiver.received
    assert (received["title"], received["message"], received["type"]) == (
        MESSAGE.title,
        MESSAGE.body,
        "failure",
    )


async def test_a_provider_that_takes_its_time_has_it_once(receiver: Receiver) -> None:
    """It takes 5 s, for Apprise itself would wait 4."""
    receiver.answer_with("slow")
    [channel] = channels_of(receiver.alert_url)
    assert await channel.send(MESSAGE) == Answer(Outcome.DELIVERED)


@pytest.mark.parametrize("scheme", ["json", "jsons", "mailto"])
async def test_where_nobody_listens_nothing_was_delivered(scheme: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    [channel] = channels_of(
        f"{scheme}://user:hunter2@127.0.0.1:{port}/?to=ann@example.com&from=a@example.com"
    )
    answer = await channel.send(MESSAGE)
    assert answer.outcome is Outcome.AWAY
    assert answer.reason in ("NewConnectionError", "ConnectionRefusedError")


class Mailbox:
    """A mail server for one connection, which says what it is told to once it has the message."""

    def __init__(self, last_word: bytes) -> None:
        self._last_word = last_word
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.port = self._server.getsockname()[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        connection, _ = self._server.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 ready\r\n")
            for line in lines:
                if line.upper().startswith(b"DATA"):
                    connection.sendall(b"354 go on\r\n")
                    while next(lines) != b".\r\n":
                        pass
                    connection.sendall(self._last_word)
                    return
                connection.sendall(b"250 fine\r\n")


@pytest.mark.parametrize(
    ("last_word", "answer"),
    [
        (b"250 it is yours\r\n", Answer(Outcome.DELIVERED)),
        (b"550 no\r\n", Answer(Outcome.AWAY, "SMTP 550")),
        (b"", Answer(Outcome.UNKNOWN, "SMTPServerDisconnected")),
    ],
)
async def test_a_mail_server_is_understood_as_well(last_word: bytes, answer: Answer) -> None:
    with Mailbox(last_word) as mailbox:
        [channel] = channels_of(
            f"mailto://127.0.0.1:{mailbox.port}/?mode=insecure&from=a@example.com&to=b@example.com"
        )
        assert await channel.send(MESSAGE) == answer


async def test_a_name_that_nobody_knows_is_as_nobody_there() -> None:
    [channel] = channels_of("json://nobody.invalid/")
    assert await channel.send(MESSAGE) == Answer(Outcome.AWAY, "NameResolutionError")


async def test_an_end_is_no_failure(receiver: Receiver) -> None:
    [channel] = channels_of(receiver.alert_url)
    await channel.send(Message("t", "b", Severity.CRITICAL, Kind.RESOLVED, "k"))
    assert receiver.received[0]["type"] == "success"


async def test_resend_gets_what_the_specification_sends(receiver: Receiver) -> None:
    channels = mail_channels(
        api_key="re_1234",
        to=("ann@example.com", "bob@example.com"),
        sender="alerts@example.com",
        address=receiver.url,
    )
    for channel in channels:
        assert await channel.send(MESSAGE) == Answer(Outcome.DELIVERED)
    first, second = receiver.received
    assert first["from"] == "alerts@example.com"
    assert (first["to"], second["to"]) == ("ann@example.com", "bob@example.com")
    assert first["subject"] == MESSAGE.title
    for told in (f"<h2>{MESSAGE.title}</h2>", "<p>The disk is full.</p>", "<p>Run: 7</p>"):
        assert told in first["html"]
    assert receiver.headers[0]["Authorization"] == "Bearer re_1234"
    assert not {"ann@example.com", "re_1234"} & {channel.name for channel in channels}
    assert len({channel.name for channel in channels}) == 2


def test_an_address_may_say_from_which_severity_on() -> None:
    channels = channels_of(
        " critical=pagerduty://0123456789abcdef0123456789abcdef@api\n info=json://a/ json://b/ "
    )
    assert [channel.least for channel in channels] == [Severity.CRITICAL, Severity.INFO, Severity.WARNING]
    assert [channel.name.split("-")[0] for channel in channels] == ["pagerduty", "json", "json"]


def test_an_address_may_have_a_name_which_stays_when_its_token_is_replaced() -> None:
    for token in ("first", "second"):
        channels = channels_of(f"ops=json://{token}/ night-shift:critical=json://{token}/night")
        assert [(channel.name, channel.least) for channel in channels] == [
            ("ops", Severity.WARNING),
            ("night-shift", Severity.CRITICAL),
        ]


@pytest.mark.parametrize("between", [",", ", ", ",error=", ",ops:error=", " , "])
def test_a_comma_between_addresses_loses_none_of_them_in_silence(between: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        channels_of(f"json://hunter2/{between}json://hunter3/")
    assert re.fullmatch(
        r"ALERT_URLS: separate addresses by spaces, not commas \(entry [12]\)", str(raised.value)
    )


def test_a_comma_within_an_address_is_its_own() -> None:
    [channel] = channels_of("mailtos://user:word@example.com/?to=ann@example.com,bob@example.com")
    assert channel.name.startswith("mailtos-")


@pytest.mark.parametrize(
    ("urls", "told"),
    [
        ("json://ok/ slack://hunter2", "address 2 of 2 is refused by Apprise"),
        ("hunter2", "address 1 of 1 is none"),
        ("unheard://hunter2", "address 1 of 1 is refused"),
        ("Ops=json://hunter2/", "address 1 of 1: what stands before ="),
        ("eror=json://hunter2/", "address 1 of 1: what stands before = is nearly the severity error"),
        ("warn=json://hunter2/", "address 1 of 1: what stands before = is nearly the severity warning"),
        ("ops:fatal=json://hunter2/", "address 1 of 1: what stands before ="),
        ("ops:=json://hunter2/", "address 1 of 1: what stands before ="),
        ("error:critical=json://hunter2/", "address 1 of 1: what stands before ="),
        (":error=json://hunter2/", "address 1 of 1: what stands before ="),
        ("json://hunter2/ error=json://hunter2/", "address 2 of 2 is there twice"),
        ("ops=json://a/ ops:error=json://hunter2/", "address 2 of 2 has the name of another"),
    ],
)
def test_a_wrong_address_is_named_by_its_position_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, urls: str, told: str
) -> None:
    monkeypatch.setenv("ALERT_URLS", urls)
    with pytest.raises(ConfigurationError) as raised:
        check_settings(load_settings())
    assert told in str(raised.value)
    assert str(raised.value).startswith("ALERT_URLS: ")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("ALERT_EMAIL_TO", "ann@example.com, bob"), ("ALERT_EMAIL_FROM", "bob"), ("RESEND_API_KEY", "a key")],
)
def test_a_wrong_mail_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    right = {"RESEND_API_KEY": "re_1", "ALERT_EMAIL_TO": "a@example.com", "ALERT_EMAIL_FROM": "b@example.com"}
    for variable, given in {**right, name: value}.items():
        monkeypatch.setenv(variable, given)
    with pytest.raises(ConfigurationError, match=name):
        check_settings(load_settings())


async def test_what_apprise_logs_of_its_secrets_never_reaches_our_log(receiver: Receiver) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    try:
        configure_logging(service="test", level="DEBUG", as_json=True, stream=stream)
        logging.getLogger("diamond").debug("a line that is kept")
        receiver.answer_with(503, "closes", 200)
        [channel] = channels_of(f"json://ann:hunter2@127.0.0.1:{receiver.port}/hunter2?-token=hunter2")
        for _ in range(3):
            answer = await channel.send(MESSAGE)
            assert "hunter2" not in answer.reason
        with pytest.raises(ConfigurationError):
            channels_of("slack://hunter2 ")
        with pytest.raises(ConfigurationError):
            mail_channels(api_key="hunter2 !", to=("ann@example.com",), sender="b@example.com")
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:] = handlers
        root.setLevel(level)
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["a line that is kept"]
