"""The root of the command line: its commands, and how a failure becomes one line and an exit code."""

import os
import sys

import psycopg
import typer

from diamond_opus.cli import (
    access,
    alerts,
    backup,
    database,
    demo,
    doctor,
    maintenance,
    pipeline,
    processes,
    runs,
    simulator,
)
from diamond_opus.db.errors import DatabaseUnavailable
from diamond_opus.domain.errors import ConfigurationError, DiamondError
from diamond_opus.observability import tracing
from diamond_opus.observability.logging import get_logger

log = get_logger("cli")

app = typer.Typer(
    name="diamond",
    help="Read a supplier's diamond inventory completely, price it by rules, serve it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

for room in (demo, pipeline, processes, runs, maintenance, backup, simulator, doctor):
    room.register(app)
app.add_typer(access.keys, name="keys")
app.add_typer(alerts.alerts, name="alerts")
app.add_typer(database.app, name="db")


def main() -> None:
    """The console script."""
    try:
        app()
    except BrokenPipeError:
        # Whoever read our output has gone, as in `diamond openapi | head`: nothing is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except ConfigurationError as error:
        fail(error, 2)
    except (DiamondError, DatabaseUnavailable, psycopg.Error, OSError) as error:
        fail(error, 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except (
        Exception
    ) as error:  # a mistake of ours: one line for the operator, the trace for whoever asks for it
        log.debug("command_broke", exc_info=True)
        fail(RuntimeError(f"unexpected {type(error).__name__}: {error}; LOG_LEVEL=DEBUG shows the trace"), 1)
    finally:
        tracing.close()


def fail(error: BaseException, code: int) -> None:
    """One line for a person; the log has the rest."""
    text = " ".join(str(error).split()).removeprefix("diamond: ")
    print(f"diamond: {text}", file=sys.stderr)
    sys.exit(code)
