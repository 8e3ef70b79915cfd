output "name" {
  description = "Name of the registry, for az acr."
  value       = azurerm_container_registry.main.name
}

output "login_server" {
  description = "Host of the registry."
  value       = azurerm_container_registry.main.login_server
}
