"""Every argument in the Terraform files is one of the provider's, where the provider has it; and the check can fail."""

from pathlib import Path

import pytest
from terraform_tree import ENVIRONMENTS, MODULES, TERRAFORM, dangling, folders, parse, parse_folder, problems


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: str(folder.relative_to(TERRAFORM)))
def test_names_nesting_and_kinds_are_the_providers(folder: Path) -> None:
    assert problems(parse_folder(folder), folder.name) == []


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: str(folder.relative_to(TERRAFORM)))
def test_everything_referred_to_is_declared_and_the_other_way_round(folder: Path) -> None:
    assert dangling(folder) == []


APPS = (MODULES / "container-apps" / "main.tf").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "retention_in_days =",
            "retention_days =",
            "main.tf: azurerm_log_analytics_workspace.main: no argument retention_days",
        ),
        (
            "    min_replicas                     = var.scale[each.key].min\n",
            "    scale {\n      min_replicas = 1\n    }\n",
            "main.tf: azurerm_container_app.consumer.template: no block scale",
        ),
        (
            "  ingress {\n    external_enabled = true\n    target_port      = 8080",
            "  target_port = 8080\n  ingress {\n    external_enabled = true",
            "main.tf: azurerm_container_app.dashboard: no argument target_port",
        ),
        (
            "      liveness_probe {",
            "      liveness_probe = {",
            "main.tf: azurerm_container_app.api.template.container: liveness_probe is a block, not an argument",
        ),
        (
            "        metadata = {",
            "        metadata {",
            "main.tf: azurerm_container_app.consumer.template.custom_scale_rule: metadata is an argument, not a block",
        ),
        (
            '          secret_name       = "scale-rules"\n',
            "",
            "main.tf: azurerm_container_app.consumer.template.custom_scale_rule.authentication: secret_name is missing",
        ),
        (
            "  schedule_trigger_config {",
            "  manual_trigger_config {\n  }\n\n  schedule_trigger_config {\n    schedule = 1",
            "main.tf: azurerm_container_app_job.scheduler.schedule_trigger_config: no argument schedule",
        ),
        (
            "replica_retry_limit = 1",
            'replica_retry_limit = "one"',
            "main.tf: azurerm_container_app_job.scheduler: replica_retry_limit is a number, not '\"one\"'",
        ),
        (
            '  registry {\n    server   = var.registry_server\n    identity = var.identities["dashboard"].id\n  }\n',
            '  identity {\n    type = "SystemAssigned"\n  }\n',
            "main.tf: azurerm_container_app.dashboard: block identity may come once, not 2 times",
        ),
        (
            'resource "azurerm_container_app_job"',
            'resource "azurerm_container_job"',
            "main.tf: azurerm_container_job.scheduler: the provider has no such resource, or the extract is old",
        ),
    ],
)
def test_a_mistake_in_a_name_or_its_place_is_found(old: str, new: str, problem: str) -> None:
    assert old in APPS
    assert problem in problems(parse(APPS.replace(old, new, 1)), "main.tf")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("var.location", "var.region", "main.tf: var.region is not declared"),
        ("local.flat_name", "local.flatname", "main.tf: local.flatname is not declared"),
        ("module.key_vault.uri", "module.key_vault.url", "main.tf: module.key_vault has no output url"),
        ("module.storage.blob_url", "module.blobs.blob_url", "main.tf: module.blobs is not declared"),
        (
            "azurerm_resource_group.main.name",
            "azurerm_resource_group.main.title",
            "main.tf: azurerm_resource_group.main has no attribute title",
        ),
        (
            "data.azurerm_client_config.current.tenant_id",
            "data.azurerm_client_config.current.tenant",
            "main.tf: data.azurerm_client_config.current has no attribute tenant",
        ),
        ("images     = var.images", "image = var.images", "module.container_apps: no variable image"),
        ("images     = var.images", "", "module.container_apps: images is missing"),
        ("images     = var.images", "", "var.images is never used"),
    ],
)
def test_a_reference_that_leads_nowhere_is_found(old: str, new: str, problem: str) -> None:
    folder = ENVIRONMENTS / "staging"
    files = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.tf")}
    files["main.tf"] = files["main.tf"].replace(old, new, 1)
    if "never used" in problem:
        # Its own validation looks at it too.
        files["variables.tf"] = files["variables.tf"].replace('lookup(var.images, app, "")', "app")
    assert problem in dangling(folder, files)
