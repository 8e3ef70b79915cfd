"""Named queries: what a file gives, what is refused, and that the code asks only for queries that exist."""

import ast
from pathlib import Path

import pytest

import diamond_opus
from diamond_opus.db.queries import QueryFileError, find_name, load_queries, parse_queries

SOURCE = Path(diamond_opus.__file__).parent

TWO = """\
-- Queries of a test.

-- name: first
-- Why: a comment stays with its query.
SELECT 1
WHERE %(flag)s;

-- name: second
SELECT 2;
"""


def test_a_query_keeps_its_comment_and_loses_its_semicolon() -> None:
    queries = parse_queries(TWO, "two.sql")

    assert dict(queries) == {
        "first": "-- Why: a comment stays with its query.\nSELECT 1\nWHERE %(flag)s",
        "second": "SELECT 2",
    }


def test_an_unknown_name_tells_which_names_there_are() -> None:
    with pytest.raises(
        QueryFileError, match=r"two\.sql: no query is named 'third'; there are: first, second"
    ):
        parse_queries(TWO, "two.sql")["third"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;", r"x\.sql:3: the query 'a' is there twice"),
        ("SELECT 1;\n-- name: a\nSELECT 1;", "SQL before the first"),
        ("-- name: a b\nSELECT 1;", r"x\.sql:1: 'a b' cannot name a query"),
        ("-- name: a\n-- only a comment", "'a' is empty"),
        ("SELECT 1;", "holds no"),
        ("", "holds no"),
        ("-- name: a\n-- half of it, 50 % or so\nSELECT %(b)s;", "lone %"),
        ("-- name: a\nSELECT %(b)d;\n-- %(c)s", "lone %"),
    ],
)
def test_a_malformed_file_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(QueryFileError, match=complaint):
        parse_queries(text, "x.sql")


def test_a_doubled_percent_sign_and_one_without_parameters_are_accepted() -> None:
    text = "-- name: a\nSELECT %(b)s LIKE 'x%%';\n-- name: c\nSELECT 'x' LIKE '%';"

    assert parse_queries(text, "x.sql")["c"] == "SELECT 'x' LIKE '%'"


def test_a_missing_file_is_named() -> None:
    with pytest.raises(QueryFileError, match=r"diamond_opus\.db/nothing\.sql"):
        load_queries("diamond_opus.db", "nothing.sql")


def _query_files() -> list[Path]:
    return [
        path
        for path in SOURCE.rglob("*.sql")
        if path.parent.name != "migrations" and "-- name:" in path.read_text(encoding="utf-8")
    ]


def _strings(package: Path) -> tuple[set[str], set[str]]:
    """All string constants of a package's modules, and those that index something called QUERIES."""
    constants, asked = set[str](), set[str]()
    for module in package.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                constants.add(node.value)
            if (
                isinstance(node, ast.Subscript)
                and isinstance(node.value, ast.Name)
                and node.value.id.strip("_").upper().endswith("QUERIES")
                and isinstance(node.slice, ast.Constant)
            ):
                asked.add(str(node.slice.value))
    return constants, asked


@pytest.mark.parametrize(
    "package", sorted({path.parent for path in _query_files()}), ids=lambda path: path.name
)
def test_every_query_asked_for_exists_and_every_query_is_asked_for(package: Path) -> None:
    name = ".".join(("diamond_opus", *package.relative_to(SOURCE).parts))
    known = {
        query for path in _query_files() if path.parent == package for query in load_queries(name, path.name)
    }

    constants, asked = _strings(package)

    assert asked <= known, "asked for, but in no .sql file"
    assert known <= constants, "in a .sql file, but never asked for"


def test_every_query_is_known_again_also_when_something_was_put_into_it() -> None:
    """By its text up to the first ``{``: one that begins like another needs a comment, which it should have anyway."""
    for path in _query_files():
        package = ".".join(("diamond_opus", *path.parent.relative_to(SOURCE).parts))
        queries = load_queries(package, path.name)
        for name, text in queries.items():
            known = (name, f"{package}/{path.name}")
            assert find_name(text) == known
            assert find_name(text.partition("{")[0]) == known
