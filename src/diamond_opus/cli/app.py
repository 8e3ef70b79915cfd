"""The root of the command line: its commands, and how a failure becomes one line and an exit code."""

import sys

import psycopg
import typer

from diamond_opus.cli import access, database, demo, doctor, pipeline, processes, runs, simulator
from diamond_opus.db.errors import DatabaseUnavailable
from diamond_opus.domain.errors import ConfigurationError, DiamondError

app = typer.Typer(
    name="diamond",
    help="Read a supplier's diamond inventory completely, price it by rules, serve it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

for room in (demo, pipeline, processes, runs, simulator, doctor):
    room.register(app)
app.add_typer(access.keys, name="keys")
app.add_typer(database.app, name="db")


def main() -> None:
    """The console script."""
    try:
        app()
    except ConfigurationError as error:
        fail(error, 2)
    except (DiamondError, DatabaseUnavailable, psycopg.Error, OSError) as error:
        fail(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)


def fail(error: BaseException, code: int) -> None:
    """One line for a person; the log has the rest."""
    print(f"diamond: {' '.join(str(error).split())}", file=sys.stderr)
    sys.exit(code)
