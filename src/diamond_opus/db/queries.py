"""Which SQL a name stands for: named queries read from a package's .sql file when the module is imported."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import LiteralString

from diamond_opus.domain.errors import DiamondError

_NAME_LINE = re.compile(r"^--\s*name\s*:\s*(.*?)\s*$", re.IGNORECASE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_COMMENT = re.compile(r"--[^\n]*")
_PLACEHOLDER = re.compile(r"%\([a-z][a-z0-9_]*\)[sbt]")


class QueryFileError(DiamondError):
    """A .sql file of named queries is malformed, or a name was asked for that it does not hold."""


class Queries(Mapping[str, LiteralString]):
    """The queries of one file by name, ready for psycopg with ``%(name)s`` parameters.

    Comments stay with their query, the semicolon at its end does not.
    """

    def __init__(self, source: str, queries: Mapping[str, LiteralString]) -> None:
        self._source = source
        self._queries = dict(queries)

    def __getitem__(self, name: str) -> LiteralString:
        try:
            return self._queries[name]
        except KeyError:
            known = ", ".join(sorted(self._queries)) or "none"
            raise QueryFileError(f"{self._source}: no query is named {name!r}; there are: {known}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)


#: Where each text comes from: the query's name and its file. Composed queries begin with their text up to a ``{``.
_names: dict[str, tuple[str, str]] = {}


def find_name(text: str) -> tuple[str, str] | None:
    """The name and the file of a query by its text, or by its text up to the first ``{`` of it."""
    return _names.get(text)


def load_queries(package: str, name: str = "queries.sql") -> Queries:
    """Read ``name`` out of ``package``. Raises QueryFileError when the file cannot be what was meant."""
    source = f"{package}/{name}"
    try:
        text = files(package).joinpath(name).read_text(encoding="utf-8")
    except (FileNotFoundError, ModuleNotFoundError) as error:
        raise QueryFileError(f"{source}: there is no such file of queries") from error
    queries = parse_queries(text, source)
    for query, body in queries.items():
        _names[body] = _names[body.partition("{")[0]] = (query, source)
    return queries


def parse_queries(text: str, source: str) -> Queries:
    """Cut a file at its ``-- name: some_query`` lines.

    >>> parse_queries("-- name: answer\\nSELECT 42;", "example.sql")["answer"]
    'SELECT 42'
    """
    queries: dict[str, LiteralString] = {}
    for name, line, body in _sections(text, source):
        if name in queries:
            raise QueryFileError(f"{source}:{line}: the query {name!r} is there twice; rename one")
        queries[name] = _check(body, f"{source}:{line}: the query {name!r}")
    return Queries(source, queries)


def _sections(text: str, source: str) -> Iterator[tuple[str, int, str]]:
    """Every query as (name, line of its name, text)."""
    name, start, body = "", 0, list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        match = _NAME_LINE.match(line)
        if match is None:
            body.append(line)
            continue
        if not _NAME.fullmatch(match[1]):
            raise QueryFileError(
                f"{source}:{number}: {match[1]!r} cannot name a query; use small letters, digits and _"
            )
        if name:
            yield name, start, "\n".join(body)
        elif _COMMENT.sub("", "\n".join(body)).strip():
            raise QueryFileError(f"{source}:1: there is SQL before the first '-- name:' line; give it a name")
        name, start, body = match[1], number, []
    if name:
        yield name, start, "\n".join(body)
    else:
        raise QueryFileError(f"{source}: holds no '-- name: some_query' line, so no query")


def _check(body: str, where: str) -> LiteralString:
    """The text without its last semicolon. psycopg would read a lone % as a parameter, even in a comment."""
    text = body.strip().removesuffix(";").rstrip()
    if not _COMMENT.sub("", text).strip():
        raise QueryFileError(f"{where} is empty")
    rest = _PLACEHOLDER.sub("", text).replace("%%", "")
    if _PLACEHOLDER.search(text) and "%" in rest:
        raise QueryFileError(f"{where} has parameters and a lone % as well (in a comment?); write %% for it")
    return text
