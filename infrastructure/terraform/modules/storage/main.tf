resource "azurerm_storage_account" "main" {
  #checkov:skip=CKV_AZURE_33:The queue service is not used
  #checkov:skip=CKV_AZURE_59:Containers of a consumption environment have no network of their own; every caller needs a role, keys are off
  #checkov:skip=CKV_AZURE_206:Redundancy is a variable: local in staging, geo-redundant in prod
  #checkov:skip=CKV2_AZURE_1:The only blobs are watermarks: two timestamps and a run id
  #checkov:skip=CKV2_AZURE_33:Containers of a consumption environment have no network of their own to put the endpoint in
  name                = var.name
  location            = var.location
  resource_group_name = var.resource_group_name

  account_kind             = "StorageV2"
  account_tier             = "Standard"
  account_replication_type = var.replication_type

  min_tls_version                 = "TLS1_2"
  https_traffic_only_enabled      = true
  allow_nested_items_to_be_public = false
  # Keys open everything and end never; whoever reads or writes here does so by role.
  shared_access_key_enabled        = false
  default_to_oauth_authentication  = true
  local_user_enabled               = false
  cross_tenant_replication_enabled = false

  blob_properties {
    versioning_enabled = var.keep_deleted

    dynamic "delete_retention_policy" {
      for_each = var.keep_deleted ? [1] : []
      content {
        days = 30
      }
    }

    dynamic "container_delete_retention_policy" {
      for_each = var.keep_deleted ? [1] : []
      content {
        days = 30
      }
    }
  }

  tags = var.tags
}

resource "azurerm_storage_container" "watermarks" {
  #checkov:skip=CKV2_AZURE_21:A watermark is written once a run, and the run's row in the database says when and to what
  name = "watermarks"
  # By the account's id the container is made through the management API: whoever applies needs no role on the blobs.
  storage_account_id    = azurerm_storage_account.main.id
  container_access_type = "private"
}

resource "azurerm_role_assignment" "watermarks" {
  for_each = var.principal_ids

  scope                = azurerm_storage_container.watermarks.id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = each.value
  principal_type       = "ServicePrincipal"
}
