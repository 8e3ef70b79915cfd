"""Who runs the embedded server: this user, or for root an unprivileged one, as PostgreSQL refuses root."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diamond_opus.domain.errors import Fatal

#: Tried in this order when root needs somebody else; nobody exists practically everywhere.
_UNPRIVILEGED = ("nobody", "daemon", "postgres")

_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedPostgresError(Fatal):
    """The embedded server cannot be set up, started or stopped. The message says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(f"embedded PostgreSQL: {message}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended, and the last it said."""

    code: int
    output: str

    @property
    def succeeded(self) -> bool:
        return self.code == 0


@dataclass(frozen=True, slots=True)
class Account:
    """The user that owns the data and runs the server; ``switches`` when that is not the present user."""

    name: str
    uid: int
    gid: int
    switches: bool

    def run(self, arguments: Sequence[str | Path], *, timeout_seconds: float = 120.0) -> Outcome:
        """Run a program as this user, in a session of its own so that Ctrl-C reaches only us.

        Its output goes through a file: a server left running would hold a pipe open for ever.
        """
        with tempfile.TemporaryFile("w+") as output:
            try:
                done = subprocess.run(  # noqa: S603 - programs of our own choosing, no shell
                    [str(argument) for argument in arguments],
                    cwd="/",
                    env=_ENVIRONMENT,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    timeout=timeout_seconds,
                    user=self.uid if self.switches else None,
                    group=self.gid if self.switches else None,
                    extra_groups=[] if self.switches else None,
                    check=False,
                )
            except (OSError, subprocess.SubprocessError) as error:
                return Outcome(-1, f"{Path(arguments[0]).name} as user {self.name}: {error}")
            output.seek(0)
            return Outcome(done.returncode, output.read()[-2000:].strip())

    def can_enter(self, directory: Path) -> bool:
        return not self.switches or self.run(["/bin/sh", "-c", 'cd "$1"', "sh", directory]).succeeded

    def make_directory(self, directory: Path) -> None:
        """A folder that only this user may enter, and that is really this user's."""
        try:
            make_open_folder(directory.parent)
            directory.mkdir(mode=0o700, exist_ok=True)
            if self.switches:
                os.chown(directory, self.uid, self.gid)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"cannot make the folder {directory}: {error.strerror}; set DIAMOND_HOME"
            ) from error


def choose_account(existing_data: Path) -> Account:
    """The owner of data that is there already, else this user, else (as root) an unprivileged one."""
    owner = existing_data.stat().st_uid if existing_data.exists() else None
    mine = os.geteuid()
    if mine != 0:
        if owner not in (None, mine):
            raise EmbeddedPostgresError(
                f"{existing_data} belongs to user {_name(owner)}, and this runs as user {_name(mine)}; "
                "start it as that user (as root, if root made it), or set another DIAMOND_HOME"
            )
        return Account(_name(mine), mine, os.getegid(), switches=False)
    if owner:
        return _switch_to(pwd.getpwuid(owner))
    for name in _UNPRIVILEGED:
        try:
            account = _switch_to(pwd.getpwnam(name))
        except KeyError:
            continue
        if account.uid != 0 and account.run(["/bin/sh", "-c", ":"]).succeeded:
            return account
    raise EmbeddedPostgresError(
        "PostgreSQL does not run as root, and none of the users "
        f"{', '.join(_UNPRIVILEGED)} can be used instead; run this as an ordinary user, or set DATABASE_URL"
    )


def make_open_folder(folder: Path) -> None:
    """A folder, and those above it, that everybody may enter and only the owner may change."""
    if not folder.exists():
        make_open_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)


def _switch_to(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switches=True)


def _name(uid: int | None) -> str:
    try:
        return pwd.getpwuid(uid or 0).pw_name
    except KeyError:
        return str(uid)
