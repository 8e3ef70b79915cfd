"""The queues' tables: PGMQ's own SQL out of the installed wheel, then each queue and its dead letters."""

from importlib import metadata
from importlib.resources import files

from diamond_opus.db.migrate import Connection, Step
from diamond_opus.domain.errors import ConfigurationError
from diamond_opus.queue.protocol import QUEUES

#: The wheel whose script this step runs, and the PGMQ release inside. Another one needs a step of its own,
#: for the script creates and cannot upgrade.
WHEEL_VERSION = "1.1.4"
SCRIPT_VERSION = "1.13.0"


def table_name(queue: str) -> str:
    """PGMQ's name of a queue: ``work-items`` is ``work_items``, kept in the table ``pgmq.q_work_items``."""
    return queue.replace("-", "_")


def dead_table_name(queue: str) -> str:
    return f"{table_name(queue)}_dlq"


async def _apply(conn: Connection) -> None:
    script = _read_script()
    await _refuse_foreign_schema(conn)
    await conn.execute(script.encode())
    for queue in QUEUES:
        await conn.execute("SELECT pgmq.create(%s)", [table_name(queue)])
        await conn.execute("SELECT pgmq.create(%s)", [dead_table_name(queue)])


async def _roll_back(conn: Connection) -> None:
    await conn.execute("DROP SCHEMA pgmq CASCADE")


#: Raises ConfigurationError, before any change, for a wheel or a database with which it cannot be done.
#: Rolling it back drops the queues with all they hold, which loses nothing: messages are only wake-ups.
PGMQ_STEP = Step(
    version=f"pgmq-{WHEEL_VERSION}",
    description=f"queues: PGMQ {SCRIPT_VERSION} from the wheel pgmq {WHEEL_VERSION}",
    apply=_apply,
    rollback=_roll_back,
)


def _read_script() -> str:
    try:
        installed = metadata.version("pgmq")
    except metadata.PackageNotFoundError as error:
        raise ConfigurationError(
            f"the package pgmq is not installed; install pgmq=={WHEEL_VERSION}"
        ) from error
    folder = files("pgmq").joinpath("sql")
    release = folder.joinpath("VERSION").read_text(encoding="utf-8").strip()
    if (installed, release) != (WHEEL_VERSION, SCRIPT_VERSION):
        raise ConfigurationError(
            f"the package pgmq is {installed} with PGMQ {release}, but diamond-opus was tried with"
            f" {WHEEL_VERSION} and PGMQ {SCRIPT_VERSION}: install pgmq=={WHEEL_VERSION}"
        )
    return folder.joinpath("pgmq.sql").read_text(encoding="utf-8")


async def _refuse_foreign_schema(conn: Connection) -> None:
    """The script would fail half-way with a puzzling message on a PGMQ that is already there."""
    cursor = await conn.execute(
        "SELECT to_regnamespace('pgmq') IS NOT NULL,"
        " EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pgmq')"
    )
    row = await cursor.fetchone()
    if row is None or not any(row):
        return
    if row[1]:
        raise ConfigurationError(
            "the extension pgmq is enabled in this database; disable it (its queues go with it), or give"
            " diamond-opus a database of its own, then migrate again"
        )
    raise ConfigurationError(
        "this database has a schema pgmq that diamond-opus did not make; drop it if nothing needs it, or give"
        " diamond-opus a database of its own, then migrate again"
    )
