"""What may leave the process in a log line or an error record: no secret, no control character, bounded."""

import re
from collections.abc import Mapping, Set
from functools import lru_cache
from itertools import islice

import orjson

MASK = "***"
VALUE_LIMIT_BYTES = 4096

# Longer texts are cut to this before any pattern runs, so that a huge payload cannot cost seconds.
_WORK_LIMIT_CHARACTERS = 64 * 1024
_DEEPEST = 6
_MOST_ITEMS = 100

_SECRET_KEY = re.compile(
    r"password|passwd|pwd$|secret|token|authorization|credential|cookie|signature|connectionstring"
    r"|(?:api|access|account|private|shared|hmac|encryption)key|^key$|^dsn$|^sig$"
)
# Alternatives in the order in which they must be tried: whole headers before the words inside them.
_SECRET_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(://[^\s:/@]*:)[^\s/]*@"), rf"\1{MASK}@"),
    # A password with a / that nobody encoded; bounded, so that a text of nothing but addresses costs no more.
    (re.compile(r"(://[^\s:/@]*:)[^\s\"'<>]{1,256}@"), rf"\1{MASK}@"),
    # A token in the place of a user; a user of PostgreSQL alone is none.
    (re.compile(r"((?<!postgres)(?<!postgresql)://)[^\s:/@]+@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)(authorization\\?[\"']?\s*[:=]\s*\\?[\"']?)(?:[\w-]+ +)?[^\s\"',;}\]]+"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b(bearer +)[\w.~+/=-]{16,}"), rf"\1{MASK}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"), MASK),
    # A key of our own API, wherever its holder put it by mistake: in a path, in a trace id.
    (re.compile(r"\bdk_[\w-]{43}"), MASK),
    (
        re.compile(
            r"(?i)((?:(?:password|passwd|pwd|secret|token|cookie|(?:api|access|account|private|hmac)[_-]?key)s?|sig(?:nature)?)"
            r"\\?[\"']?\s*[:=]\s*)(?:\\?\"[^\"]*\"?|'[^']*'?|\{[^}]*\}?|[^\s&;,)}\]\"']+)"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"(https?://(?:hooks\.slack\.com|[\w.-]+\.webhook\.office\.com)/)[^\s\"']+"), rf"\1{MASK}"),
)
#: What every one of these patterns needs: most texts have none of it, and these patterns cost ten times as much as one.
_MAY_HOLD_SECRET = re.compile(r"(?i)[:=]|eyJ|dk_|bearer")
#: Words, numbers, ids and paths, as most texts are: each of these patterns needs another character, eyJ or dk_.
_HARMLESS = re.compile(r"[\w/,+.-]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]


def clean_text(text: str, *, limit_bytes: int = VALUE_LIMIT_BYTES, keep_end: bool = False) -> str:
    """``text`` without secrets, NUL and other control characters, at most ``limit_bytes`` of UTF-8.

    With ``keep_end`` the middle is cut instead of the end: a traceback says most in its last lines.

    >>> clean_text("postgresql://diamond:hunter2@db:5432/opus refused")
    'postgresql://diamond:***@db:5432/opus refused'
    """
    if len(text) <= limit_bytes and _HARMLESS.fullmatch(text) and "eyJ" not in text and "dk_" not in text:
        return text
    if len(text) > _WORK_LIMIT_CHARACTERS:
        half = _WORK_LIMIT_CHARACTERS // 2
        text = f"{text[:half]}…{text[-half:]}" if keep_end else text[:_WORK_LIMIT_CHARACTERS]
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    if _MAY_HOLD_SECRET.search(text):
        for pattern, replacement in _SECRET_TEXT:
            text = pattern.sub(replacement, text)
    return _cut(text, limit_bytes, keep_end=keep_end)


def clean_fields(fields: Mapping[str, object], *, limit_bytes: int = VALUE_LIMIT_BYTES) -> dict[str, Plain]:
    """Fields as plain JSON, secrets masked by name and by pattern, each at most ``limit_bytes`` of JSON.

    >>> clean_fields({"user": "ann", "api_key": "k1", "detail": {"Authorization": "Bearer abc", "tries": 3}})
    {'user': 'ann', 'api_key': '***', 'detail': {'Authorization': '***', 'tries': 3}}
    """
    return {str(key): clean_field(str(key), value, limit_bytes=limit_bytes) for key, value in fields.items()}


def clean_field(key: str, value: object, *, limit_bytes: int = VALUE_LIMIT_BYTES) -> Plain:
    """One field of :func:`clean_fields`; a value too big as JSON becomes the beginning of its JSON text."""
    plain = _plain(key, value, 0, limit_bytes)
    if isinstance(plain, (list, dict)):
        encoded = orjson.dumps(plain)
        if len(encoded) > limit_bytes:
            return _cut(encoded.decode(), limit_bytes, keep_end=False)
    return plain


def _plain(key: str, value: object, depth: int, limit_bytes: int) -> Plain:
    if isinstance(value, str):
        return MASK if _names_secret(key) else clean_text(value, limit_bytes=limit_bytes)
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else str(value)
    if _names_secret(key):
        return MASK
    if isinstance(value, (bytes, bytearray, memoryview)):
        text = bytes(value[:_WORK_LIMIT_CHARACTERS]).decode(errors="replace")
        return clean_text(text, limit_bytes=limit_bytes)
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return {
            clean_text(str(name), limit_bytes=200): _plain(str(name), inner, depth + 1, limit_bytes)
            for name, inner in islice(value.items(), _MOST_ITEMS)
        }
    if isinstance(value, (list, tuple, Set)):
        return [_plain(key, inner, depth + 1, limit_bytes) for inner in islice(value, _MOST_ITEMS)]
    return clean_text(_describe(value), limit_bytes=limit_bytes)


@lru_cache(maxsize=1_000)
def _names_secret(key: str) -> bool:
    return _SECRET_KEY.search(re.sub(r"[^a-z]", "", key.lower())) is not None


def _describe(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # a broken __str__ must not cost the line that reports it
        return f"<{type(value).__name__} whose text failed: {type(error).__name__}>"


def _cut(text: str, limit_bytes: int, *, keep_end: bool) -> str:
    encoded = text.encode()
    if len(encoded) <= limit_bytes:
        return text
    mark = f"… ({len(encoded)} bytes, cut) …" if keep_end else f"… ({len(encoded)} bytes, cut)"
    room = max(limit_bytes - len(mark.encode()), 0)
    if not keep_end:
        return encoded[:room].decode(errors="ignore") + mark
    head = room // 4
    tail = encoded[len(encoded) - (room - head) :]
    return encoded[:head].decode(errors="ignore") + mark + tail.decode(errors="ignore")
