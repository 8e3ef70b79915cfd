# Nothing here is secret. Who logs in, the subscription and the name come from the environment
# (infrastructure/README.md); secrets are in the vault.
environment = "staging"
location    = "australiaeast"

# Second phase: set to true once images are in the registry and secrets in the vault.
enable_container_apps = false

service_bus_sku          = "Standard"
storage_replication_type = "LRS"
storage_keep_deleted     = false
container_registry_sku   = "Basic"
key_vault_retention_days = 7

nivoda_endpoint = "https://intg-customer-staging.nivodaapi.net/api/diamonds"

# Never: runs are started by hand or through the API.
scheduler_cron_expression = "0 0 31 2 *"
full_run_cron_expression  = "0 0 31 2 *"

# Everything may sleep. A message wakes worker and consolidator, a request the other two. Then nobody sweeps: what was lost
# or is due again waits for the next request or run.
scale = {
  api          = { min = 0, max = 2 }
  consolidator = { min = 0, max = 2 }
  dashboard    = { min = 0, max = 2 }
  worker       = { min = 0, max = 10 }
}

log_retention_days = 7
