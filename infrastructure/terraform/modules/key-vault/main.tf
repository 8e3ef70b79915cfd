# Only the vault. A person puts the values in (infrastructure/README.md), so that no variable, plan or state holds them.
resource "azurerm_key_vault" "main" {
  #checkov:skip=CKV_AZURE_109:Containers of a consumption environment have no fixed address to let in; every caller needs a role
  #checkov:skip=CKV_AZURE_189:Containers of a consumption environment have no network of their own; every caller needs a role
  #checkov:skip=CKV2_AZURE_32:Containers of a consumption environment have no network of their own to put the endpoint in
  name                = var.name
  location            = var.location
  resource_group_name = var.resource_group_name
  tenant_id           = var.tenant_id
  sku_name            = "standard"

  rbac_authorization_enabled = true
  # A vault that was destroyed can be brought back with its secrets, and by nobody destroyed for good before that.
  purge_protection_enabled   = true
  soft_delete_retention_days = var.soft_delete_retention_days
  tags                       = var.tags
}

resource "azurerm_role_assignment" "reader" {
  for_each = var.principal_ids

  scope                = azurerm_key_vault.main.id
  role_definition_name = "Key Vault Secrets User"
  principal_id         = each.value
  principal_type       = "ServicePrincipal"
}
