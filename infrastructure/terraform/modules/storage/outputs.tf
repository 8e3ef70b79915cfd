output "blob_url" {
  description = "Address of the account's blobs, for clients that log in by identity."
  value       = azurerm_storage_account.main.primary_blob_endpoint
}

output "account_name" {
  description = "Name of the account."
  value       = azurerm_storage_account.main.name
}
