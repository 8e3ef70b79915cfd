"""What a database error means for the caller: worth another try, an outage to wait out, or something to put right."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import PoolClosed

from diamond_opus.domain.errors import Retryable

#: What the server itself calls temporary: conflicts between transactions, restarts, no room for a connection.
_TRANSIENT_STATES = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "53300",  # too_many_connections
        "55P03",  # lock_not_available
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "57P05",  # idle_session_timeout
        "25P03",  # idle_in_transaction_session_timeout: this process stood still in the middle
    }
)
_CONNECTION_CLASS = "08"

#: What nothing but time or a person at the server ends: no room on its disk or in its memory, its own errors,
#: statements cancelled because they took too long, a standby where the primary was.
_OUTAGE_CLASSES = ("53", "58")
_OUTAGE_STATES = frozenset({"57014", "25006"})


#: What a value causes that the server cannot hold: text, numbers, nesting, size.
REFUSED_VALUES = (psycopg.DataError, psycopg.errors.ProgramLimitExceeded, psycopg.errors.StatementTooComplex)


class DatabaseUnavailable(Retryable):
    """No connection could be had. The message names the address (never the password) and what to check."""


class AnswerTimeout(psycopg.OperationalError):
    """A statement was not answered in time: the server is too slow, or the connection leads nowhere any more."""


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed if it is simply tried again.

    Decided by SQLSTATE and class. An OperationalError without a SQLSTATE did not come from the server: the
    connection was lost or never made.
    """
    if isinstance(error, DatabaseUnavailable):
        return True
    if not isinstance(error, psycopg.Error) or isinstance(error, PoolClosed):
        return False
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate in _TRANSIENT_STATES or error.sqlstate.startswith(_CONNECTION_CLASS)


def is_outage(error: BaseException) -> bool:
    """Whether the database serves nobody now, so that the failure says nothing about the work that met it.

    Wider than ``is_transient``: these are worth waiting for, not worth another try at once. An error that was caused by
    such a one is one as well.
    """
    if is_transient(error):
        return True
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return error.sqlstate in _OUTAGE_STATES or error.sqlstate.startswith(_OUTAGE_CLASSES)
    return error.__cause__ is not None and is_outage(error.__cause__)


@contextmanager
def outages_are_retryable(work: str) -> Iterator[None]:
    """Raises DatabaseUnavailable, which every loop knows how to wait for, instead of the driver's error."""
    try:
        yield
    except psycopg.Error as error:
        if not is_outage(error):
            raise
        raise DatabaseUnavailable(f"{work}: the database serves nobody now: {error}") from error


def describe_address(conninfo: str) -> str:
    """Where a connection string leads, without its password.

    >>> describe_address("postgresql://diamond:secret@db.example:6543/shop?sslmode=require")
    'database "shop" at db.example:6543 as user "diamond"'
    """
    parts = conninfo_to_dict(conninfo)
    host, port = parts.get("host") or "the local socket", parts.get("port") or 5432
    user = parts.get("user") or "of this process"
    return f'database "{parts.get("dbname") or user}" at {host}:{port} as user "{user}"'


def explain_failed_connection(error: psycopg.Error, conninfo: str, component: str) -> DatabaseUnavailable:
    """The error of a failed connection attempt as one that says what to check.

    The server's refusal comes without a SQLSTATE here, but whether it asked for the password tells a wrong
    address from a wrong login.
    """
    attempt = error.pgconn
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        advice = "nothing answered in time: check host, port and firewall"
    elif attempt is not None and attempt.needs_password:
        advice = "the server asks for a password and none is set"
    elif attempt is not None and attempt.used_password:
        advice = "the server answers: check user and password, and that this database exists"
    else:
        advice = "check host and port, that the server runs, and that it accepts this kind of connection"
    reason = " ".join(str(error).split())
    return DatabaseUnavailable(
        f"{component}: cannot connect to {describe_address(conninfo)}; {advice}. It said: {reason}"
    )
