"""What a migration is: a numbered SQL file, the file that takes it back, and how it wants to be run."""

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise

from diamond_opus.domain.errors import Fatal

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+?)(\.rollback)?\.sql")
_NOT_TRANSACTIONAL = re.compile(r"^--\s*transactional:\s*false\s*$", re.MULTILINE | re.IGNORECASE)

#: What may hold a semicolon that ends no statement: comments, strings, quoted names, dollar-quoted bodies.
_OPAQUE = re.compile(
    r"--[^\n]*"
    r"|/\*.*?\*/"
    r"|\b[eE]'(?:[^'\\]|\\.|'')*'"
    r"|'(?:[^']|'')*'"
    r'|"(?:[^"]|"")*"'
    r"|(?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag)"
    r"|;",
    re.DOTALL,
)


class MigrationError(Fatal):
    """The schema was not changed as asked. The message names the migration, what failed and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema. ``version`` is the file's number, ``description`` its first comment line."""

    version: str
    title: str
    description: str
    sql: str
    rollback_sql: str

    @property
    def name(self) -> str:
        return f"{self.version}_{self.title}"


def is_transactional(sql: str) -> bool:
    """Whether a file may run in one transaction; ``-- transactional: false`` says that it must not."""
    return _NOT_TRANSACTIONAL.search(sql) is None


def load_migrations(directory: Traversable | None = None) -> Sequence[Migration]:
    """The migrations of a folder (ours, if none is given), in order. Raises MigrationError for odd files."""
    directory = directory or files("diamond_opus.db").joinpath("migrations")
    forward, back = dict[tuple[str, str], str](), dict[tuple[str, str], str]()
    for entry in directory.iterdir():
        if not entry.name.endswith(".sql"):
            continue
        match = _FILE_NAME.fullmatch(entry.name)
        if match is None:
            raise MigrationError(
                f"migrations: {entry.name} is not named NNNN_title.sql or NNNN_title.rollback.sql"
            )
        (back if match[3] else forward)[match[1], match[2]] = entry.read_text(encoding="utf-8")
    _check_complete(forward.keys(), back.keys())
    return [
        Migration(version, title, _description(f"{version}_{title}", sql), sql, back[version, title])
        for (version, title), sql in sorted(forward.items())
    ]


def split_statements(sql: str) -> Iterator[str]:
    """The statements of a script one by one, each with the comments before it.

    >>> list(split_statements("SELECT ';'; -- one; two\\nSELECT 2"))
    ["SELECT ';'", '-- one; two\\nSELECT 2']
    """
    start = 0
    ends = [match.start() for match in _OPAQUE.finditer(sql) if match[0] == ";"]
    for end in [*ends, len(sql)]:
        statement = sql[start:end].strip()
        if _strip_comments(statement):
            yield statement
        start = end + 1


def _strip_comments(sql: str) -> str:
    return _OPAQUE.sub(lambda match: "" if match[0].startswith(("--", "/*")) else match[0], sql).strip()


def _check_complete(forward: Set[tuple[str, str]], back: Set[tuple[str, str]]) -> None:
    for version, title in sorted(forward ^ back):
        missing = "rollback.sql" if (version, title) in forward else "sql"
        raise MigrationError(f"migrations: {version}_{title}.{missing} is missing")
    versions = [version for version, _ in sorted(forward)]
    for earlier, later in pairwise(versions):
        if earlier == later:
            raise MigrationError(f"migrations: two files have the number {later}; renumber the newer one")


def _description(name: str, sql: str) -> str:
    first = sql.partition("\n")[0]
    if not first.startswith("-- ") or not first[3:].strip():
        raise MigrationError(f"migrations: {name}.sql must begin with a comment line that describes it")
    return first[3:].strip()
