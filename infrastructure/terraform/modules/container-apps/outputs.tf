output "api_url" {
  description = "Address of the API."
  value       = "https://${azurerm_container_app.api.ingress[0].fqdn}"
}

output "dashboard_url" {
  description = "Address of the dashboard."
  value       = "https://${azurerm_container_app.dashboard.ingress[0].fqdn}"
}

output "scheduler_job_name" {
  description = "Name of the scheduler job, for az containerapp job start."
  value       = azurerm_container_app_job.scheduler["scheduler"].name
}
