"""Put images into Azure Container Apps: find what has to go there, migrate, switch app by app, go back if one is ill.

The running apps are the record of what is deployed: each image names its commit, so a deployment that failed or was
never made is caught up by the next one. Images are named by digest only, so that no tag can be moved under an app.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affected import APPS, PYTHON, affected

COMMIT = "org.opencontainers.image.revision"
SCHEME = "https"

#: Of the start of every name that Terraform gives, which the repository's variable DEPLOYMENT_NAME may change.
NAME = "diamond"
#: Jobs of Container Apps. Their clocks start them with the image they have then: no revision, nothing to wait for.
JOBS = ("scheduler", "scheduler-full")

_COMMIT = re.compile(r"[0-9a-f]{40}")
_IMAGE = re.compile(
    r"(?P<registry>[a-z0-9.-]+(?:/[a-z0-9._-]+)*)/(?P<name>diamond-[a-z]+)@(?P<digest>sha256:[0-9a-f]{64})"
)
_GOOD = frozenset({"Running", "RunningAtMaxScale", "ScaledToZero"})
_LOST = frozenset({"ActivationFailed", "Failed"})


class Failed(Exception):
    """Something that a person has to look at; says what, and in which state it leaves the apps."""


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout.strip()


@dataclass(frozen=True, slots=True)
class Place:
    """One environment's apps, as Terraform names them."""

    environment: str
    name: str = NAME
    patience_seconds: float = 600
    pause_seconds: float = 10

    def _of(self, part: str) -> tuple[str, ...]:
        prefix = f"{self.name}-{self.environment}"
        return ("--resource-group", f"{prefix}-rg", "--name", f"{prefix}-{part}")

    def _az(self, part: str, *words: str, query: str, form: str = "tsv") -> str:
        kind = ("containerapp", "job") if part in JOBS else ("containerapp",)
        return run("az", *kind, *words, *self._of(part), "--query", query, "--output", form)

    def image(self, part: str) -> str | None:
        """What runs now, None if Terraform has not made this part yet."""
        try:
            return self._az(part, "show", query="properties.template.containers[0].image")
        except Failed as failure:
            if any(
                words in str(failure) for words in ("ResourceNotFound", "does not exist", "was not found")
            ):
                return None
            raise

    def switch(self, part: str, image: str) -> None:
        """Give it the image, and wait until it is well."""
        query = "name" if part in JOBS else "properties.latestRevisionName"
        revision = self._az(part, "update", "--image", image, query=query)
        if part not in JOBS:
            self._wait(part, revision)

    def migrate(self, image: str) -> None:
        """Run `diamond db migrate` of the new image as an execution of the scheduler's job, and wait for its end.

        The job's whole template is handed on with another image and command: options of their own would drop its
        environment and secrets. So no job of its own has to be kept in step with the scheduler's.
        """
        template = json.loads(self._az("scheduler", "show", query="properties.template", form="json"))
        template["containers"][0] |= {"image": image, "command": ["diamond"], "args": ["db", "migrate"]}
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "template.yaml")
            file.write_text(json.dumps(template), encoding="utf-8")  # JSON is YAML
            execution = self._az("scheduler", "start", "--yaml", str(file), query="name")
        deadline = time.monotonic() + self.patience_seconds
        while True:
            status = self._az(
                "scheduler",
                "execution",
                "show",
                "--job-execution-name",
                execution,
                query="properties.status",
            )
            if status == "Succeeded":
                return
            if status not in {"Running", "Processing", "Unknown", ""} or time.monotonic() > deadline:
                raise Failed(f"The migration {execution} is {status}; its log says why. No app was changed.")
            time.sleep(self.pause_seconds)

    def _wait(self, app: str, revision: str) -> None:
        """Until the revision runs and, if it serves, answers /ready with 200."""
        deadline = time.monotonic() + self.patience_seconds
        while True:
            said = run(
                "az", "containerapp", "revision", "show", *self._of(app), "--revision", revision,
                "--query", "properties", "--output", "json",
            )  # fmt: skip
            state: Mapping[str, Any] = json.loads(said)
            problem = _problem(state)
            # Asked under the revision's own name: the app's would still be answered by the one before.
            if problem is None and app in {"api", "dashboard"}:
                problem = not_ready(f"{SCHEME}://{state.get('fqdn')}/ready")
            if problem is None:
                return
            if (
                _LOST & {state.get("provisioningState"), state.get("runningState")}
                or time.monotonic() > deadline
            ):
                raise Failed(f"{revision}: {problem}")
            time.sleep(self.pause_seconds)


def _problem(state: Mapping[str, Any]) -> str | None:
    seen = {name: state.get(f"{name}State") for name in ("provisioning", "running", "health")}
    if seen["provisioning"] == "Provisioned" and seen["running"] in _GOOD and seen["health"] != "Unhealthy":
        return None
    return ", ".join(f"{name} {value}" for name, value in seen.items())


def parts_of(app: str) -> tuple[str, ...]:
    """What runs the app's image: itself, and for the scheduler a job for each clock."""
    return JOBS if app == "scheduler" else (app,)


def not_ready(url: str) -> str | None:
    """What is wrong with an address, None if it answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - always https, but in tests
            return None if answer.status == 200 else f"{url} answers {answer.status}"
    except urllib.error.HTTPError as error:
        return f"{url} answers {error.code}: {error.read(500).decode(errors='replace')}"
    except (OSError, ValueError) as error:
        return f"{url}: {error}"


def commit_of(image: str) -> str | None:
    """The commit an image was built from, None if it is none of ours, such as the one Terraform starts with."""
    if not _IMAGE.fullmatch(image):
        return None
    index = json.loads(run("docker", "buildx", "imagetools", "inspect", "--raw", image))
    commit = str(index.get("annotations", {}).get(COMMIT, ""))
    return commit if _COMMIT.fullmatch(commit) else None


def is_behind(app: str, image: str | None, head: str) -> bool:
    """Whether something changed between the commit of ``image`` and ``head`` that the app is made of."""
    commit = commit_of(image) if image else None
    if commit is None:
        return True
    if commit == head:
        return False
    known = subprocess.run(
        ["git", "cat-file", "-e", f"{commit}^{{commit}}"], capture_output=True, check=False
    )
    if known.returncode:
        return True  # its branch is gone
    paths = run("git", "diff", "--name-only", "--no-renames", "-z", commit, head)
    return app in affected(path for path in paths.split("\0") if path)


def plan(place: Place, head: str, *, everything: bool) -> None:
    """Tell the apps that have to be built and deployed to bring the environment to ``head``."""
    apps = [
        app
        for app in APPS
        if everything or any(is_behind(app, place.image(part), head) for part in parts_of(app))
    ]
    output("apps", json.dumps(apps))
    summary(f"To be deployed to {place.environment} for `{head}`: {', '.join(apps) or 'nothing'}")


def candidate(place: Place, head: str, repository: str) -> None:
    """Tell the images that run here, if they are what ``head`` would give and this repository's workflow made them."""
    running = {part: (app, place.image(part) or "") for app in APPS for part in parts_of(app)}
    if behind := [part for part, (app, image) in running.items() if is_behind(app, image, head)]:
        raise Failed(
            f"{place.environment} does not run {head}: {', '.join(behind)} differ. Deploy it there first."
        )
    images = {app: running[parts_of(app)[0]][1] for app in APPS}
    for image in images.values():
        run("gh", "attestation", "verify", f"oci://{image}", "--repo", repository)
    output("images", json.dumps(images))
    summary(f"Runs in {place.environment}, made from `{head}` and attested:")
    for image in images.values():
        summary(f"- `{image}`")


def deploy(place: Place, images: Mapping[str, str], registry: str) -> None:
    """Migrate, then switch app by app; the first that does not get well takes all of them back."""
    if unknown := set(images) - set(APPS):
        raise Failed(f"There are no apps named {', '.join(sorted(unknown))}.")
    apps = [app for app in APPS if app in images]
    found = {part: place.image(part) for app in apps for part in parts_of(app)}
    before = {part: image for part, image in found.items() if image}
    brought_here = {app: brought(images[app], registry) for app in apps}
    wanted = {part: brought_here[app] for app in apps for part in parts_of(app)}
    if absent := [part for part in found if part not in before]:
        summary(f"Not made by Terraform yet: {', '.join(absent)}. INITIAL_IMAGES for it (docs/secrets.md):")
        summary(f"`{json.dumps(brought_here, sort_keys=True)}`")
    # Always, so that a first deployment has its tables. Every image of one commit has that commit's migrations, and old
    # code runs on the new schema: CONTRIBUTING.md.
    if python := [part for part in before if part in PYTHON or part in JOBS]:
        place.migrate(wanted[python[-1]])
    changed = [part for part in before if before[part] != wanted[part]]
    touched: list[str] = []
    try:
        for part in changed:
            touched.append(part)
            place.switch(part, wanted[part])
            summary(f"- {part} runs `{wanted[part]}`")
    except Failed as failure:
        raise Failed(f"{failure}. {_take_back(place, before, touched)}") from failure
    if not changed:
        summary(f"Nothing to switch in {place.environment}.")


def _take_back(place: Place, before: Mapping[str, str], touched: Sequence[str]) -> str:
    stuck = []
    for part in reversed(touched):
        try:
            place.switch(part, before[part])
        except Failed as failure:
            stuck.append(f"{part} ({failure})")
    if stuck:
        return f"NOT taken back: {'; '.join(stuck)}."
    return f"Taken back to what ran before: {', '.join(touched)}."


def brought(image: str, registry: str) -> str:
    """The image's name in ``registry``, copied there with its digest if it lies in another one."""
    parts = _IMAGE.fullmatch(image)
    if parts is None:
        raise Failed(f"{image!r} is not REGISTRY/diamond-APP@sha256:DIGEST.")
    if parts["registry"] == registry:
        return image
    if not (registry.endswith(".azurecr.io") and parts["registry"].endswith(".azurecr.io")):
        raise Failed(f"{image} cannot be copied to {registry}: only from one Azure registry to another.")
    tag = parts["digest"].removeprefix("sha256:")
    run(
        "az", "acr", "import", "--force", "--name", registry.removesuffix(".azurecr.io"),
        "--source", image, "--image", f"{parts['name']}:{tag}",
    )  # fmt: skip
    return f"{registry}/{parts['name']}@{parts['digest']}"


def images_of(digests: Mapping[str, str], registry: str) -> Mapping[str, str]:
    """What the build's jobs put out, which is empty for an app that was not built."""
    return {app: f"{registry}/diamond-{app}@{digest}" for app, digest in digests.items() if digest}


def output(name: str, value: str) -> None:
    _append("GITHUB_OUTPUT", f"{name}={value}")


def summary(line: str) -> None:
    print(line, flush=True)
    _append("GITHUB_STEP_SUMMARY", line)


def _append(variable: str, line: str) -> None:
    if name := os.environ.get(variable):
        with open(name, "a", encoding="utf-8") as file:  # noqa: PTH123 - the runner's file, which may be a device
            file.write(f"{line}\n")


def commit(text: str) -> str:
    if not _COMMIT.fullmatch(text):
        raise argparse.ArgumentTypeError("must be a whole commit: 40 hexadecimal digits")
    return text


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["plan", "candidate", "deploy"])
    parser.add_argument("--environment", choices=["staging", "prod"], required=True)
    parser.add_argument("--head", type=commit, help="the commit that is to run")
    parser.add_argument("--all", action="store_true", help="plan every app, changed or not")
    parser.add_argument("--patience", type=float, default=600, help="seconds for each app")
    parser.add_argument("--pause", type=float, default=10, help="seconds between two looks")
    asked = parser.parse_args(words)
    if asked.what != "deploy" and asked.head is None:
        parser.error(f"{asked.what} needs --head")
    name = os.environ.get("DEPLOYMENT_NAME") or NAME
    place = Place(asked.environment, name, asked.patience, asked.pause)
    try:
        if asked.what == "plan":
            plan(place, asked.head, everything=asked.all)
        elif asked.what == "candidate":
            candidate(place, asked.head, os.environ["GITHUB_REPOSITORY"])
        else:
            registry = os.environ["IMAGE_REGISTRY"]
            given = os.environ.get("IMAGES")
            images = json.loads(given) if given else images_of(json.loads(os.environ["DIGESTS"]), registry)
            deploy(place, images, registry)
    except Failed as failure:
        print(f"::error title=Deployment::{str(failure).replace(chr(10), '%0A')}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
