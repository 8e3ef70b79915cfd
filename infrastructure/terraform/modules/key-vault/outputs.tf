output "name" {
  description = "Name of the vault, for az keyvault."
  value       = azurerm_key_vault.main.name
}

output "uri" {
  description = "Address of the vault, with a slash at its end."
  value       = azurerm_key_vault.main.vault_uri
}
