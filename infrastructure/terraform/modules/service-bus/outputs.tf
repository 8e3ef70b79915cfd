output "name" {
  description = "Name of the namespace, as the scale rules want it."
  value       = azurerm_servicebus_namespace.main.name
}

output "host" {
  description = "Host of the namespace, for clients that log in by identity."
  value       = "${azurerm_servicebus_namespace.main.name}.servicebus.windows.net"
}

output "scale_rules_connection_string" {
  description = "For the scale rules only."
  value       = azurerm_servicebus_namespace_authorization_rule.scale_rules.primary_connection_string
  sensitive   = true
}
