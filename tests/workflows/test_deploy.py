"""Deployments against an az, a docker and a gh that do as they are told and write down what they were asked."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import deploy
from affected import APPS
from deploy import parts_of

REGISTRY = "diamondstagingacr.azurecr.io"

#: Answers from a file, in which "app" -> image, and writes each call to another.
FAKE = """#!{python}
import json, pathlib, sys
folder = pathlib.Path({folder!r})
words = sys.argv[1:]
tool = pathlib.Path(sys.argv[0]).name
with open(folder / "calls", "a") as calls:
    calls.write(" ".join([tool, *words]) + "\\n")
world = json.loads((folder / "world").read_text())
def option(name):
    return words[words.index(name) + 1]
if tool == "docker":
    commit = world["commits"].get(words[-1])
    print(json.dumps({{"annotations": {{"org.opencontainers.image.revision": commit}} if commit else {{}}}}))
elif tool == "gh" or words[:2] == ["acr", "import"]:
    sys.exit(1 if words[-1] in world.get("refused", []) else 0)
else:
    group = option("--resource-group").removesuffix("rg")
    if not option("--name").startswith(group):
        sys.exit("ERROR: the app is in another group")
    app = option("--name").removeprefix(group)
    images = world["images"]
    if "execution" in words:
        print(world.get("migration", "Succeeded"))
    elif "start" in words:
        (folder / "template").write_text(pathlib.Path(option("--yaml")).read_text())
        print("execution-1")
    elif "revision" in words:
        ill = option("--revision") in world.get("ill", [])
        print(json.dumps({{"provisioningState": "Provisioned", "runningState": "Degraded" if ill else "Running",
                          "healthState": "None", "fqdn": world["fqdn"]}}))
    elif "update" in words:
        if option("--image") in world.get("refused", []):
            sys.exit("ERROR: the image cannot be pulled")
        images[app] = option("--image")
        (folder / "world").write_text(json.dumps(world))
        print(app + "--" + images[app][-4:])
    elif option("--query") == "properties.template":
        print(json.dumps({{"containers": [{{"image": images[app], "env": [{{"name": "A", "secretRef": "a"}}]}}]}}))
    elif app in images:
        print(images[app])
    else:
        sys.exit("ERROR: (ResourceNotFound) The Resource was not found.")
"""


def image(app: str, number: int, registry: str = REGISTRY) -> str:
    return f"{registry}/diamond-{app}@sha256:{number:064d}"


def everywhere(number: int) -> dict[str, str]:
    """Each app and job with its image."""
    return {part: image(app, number) for app in APPS for part in parts_of(app)}


class World:
    """The apps as they are, and what was done to them."""

    def __init__(self, folder: Path, fqdn: str) -> None:
        self._folder = folder
        self._said: dict[str, Any] = {
            "images": everywhere(1),
            "commits": {},
            "fqdn": fqdn,
        }
        self.say()
        for tool in ("az", "docker", "gh"):
            program = folder / tool
            program.write_text(FAKE.format(python=sys.executable, folder=str(folder)))
            program.chmod(0o755)

    def say(self, **said: Any) -> None:
        self._said |= said
        (self._folder / "world").write_text(json.dumps(self._said))

    @property
    def images(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self._folder / "world").read_text())["images"]
        return found

    @property
    def calls(self) -> list[str]:
        file = self._folder / "calls"
        return file.read_text().splitlines() if file.exists() else []

    def switched(self) -> list[str]:
        """App or job, and last digit of the image, in the order in which they were set."""
        return [
            f"{call.split('--name diamond-')[1].split()[0].split('-', 1)[1]} {call.split('--image ')[1].split()[0][-1]}"
            for call in self.calls
            if " update " in call
        ]

    @property
    def template(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self._folder / "template").read_text())
        return found

    def output(self, name: str) -> Any:
        lines = (self._folder / "output").read_text().splitlines()
        return json.loads(next(line for line in lines if line.startswith(f"{name}=")).split("=", 1)[1])


class _Api(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/ready" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        pass


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("IMAGE_REGISTRY", REGISTRY)
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/diamond-opus")
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    monkeypatch.setattr(deploy, "SCHEME", "http")
    monkeypatch.setattr(_Api, "status", 200)
    with HTTPServer(("127.0.0.1", 0), _Api) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield World(tmp_path, f"127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


def put(monkeypatch: pytest.MonkeyPatch, *apps: str, number: int = 2, where: str = "staging") -> int:
    digests = {app: f"sha256:{number:064d}" if app in apps else "" for app in APPS}
    monkeypatch.setenv("DIGESTS", json.dumps(digests))
    return deploy.main(["deploy", "--environment", where, "--patience", "0", "--pause", "0"])


def test_only_what_was_built_is_switched_receivers_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert put(monkeypatch, "api", "worker", "scheduler") == 0
    assert world.switched() == ["worker 2", "scheduler 2", "scheduler-full 2", "api 2"]
    assert world.images["dashboard"] == image("dashboard", 1)


def test_the_new_image_migrates_before_anything_is_switched(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert put(monkeypatch, "worker") == 0
    kinds = [call for call in world.calls if " start " in call or " update " in call]
    assert [" start " in call for call in kinds] == [True, False]
    [container] = world.template["containers"]
    assert container["image"] == image("worker", 2)
    assert [*container["command"], *container["args"]] == ["diamond", "db", "migrate"]
    assert container["env"] == [{"name": "A", "secretRef": "a"}], "the job's own environment stays"


def test_a_migration_that_fails_leaves_every_app_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.say(migration="Failed")
    assert put(monkeypatch, "api", "worker") == 1
    assert world.switched() == []
    assert "execution-1 is Failed" in capsys.readouterr().out


def test_pages_alone_need_no_migration(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert put(monkeypatch, "dashboard") == 0
    assert not any(" start " in call for call in world.calls)
    assert world.switched() == ["dashboard 2"]


def test_an_app_that_does_not_get_well_takes_all_back(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.say(ill=["worker--0002"])
    assert put(monkeypatch, "consolidator", "worker", "api") == 1
    assert world.switched() == ["consolidator 2", "worker 2", "worker 1", "consolidator 1"]
    said = capsys.readouterr().out
    assert "running Degraded" in said
    assert "Taken back to what ran before: consolidator, worker." in said


def test_an_api_that_is_not_ready_is_taken_back(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_Api, "status", 503)
    assert put(monkeypatch, "api") == 1
    assert world.images["api"] == image("api", 1)
    said = capsys.readouterr().out
    assert "/ready answers 503" in said
    assert "NOT taken back: api" in said, "the old one does not answer either, and that is said"


def test_an_image_that_azure_refuses_takes_the_others_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.say(refused=[image("api", 2)])
    assert put(monkeypatch, "scheduler", "api") == 1
    assert world.images == everywhere(1)
    assert {"scheduler 1", "scheduler-full 1"} <= set(world.switched()), "both jobs are taken back"


def test_a_job_that_terraform_has_not_made_yet_keeps_nobody_else_back(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.say(images={part: it for part, it in everywhere(1).items() if part != "scheduler-full"})
    assert put(monkeypatch, "scheduler") == 0
    assert world.switched() == ["scheduler 2"]
    assert "Not made by Terraform yet: scheduler-full." in capsys.readouterr().out


def test_another_name_is_the_repositorys(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYMENT_NAME", "opus")
    assert put(monkeypatch, "worker") == 0
    [call] = [call for call in world.calls if " update " in call]
    assert "--resource-group opus-staging-rg --name opus-staging-worker " in call
    assert not any("--name diamond-" in call for call in world.calls)


def test_a_name_that_is_empty_is_the_usual_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYMENT_NAME", "")
    assert put(monkeypatch, "worker") == 0
    assert world.switched() == ["worker 2"]


def test_the_same_again_switches_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert put(monkeypatch, *APPS, number=1) == 0
    assert world.switched() == []


def test_what_terraform_has_not_made_yet_is_told_its_images(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world.say(images={})
    assert put(monkeypatch, *APPS) == 0
    assert world.switched() == []
    assert image("dashboard", 2) in capsys.readouterr().out


@pytest.mark.parametrize("images", [{"api": f"{REGISTRY}/diamond-api:latest"}, {"postgres": image("api", 2)}])
def test_only_our_apps_and_only_digests_are_deployed(
    world: World, monkeypatch: pytest.MonkeyPatch, images: dict[str, str]
) -> None:
    monkeypatch.setenv("IMAGES", json.dumps(images))
    assert put(monkeypatch) == 1
    assert world.switched() == []


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three commits: the first, one to the worker, one to the pages."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)

    def git(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        return subprocess.run(["git", *who, *words], check=True, capture_output=True, text=True).stdout

    git("init", "--quiet")
    commits = []
    for path in ("README.md", "src/diamond_opus/ingest/wörker.py", "dashboard/index.html"):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
        git("add", ".")
        git("commit", "--quiet", "--message", path)
        commits.append(git("rev-parse", "HEAD").strip())
    return commits


def plan(*words: str) -> int:
    return deploy.main(["plan", "--environment", "staging", *words])


def test_what_changed_since_each_app_was_built_is_planned(world: World, history: list[str]) -> None:
    first, second, third = history
    built = dict.fromkeys(APPS, first) | {"worker": second}
    world.say(commits={image(app, 1): commit for app, commit in built.items()})
    assert plan("--head", third) == 0
    assert world.output("apps") == ["api", "dashboard"]


def test_a_deployment_that_was_never_made_is_caught_up(world: World, history: list[str]) -> None:
    world.say(commits={image(app, 1): history[0] for app in APPS})
    assert plan("--head", history[2]) == 0
    assert world.output("apps") == ["worker", "api", "dashboard"]


def test_a_job_that_was_made_later_is_brought_to_the_others_commit(world: World, history: list[str]) -> None:
    world.say(
        images=everywhere(2) | {"scheduler-full": image("scheduler", 1)},
        commits={image(app, 2): history[2] for app in APPS} | {image("scheduler", 1): "f" * 40},
    )
    assert plan("--head", history[2]) == 0
    assert world.output("apps") == ["scheduler"]
    assert candidate(history[2]) == 1


def test_an_image_of_an_unknown_commit_is_replaced(world: World, history: list[str]) -> None:
    here = {image(app, 1): history[2] for app in APPS}
    world.say(commits=here | {image("api", 1): "f" * 40, image("worker", 1): None})
    assert plan("--head", history[2]) == 0
    assert world.output("apps") == ["worker", "api"]


def test_everything_can_be_asked_for_and_a_missing_app_is_built(world: World, history: list[str]) -> None:
    world.say(images={}, commits={})
    assert plan("--head", history[0]) == 0
    assert world.output("apps") == list(APPS)


def test_all_means_all(world: World, history: list[str]) -> None:
    world.say(commits={image(app, 1): history[0] for app in APPS})
    assert plan("--head", history[0], "--all") == 0
    assert world.output("apps") == list(APPS)


def candidate(head: str) -> int:
    return deploy.main(["candidate", "--environment", "staging", "--head", head])


def test_production_gets_what_staging_runs(world: World, history: list[str]) -> None:
    world.say(commits={image(app, 1): history[2] for app in APPS})
    assert candidate(history[2]) == 0
    assert world.output("images") == {app: image(app, 1) for app in APPS}
    assert sum("attestation verify" in call for call in world.calls) == len(APPS)


def test_production_does_not_get_what_staging_does_not_run(
    world: World, history: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    world.say(commits={image(app, 1): history[1] for app in APPS})
    assert candidate(history[2]) == 1
    assert "api, dashboard differ" in capsys.readouterr().out


def test_images_are_copied_to_productions_registry_with_their_digest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGE_REGISTRY", "diamondprodacr.azurecr.io")
    monkeypatch.setenv("IMAGES", json.dumps({"api": image("api", 2)}))
    assert put(monkeypatch, where="prod") == 0
    assert world.images["api"] == image("api", 2, "diamondprodacr.azurecr.io")
    [copied] = [call for call in world.calls if "acr import" in call]
    assert f"--name diamondprodacr --source {image('api', 2)}" in copied


@pytest.mark.parametrize("head", ["main", "abc1234", "f" * 39, "-" + "f" * 39])
def test_a_commit_is_named_in_full(world: World, head: str) -> None:
    with pytest.raises(SystemExit):
        plan(f"--head={head}")
