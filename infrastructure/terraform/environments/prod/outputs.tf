output "resource_group_name" {
  description = "Resource group of the environment."
  value       = azurerm_resource_group.main.name
}

output "service_bus_namespace" {
  description = "AZURE_SERVICE_BUS_NAMESPACE"
  value       = module.service_bus.host
}

output "storage_account_url" {
  description = "AZURE_STORAGE_ACCOUNT_URL"
  value       = module.storage.blob_url
}

output "container_registry_name" {
  description = "For az acr."
  value       = module.container_registry.name
}

output "container_registry_login_server" {
  description = "Host of the registry."
  value       = module.container_registry.login_server
}

output "key_vault_name" {
  description = "For az keyvault."
  value       = module.key_vault.name
}

output "api_url" {
  description = "Address of the API; null in the first phase."
  value       = one(module.container_apps[*].api_url)
}

output "dashboard_url" {
  description = "Address of the dashboard; null in the first phase."
  value       = one(module.container_apps[*].dashboard_url)
}

output "scheduler_job_name" {
  description = "For az containerapp job start; null in the first phase."
  value       = one(module.container_apps[*].scheduler_job_name)
}
