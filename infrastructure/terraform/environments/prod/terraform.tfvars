# Nothing here is secret. Who logs in, the subscription and the name come from the environment
# (infrastructure/README.md); secrets are in the vault.
environment = "prod"
location    = "australiaeast"

# Second phase: set to true once images are in the registry and secrets in the vault.
enable_container_apps = false

service_bus_sku          = "Standard"
storage_replication_type = "GRS"
storage_keep_deleted     = true
container_registry_sku   = "Standard"
key_vault_retention_days = 90

nivoda_endpoint = "https://integrations.nivoda.net/api/diamonds"

# Each night at 02:00; on Sundays everything, for of two runs at one time the database refuses the second.
scheduler_cron_expression = "0 2 * * 1-6"
full_run_cron_expression  = "0 2 * * 0"

# One of each is always there: it also looks for work whose message was lost.
scale = {
  api          = { min = 1, max = 4 }
  consolidator = { min = 1, max = 3 }
  dashboard    = { min = 1, max = 2 }
  worker       = { min = 1, max = 8 }
}

log_retention_days = 30
