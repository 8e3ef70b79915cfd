"""The five Dockerfiles: what they promise stands in each of them."""

import os
import re
import shutil
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import pytest
import typer
from dockerfiles import NAMES, ROOT, Context, Dockerfile, read_dockerfile
from packaging.requirements import Requirement
from typer.core import TyperGroup

from diamond_opus.cli.app import app
from diamond_opus.settings import Settings

SETTINGS = {name.upper() for name in Settings.model_fields}
#: Of Python and pip, of the shell, of nginx's image.
OTHERS = {
    "PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PIP_NO_CACHE_DIR", "PIP_DISABLE_PIP_VERSION_CHECK",
    "API_URL", "NGINX_ENVSUBST_FILTER",
}  # fmt: skip
_SECRET = re.compile(r"password|passwd|secret|token|key|credential|connection", re.IGNORECASE)


@pytest.fixture(params=NAMES)
def dockerfile(request: pytest.FixtureRequest) -> Dockerfile:
    return read_dockerfile(request.param)


def test_the_common_stages_are_the_same_in_all_five() -> None:
    common = {read_dockerfile(name).common for name in NAMES}
    assert len(common) == 1
    assert [stage.name for stage in read_dockerfile("api").stages] == ["base", "wheel", "venv", "runtime", ""]
    assert common.pop().count("\nFROM ") == 4


def test_there_are_these_five_and_no_other() -> None:
    assert {path.suffix[1:] for path in (ROOT / "docker").glob("Dockerfile*")} == set(NAMES)


def test_every_foreign_image_is_pinned_by_digest(dockerfile: Dockerfile) -> None:
    named = {stage.name for stage in dockerfile.stages}
    foreign = [stage.base for stage in dockerfile.stages if stage.base not in named]
    assert foreign
    assert [base for base in foreign if not re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", base)] == []


def test_every_package_comes_by_hash(dockerfile: Dockerfile) -> None:
    installs = [
        command
        for stage in dockerfile.stages
        for run in stage.all("RUN")
        for command in run.rest.split("&&")
        if re.search(r"\binstall\b", command)
    ]
    for command in installs:
        assert ("--require-hashes" in command) != ("--no-deps" in command and "wheels/*.whl" in command), (
            command
        )


@pytest.mark.parametrize("lock", ["requirements.lock", "docker/build-requirements.lock"])
def test_every_line_of_a_lock_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    packages = re.findall(r"^[a-z0-9].*==.*$(?:\n    .*)*", text, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 2
    assert [package.split()[0] for package in packages if "--hash=sha256:" not in package] == []


def test_the_locked_build_tools_are_those_that_the_package_is_built_with() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    text = (ROOT / "docker" / "build-requirements.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", text, re.MULTILINE))
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(locked[requirement.name]), requirement


def test_nothing_looks_like_a_secret_and_every_variable_is_known(dockerfile: Dockerfile) -> None:
    for stage in dockerfile.stages:
        for instruction in (*stage.all("ENV"), *stage.all("ARG")):
            assert not [name for name in instruction.pairs if _SECRET.search(name)]
        names = {name for instruction in stage.all("ENV") for name in instruction.pairs}
        assert names <= SETTINGS | OTHERS
        assert {name for each in stage.all("ARG") for name in each.pairs} <= {
            "VERSION",
            "REVISION",
            "CREATED",
        }


def test_it_does_not_run_as_root(dockerfile: Dockerfile) -> None:
    user = dockerfile.last("USER").rest
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "numbers, so that an orchestrator can see it"
    keywords = [each.keyword for stage in dockerfile.lineage(dockerfile.final) for each in stage.instructions]
    after = keywords[len(keywords) - keywords[::-1].index("USER") :]
    assert "CMD" in after
    assert not {"RUN", "COPY", "ADD"} & set(after), (
        "nothing is put in as that user, which it could then change"
    )


def test_it_says_how_it_is_whether_well(dockerfile: Dockerfile) -> None:
    check = dockerfile.last("HEALTHCHECK")
    if dockerfile.last("CMD").words == ["diamond", "schedule"]:
        assert check.rest == "NONE", "a job"
        return
    assert set(check.flags) == {"interval", "timeout", "start-period", "start-interval", "retries"}
    assert check.rest.startswith("CMD [")


def test_the_port_that_it_exposes_is_on_every_network(dockerfile: Dockerfile) -> None:
    exposed = [each.rest for each in dockerfile.final.all("EXPOSE")]
    if not exposed or dockerfile.last("CMD").words[0] != "diamond":
        return  # a job, and nginx, whose own files say where it listens
    environment = dockerfile.environment
    port = dockerfile.last("HEALTHCHECK").rest.split('"')[-2]
    assert exposed == [environment[port]]
    assert environment["HOST"] == "0.0.0.0"  # noqa: S104 - a container's loopback is its own


def test_its_command_is_in_exec_form_and_there_is_such_a_command(dockerfile: Dockerfile) -> None:
    command = dockerfile.last("CMD")
    assert command.rest.startswith("["), "else a shell would be the first process, and hand no signal on"
    program, argument = command.words[:2]
    if program == "nginx":
        return
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    assert program == "diamond"
    assert argument in group.commands


def test_it_tells_what_it_is(dockerfile: Dockerfile) -> None:
    labels = dockerfile.last("LABEL").pairs
    prefix = "org.opencontainers.image."
    assert {name.removeprefix(prefix) for name in labels} == {
        "title",
        "description",
        "version",
        "revision",
        "created",
    }
    assert [labels[prefix + name] for name in ("version", "revision", "created")] == [
        "$VERSION",
        "$REVISION",
        "$CREATED",
    ]


def test_every_file_that_is_copied_is_there_and_sent(dockerfile: Dockerfile) -> None:
    context = Context()
    for stage in dockerfile.stages:
        for copy in stage.all("COPY"):
            if "from" not in copy.flags:
                for source in copy.words[:-1]:
                    assert list(context.files(source)), source
                assert "." not in copy.words[:-1], "nothing is copied that no line names"


def test_nothing_is_sent_that_no_line_copies() -> None:
    copied = {
        source
        for name in NAMES
        for stage in read_dockerfile(name).stages
        for copy in stage.all("COPY")
        for source in copy.words[:-1]
    }
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == {
        source for source in copied if not source.startswith("/")
    }


@pytest.mark.parametrize(
    "path",
    [
        ".git/config", ".env", ".env.local", ".env.example", ".venv/bin/python", ".diamond/postgres/PG_VERSION",
        "tests/conftest.py", "browser/tabs.py", "docs/api.md", "sql/bootstrap.sql", "docker-compose.yml",
        "docker/Dockerfile.api", "docker/servicebus-emulator.json", "dashboard/node_modules/react/index.js",
        "dashboard/.env.local", "dashboard/openapi.json", "src/diamond_opus/dashboard/index.html", "src/.env",
        "src/diamond_opus/__pycache__/settings.cpython-313.pyc", "uv.lock", "dist/diamond_opus-0.1.0.tar.gz",
    ],
)  # fmt: skip
def test_a_build_is_not_sent(path: str) -> None:
    assert not Context().holds(path)


def test_a_build_is_sent_every_source() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "src", "dashboard"], cwd=ROOT, text=True, capture_output=True, check=False
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    assert [path for path in tracked if not Context().holds(path)] == []


def test_docker_s_rules_of_what_is_left_out() -> None:
    context = Context(ignored="*\n!src\n# a comment\nsrc/made\n**/*.pyc\n!src/keep.pyc\n")
    held = ["src/a.py", "src/deep/b.py", "src/keep.pyc"]
    left_out = ["README.md", "other/src/a.py", "src/made/index.html", "src/deep/a.pyc"]
    assert [path for path in (*held, *left_out) if context.holds(path)] == held


@pytest.mark.parametrize("name", NAMES)
def test_hadolint_has_nothing_to_say(name: str) -> None:
    hadolint = shutil.which(
        "hadolint", path=os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    )
    if hadolint is None:
        pytest.skip("hadolint is in the group containers: uv sync --all-groups")
    said = subprocess.run(
        [hadolint, "--no-color", Path("docker", f"Dockerfile.{name}")],
        cwd=ROOT, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
