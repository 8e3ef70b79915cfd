"""Which files are migrations, and how a script is cut into statements."""

from pathlib import Path

import pytest

from diamond_opus.db.migration_files import (
    MigrationError,
    is_transactional,
    load_migrations,
    split_statements,
)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name.replace('__rollback', '.rollback')}.sql").write_text(text)
    return folder


def test_migrations_come_in_order_with_their_first_comment_as_description(tmp_path: Path) -> None:
    write(
        tmp_path,
        **{
            "0002_later": "-- Later: more.\nSELECT 2;",
            "0002_later__rollback": "SELECT -2;",
            "0001_first": "-- First: some.\n-- Why: because.\nSELECT 1;",
            "0001_first__rollback": "SELECT -1;",
        },
    )

    migrations = load_migrations(tmp_path)

    assert [(m.version, m.name, m.description) for m in migrations] == [
        ("0001", "0001_first", "First: some."),
        ("0002", "0002_later", "Later: more."),
    ]
    assert migrations[1].rollback_sql == "SELECT -2;"


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"0001_a": "-- A\n"}, r"0001_a\.rollback\.sql is missing"),
        ({"0001_a__rollback": ""}, r"0001_a\.sql is missing"),
        ({"1_a": "-- A\n"}, r"1_a\.sql is not named"),
        ({"0001_A": "-- A\n"}, r"0001_A\.sql is not named"),
        ({"0001_a": "SELECT 1", "0001_a__rollback": ""}, "must begin with a comment line"),
        (
            {"0001_a": "-- A", "0001_a__rollback": "", "0001_b": "-- B", "0001_b__rollback": ""},
            "two files have the number 0001",
        ),
    ],
)
def test_a_folder_that_cannot_be_meant_is_refused(
    tmp_path: Path, files: dict[str, str], complaint: str
) -> None:
    with pytest.raises(MigrationError, match=complaint):
        load_migrations(write(tmp_path, **files))


def test_our_own_migrations_are_well_formed_and_numbered_without_a_gap() -> None:
    versions = [int(migration.version) for migration in load_migrations()]

    assert versions == list(range(1, len(versions) + 1))


def test_a_file_says_itself_that_it_must_not_run_in_a_transaction() -> None:
    assert is_transactional("-- Add an index.\nCREATE INDEX i ON t (c);")
    assert not is_transactional(
        "-- Add an index.\n-- transactional: false\nCREATE INDEX CONCURRENTLY i ON t (c);"
    )


def test_semicolons_inside_bodies_strings_names_and_comments_end_no_statement() -> None:
    body = "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$"
    tagged = "DO $do$ BEGIN PERFORM $$a;b$$; END $do$"
    text = "INSERT INTO \"a;b\" VALUES ('c;''d', E'e\\';f')"
    comment = "/* g; h */ SELECT 1 -- i; j"

    statements = list(split_statements(f"{body};\n{tagged};\n\n{text};{comment}\n;;\n-- the end;"))

    assert statements == [body, tagged, text, comment]
