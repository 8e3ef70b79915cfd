"""The scripts, run with programs in place of az and terraform that write down how they were called."""

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from dotenv import dotenv_values
from terraform_tree import ROOT

AZ = r"""#!/bin/sh
echo "az $*" >>"$CALLS"
case "$*" in
    "account show --output none") exit "${LOGGED_OUT:-0}" ;;
    "account show --query id"*) echo the-subscription ;;
    "account show"*) echo "The name" ;;
    "storage account show"*"--output none") exit "${NO_ACCOUNT:-0}" ;;
    "storage account show"*) echo /the/account ;;
    "ad signed-in-user"*) echo the-user ;;
    "acr manifest"*) printf '%b' "${MANIFESTS-sha256:0123\\tfirst\\n}" ;;
    "keyvault secret show"*) printf '%s\n' "$SECRET" ;;
esac
"""
TERRAFORM = r"""#!/bin/sh
echo "terraform $* [$ARM_SUBSCRIPTION_ID] $TF_VAR_images" >>"$CALLS"
case "$*" in
    "output -raw resource_group_name") [ -n "$MADE" ] && echo "$MADE" ;;
    "output -raw "*) [ -z "$NO_STATE" ] && echo "the-$3" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Project:
    """A copy of the infrastructure whose scripts find only the false programs."""

    folder: Path

    def run(
        self, script: str, *arguments: str, stdin: str = "", **env: str
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.folder / "infrastructure" / "scripts" / script), *arguments],
            env={
                "PATH": f"{self.folder / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin",
                "CALLS": str(self.folder / "calls"),
                **env,
            },
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def enable_container_apps(self) -> None:
        path = self.folder / "infrastructure/terraform/environments/staging/terraform.tfvars"
        text = path.read_text(encoding="utf-8")
        assert "enable_container_apps = false" in text
        path.write_text(
            text.replace("enable_container_apps = false", "enable_container_apps = true"), "utf-8"
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    shutil.copytree(
        ROOT / "infrastructure", tmp_path / "infrastructure", ignore=shutil.ignore_patterns(".terraform")
    )
    (tmp_path / "bin").mkdir()
    for name, text in (("az", AZ), ("terraform", TERRAFORM)):
        program = tmp_path / "bin" / name
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
    return Project(tmp_path)


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("deploy.sh", ()),
        ("deploy.sh", ("staging",)),
        ("deploy.sh", ("production", "plan")),
        ("deploy.sh", ("../staging", "plan")),
        ("deploy.sh", ("staging", "aply")),
        ("generate-env.sh", ()),
        ("generate-env.sh", ("production",)),
        ("generate-env.sh", ("staging", "--secret")),
    ],
)
def test_a_wrong_word_calls_nothing(project: Project, script: str, arguments: tuple[str, ...]) -> None:
    result = project.run(script, *arguments)
    assert result.returncode == 1
    assert result.stderr.startswith(f"Usage: {script}")
    assert project.calls == []


@pytest.mark.parametrize(
    ("script", "arguments"),
    [("deploy.sh", ("prod", "apply")), ("generate-env.sh", ("prod",)), ("bootstrap-tfstate.sh", ())],
)
def test_without_a_login_nothing_is_touched(
    project: Project, script: str, arguments: tuple[str, ...]
) -> None:
    result = project.run(script, *arguments, LOGGED_OUT="1")
    assert result.returncode == 1
    assert "az login" in result.stderr
    assert project.calls == ["az account show --output none"]


def test_a_plan_is_made_in_the_subscription_of_az(project: Project) -> None:
    assert project.run("deploy.sh", "staging", "plan").returncode == 0
    assert project.calls[-2:] == [
        "terraform output -raw resource_group_name [the-subscription] ",
        "terraform plan -input=false -lock-timeout=5m [the-subscription] ",
    ]


def test_a_subscription_of_the_environment_goes_over_that_of_az(project: Project) -> None:
    result = project.run("deploy.sh", "prod", "apply", "-auto-approve", ARM_SUBSCRIPTION_ID="another")
    assert result.returncode == 0
    assert project.calls[-1] == "terraform apply -lock-timeout=5m -auto-approve [another] "


def test_the_states_account_can_be_another(project: Project) -> None:
    assert project.run("deploy.sh", "staging", "plan", TFSTATE_ACCOUNT="ours").returncode == 0
    assert "-backend-config=storage_account_name=ours" in project.calls[-3]


def test_containers_are_made_of_the_newest_images_by_digest(project: Project) -> None:
    project.enable_container_apps()
    assert project.run("deploy.sh", "staging", "apply").returncode == 0
    images = project.calls[-1].split("] ")[1]
    server = "the-container_registry_login_server"
    assert images == (
        "{"
        + ",".join(
            f'"{app}":"{server}/diamond-{app}@sha256:0123"'
            for app in ("api", "consolidator", "dashboard", "scheduler", "worker")
        )
        + "}"
    )


@pytest.mark.parametrize(
    "manifests",
    [
        r"sha256:9999\tsha256-0123.att\nsha256:0123\t%s\nsha256:4567\t%s\n",
        r"sha256:0123\tsha256-9999 %s\nsha256:4567\t%s\n",
    ],
    ids=["attestation-first", "both-tags"],
)
def test_what_was_pushed_behind_an_image_is_none(project: Project, manifests: str) -> None:
    project.enable_container_apps()
    shas = ("0" * 40, "1" * 40)
    assert project.run("deploy.sh", "staging", "apply", MANIFESTS=manifests % shas).returncode == 0
    assert project.calls[-1].count("@sha256:0123") == 5
    [asked, *_] = [call for call in project.calls if call.startswith("az acr manifest")]
    assert "--orderby time_desc --query [?tags]." in asked


@pytest.mark.parametrize(("env", "name"), [({}, "diamond"), ({"DEPLOYMENT_NAME": "opus"}, "opus")])
def test_every_name_begins_with_that_of_the_deployment(
    project: Project, env: dict[str, str], name: str
) -> None:
    program = project.folder / "bin" / "terraform"
    program.write_text(program.read_text("utf-8") + 'echo "named $TF_VAR_name" >>"$CALLS"\n', "utf-8")
    assert project.run("deploy.sh", "staging", "plan", MADE=f"{name}-staging-rg", **env).returncode == 0
    assert project.calls[-1] == f"named {name}"


@pytest.mark.parametrize("action", ["plan", "apply", "destroy"])
def test_a_name_that_was_forgotten_destroys_nothing(project: Project, action: str) -> None:
    result = project.run("deploy.sh", "staging", action, MADE="opus-staging-rg")
    assert result.returncode == 1
    assert "belongs to opus-staging-rg, not to diamond-staging-rg" in result.stderr
    assert not any(call.startswith(f"terraform {action}") for call in project.calls)


def test_images_that_are_given_are_taken(project: Project) -> None:
    project.enable_container_apps()
    assert project.run("deploy.sh", "staging", "apply", TF_VAR_images="{}").returncode == 0
    assert not any(call.startswith("az acr") for call in project.calls)


@pytest.mark.parametrize(
    ("env", "problem"),
    [
        ({"MANIFESTS": ""}, "No image diamond-api"),
        ({"MANIFESTS": r"sha256:0123\tsha256-4567\n"}, "No image diamond-api"),
        ({"NO_STATE": "1"}, "There is no registry yet"),
    ],
)
def test_without_images_nothing_is_applied(project: Project, env: dict[str, str], problem: str) -> None:
    project.enable_container_apps()
    result = project.run("deploy.sh", "staging", "apply", **env)
    assert result.returncode == 1
    assert problem in result.stderr
    assert not any(call.startswith("terraform apply") for call in project.calls)


@pytest.mark.parametrize("answer", ["", "\n", "yes\n", "prod\n", "Staging\n"])
def test_nothing_is_destroyed_without_the_environments_name(project: Project, answer: str) -> None:
    result = project.run("deploy.sh", "staging", "destroy", stdin=answer)
    assert result.returncode == 1
    assert "Nothing was destroyed" in result.stderr
    assert not any(call.startswith("terraform destroy") for call in project.calls)


def test_an_environment_is_destroyed_when_its_name_is_typed(project: Project) -> None:
    project.enable_container_apps()
    assert project.run("deploy.sh", "staging", "destroy", stdin="staging\n").returncode == 0
    assert project.calls[-1] == (
        "terraform destroy -lock-timeout=5m -auto-approve -var enable_container_apps=false [the-subscription] "
    )
    assert not any(call.startswith("az acr") for call in project.calls)


def test_the_environment_file_is_its_owners_only_and_holds_no_secret(project: Project) -> None:
    result = project.run("generate-env.sh", "staging")
    target = project.folder / ".env.staging"
    assert (result.returncode, result.stdout) == (0, f"{target}\n")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert dotenv_values(target) == {
        "AZURE_SERVICE_BUS_NAMESPACE": "the-service_bus_namespace",
        "AZURE_STORAGE_ACCOUNT_URL": "the-storage_account_url",
        "DATABASE_URL": "",
        "NIVODA_ENDPOINT": "",
        "NIVODA_USERNAME": "",
        "NIVODA_PASSWORD": "",
        "HMAC_SECRETS": "",
    }
    assert not any("keyvault" in call for call in project.calls)


def test_secrets_are_fetched_when_asked_for_and_read_back_as_they_were(project: Project) -> None:
    secret = r"""a'b"c #d \e $f"""
    assert project.run("generate-env.sh", "staging", "--secrets", SECRET=secret).returncode == 0
    target = project.folder / ".env.staging"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    values = dotenv_values(target)
    assert {values[name] for name in ("DATABASE_URL", "NIVODA_PASSWORD", "HMAC_SECRETS")} == {secret}


def test_a_file_that_was_there_stays_when_there_is_no_state(project: Project) -> None:
    target = project.folder / ".env.staging"
    target.write_text("OLD=1\n", encoding="utf-8")
    result = project.run("generate-env.sh", "staging", NO_STATE="1")
    assert result.returncode == 1
    assert "deploy.sh staging apply first" in result.stderr
    assert target.read_text(encoding="utf-8") == "OLD=1\n"
    assert [path.name for path in project.folder.glob(".env*")] == [".env.staging"]


def test_the_state_is_kept_without_keys(project: Project) -> None:
    result = project.run("bootstrap-tfstate.sh", NO_ACCOUNT="1", TFSTATE_PRINCIPAL="the-pipeline")
    assert result.returncode == 0, result.stderr
    [create] = [call for call in project.calls if call.startswith("az storage account create")]
    assert "--allow-shared-key-access false" in create
    assert "--allow-blob-public-access false" in create
    assert "--min-tls-version TLS1_2" in create
    granted = [call for call in project.calls if call.startswith("az role assignment create")]
    assert [call.split("--assignee-object-id ")[1].split()[0] for call in granted] == [
        "the-user",
        "the-pipeline",
    ]
    assert not any("--account-key" in call or "keys list" in call for call in project.calls)


def test_a_state_account_that_is_there_is_not_made_again(project: Project) -> None:
    assert project.run("bootstrap-tfstate.sh").returncode == 0
    assert not any(call.startswith("az storage account create") for call in project.calls)


def test_a_name_that_azure_refuses_is_refused_first(project: Project) -> None:
    result = project.run("bootstrap-tfstate.sh", TFSTATE_ACCOUNT="Diamond-State")
    assert result.returncode == 1
    assert "3 to 24 lower-case" in result.stderr
    assert not any(call.startswith("az group") for call in project.calls)
