# The same file in every environment, as are variables.tf, outputs.tf and versions.tf; what differs is in terraform.tfvars.
locals {
  name_prefix = "${var.name}-${var.environment}"
  # Where Azure allows letters and digits only.
  flat_name = "${var.name}${var.environment}"

  tags = {
    application = "diamond-opus"
    environment = var.environment
    managed_by  = "terraform"
  }

  applications = toset(["api", "consolidator", "dashboard", "scheduler", "worker"])
  principals   = { for app, identity in azurerm_user_assigned_identity.app : app => identity.principal_id }
  # The dashboard only shows pages: it may pull its image and nothing else.
  backend_principals = { for app, id in local.principals : app => id if app != "dashboard" }
}

data "azurerm_client_config" "current" {}

resource "azurerm_resource_group" "main" {
  name     = "${local.name_prefix}-rg"
  location = var.location
  tags     = local.tags
}

# Made, with all their roles but one, in the first phase: a role needs minutes to take effect, and containers that start
# before that can neither pull their image nor read their secrets.
resource "azurerm_user_assigned_identity" "app" {
  for_each = local.applications

  name                = "${local.name_prefix}-${each.key}-id"
  location            = var.location
  resource_group_name = azurerm_resource_group.main.name
  tags                = local.tags
}

module "service_bus" {
  source = "../../modules/service-bus"

  # A name that ends in -sb is reserved.
  name                = "${local.name_prefix}-bus"
  location            = var.location
  resource_group_name = azurerm_resource_group.main.name
  sku                 = var.service_bus_sku
  principal_ids       = local.backend_principals
  tags                = local.tags
}

module "storage" {
  source = "../../modules/storage"

  name                = "${local.flat_name}st"
  location            = var.location
  resource_group_name = azurerm_resource_group.main.name
  replication_type    = var.storage_replication_type
  keep_deleted        = var.storage_keep_deleted
  principal_ids       = local.backend_principals
  tags                = local.tags
}

module "container_registry" {
  source = "../../modules/container-registry"

  name                = "${local.flat_name}acr"
  location            = var.location
  resource_group_name = azurerm_resource_group.main.name
  sku                 = var.container_registry_sku
  principal_ids       = local.principals
  tags                = local.tags
}

module "key_vault" {
  source = "../../modules/key-vault"

  name                       = "${local.name_prefix}-kv"
  location                   = var.location
  resource_group_name        = azurerm_resource_group.main.name
  tenant_id                  = data.azurerm_client_config.current.tenant_id
  soft_delete_retention_days = var.key_vault_retention_days
  principal_ids              = local.backend_principals
  tags                       = local.tags
}

module "container_apps" {
  source = "../../modules/container-apps"
  count  = var.enable_container_apps ? 1 : 0

  name_prefix         = local.name_prefix
  location            = var.location
  resource_group_name = azurerm_resource_group.main.name
  subscription_id     = data.azurerm_client_config.current.subscription_id
  tags                = local.tags

  identities = { for app, identity in azurerm_user_assigned_identity.app : app => {
    id           = identity.id
    client_id    = identity.client_id
    principal_id = identity.principal_id
  } }
  registry_server               = module.container_registry.login_server
  key_vault_uri                 = module.key_vault.uri
  service_bus_name              = module.service_bus.name
  service_bus_host              = module.service_bus.host
  scale_rules_connection_string = module.service_bus.scale_rules_connection_string
  storage_account_url           = module.storage.blob_url

  images     = var.images
  resources  = var.resources
  scale      = var.scale
  pool_sizes = var.pool_sizes

  nivoda_endpoint = var.nivoda_endpoint
  nivoda_username = var.nivoda_username
  trusted_proxies = var.trusted_proxies
  settings        = var.settings
  alert_channels  = var.alert_channels

  scheduler_cron_expression = var.scheduler_cron_expression
  full_run_cron_expression  = var.full_run_cron_expression
  scheduler_parallelism     = var.scheduler_parallelism
  log_retention_days        = var.log_retention_days
}
