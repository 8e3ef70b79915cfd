resource "azurerm_container_registry" "main" {
  #checkov:skip=CKV_AZURE_139:Closing the public endpoint is of the Premium tier; every caller needs a role
  #checkov:skip=CKV_AZURE_163:Images are scanned before they are pushed; scanning here is Defender, bought for a whole subscription
  #checkov:skip=CKV_AZURE_164:Content trust is of the Premium tier and retired by Azure; deploys name images by digest
  #checkov:skip=CKV_AZURE_165:Geo-replication is of the Premium tier; there is one region
  #checkov:skip=CKV_AZURE_166:Quarantine is of the Premium tier
  #checkov:skip=CKV_AZURE_167:Cleaning up untagged manifests is of the Premium tier; an older digest is what a rollback needs
  #checkov:skip=CKV_AZURE_233:Zone redundancy is of the Premium tier; running containers need no registry
  #checkov:skip=CKV_AZURE_237:Data endpoints are of the Premium tier
  name                = var.name
  location            = var.location
  resource_group_name = var.resource_group_name
  sku                 = var.sku
  # No password: containers pull by identity, whoever pushes does so by role.
  admin_enabled = false
  tags          = var.tags
}

resource "azurerm_role_assignment" "pull" {
  for_each = var.principal_ids

  scope                = azurerm_container_registry.main.id
  role_definition_name = "AcrPull"
  principal_id         = each.value
  principal_type       = "ServicePrincipal"
}
