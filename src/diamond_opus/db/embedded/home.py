"""What a home folder remembers of its server: where the data is, the port and the password."""

import fcntl
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from diamond_opus.db.embedded.account import Account, EmbeddedPostgresError

#: For data and programs that an unprivileged user must reach when the home is closed to it.
SHARED_PLACE = Path("/var/lib/diamond-opus")


@dataclass(frozen=True, slots=True)
class Record:
    """``place`` holds the data folder and the server's log; ``port`` is 0 until one is chosen."""

    place: str
    port: int
    password: str

    def __repr__(self) -> str:
        return f"Record(place={self.place!r}, port={self.port})"


@dataclass(frozen=True, slots=True)
class Home:
    """A folder with ``postgres.json`` (for its owner), ``postgres.lock`` and, where possible, the data."""

    folder: Path

    @property
    def record_path(self) -> Path:
        return self.folder / "postgres.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep two starts, or a start and a stop, apart; a killed process leaves no lock behind."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / "postgres.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"the home {self.folder} cannot be used ({error.strerror}); set DIAMOND_HOME, or DATABASE_URL "
                "for another server"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def read(self) -> Record | None:
        """None before the first start."""
        try:
            return Record(**json.loads(self.record_path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except PermissionError:
            raise EmbeddedPostgresError(
                f"{self.record_path} belongs to another user, and so does its server; run this as that user, or "
                "set another DIAMOND_HOME"
            ) from None
        except (OSError, ValueError, TypeError) as error:
            raise EmbeddedPostgresError(
                f"{self.record_path}, which holds the password, cannot be read "
                f"({type(error).__name__}); restore it, or remove the home to begin with an empty database"
            ) from error

    def write(self, record: Record) -> None:
        """Replace the record in one step, on disk before anything relies on it."""
        aside = self.record_path.with_suffix(".new")
        aside.unlink(missing_ok=True)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(record), file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self.record_path)

    def first_record(self, account: Account) -> Record:
        """A record with a new password; the data goes into the home if ``account`` can get there."""
        inside = self.folder / "postgres"
        if inside.exists():
            raise EmbeddedPostgresError(
                f"there is data in {inside}, but {self.record_path} with its password is "
                "gone; restore that file, or move the data away to begin with an empty database"
            )
        if not account.can_enter(self.folder):
            return Record(str(self._place_outside()), 0, secrets.token_urlsafe(24))
        return Record(str(inside), 0, secrets.token_urlsafe(24))

    def _place_outside(self) -> Path:
        """A new place each time: who removed the home begins anew, and nothing here removes data on a guess.

        Its name tells the home it is for; a temporary home gets a temporary place.
        """
        folder = self.folder.resolve()
        if folder.is_relative_to(Path(tempfile.gettempdir()).resolve()):
            return Path(tempfile.mkdtemp(prefix="diamond-opus-"))
        words = re.findall(r"[A-Za-z0-9]+", str(folder))
        return SHARED_PLACE / "-".join([*words[-4:], secrets.token_hex(4)])
