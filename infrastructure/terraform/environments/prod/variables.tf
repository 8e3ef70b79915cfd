# --- Core -----------------------------------------------------------------------------------------------------------------

variable "environment" {
  description = "Name of the environment."
  type        = string

  validation {
    condition     = contains(["staging", "prod"], var.environment)
    error_message = "environment must be staging or prod."
  }
}

variable "name" {
  description = "Start of every name (DEPLOYMENT_NAME, not in terraform.tfvars). Some must be unique in all of Azure."
  type        = string
  default     = "diamond"

  validation {
    # Container apps and jobs have at most 32 characters (NAME-staging-scheduler-full), storage accounts and vaults 24.
    condition     = can(regex("^[a-z][a-z0-9]{2,8}$", var.name))
    error_message = "name must be 3 to 9 lower-case letters and digits, the first a letter."
  }
}

variable "location" {
  description = "Azure region."
  type        = string
}

variable "enable_container_apps" {
  description = "Second phase: false makes queues, storage, registry and vault; true also what runs in containers."
  type        = bool
  default     = false
}

variable "images" {
  description = "Application -> image by digest, such as HOST/diamond-api@sha256:... Used only when a container is made."
  type        = map(string)
  default     = {}

  validation {
    condition = !var.enable_container_apps || alltrue([
      for app in ["api", "consolidator", "dashboard", "scheduler", "worker"] :
      can(regex("/diamond-${app}@sha256:[0-9a-f]{64}$", lookup(var.images, app, "")))
    ])
    error_message = "images must name diamond-APP@sha256:DIGEST for api, consolidator, dashboard, scheduler and worker."
  }
}

# --- Tiers ----------------------------------------------------------------------------------------------------------------

variable "service_bus_sku" {
  description = "Tier of the Service Bus."
  type        = string
  default     = "Standard"

  validation {
    condition     = contains(["Standard", "Premium"], var.service_bus_sku)
    error_message = "service_bus_sku must be Standard or Premium: Basic has neither duplicate detection nor scheduled messages."
  }
}

variable "storage_replication_type" {
  description = "Redundancy of the storage account."
  type        = string

  validation {
    condition     = contains(["LRS", "ZRS", "GRS", "RAGRS", "GZRS", "RAGZRS"], var.storage_replication_type)
    error_message = "storage_replication_type must be LRS, ZRS, GRS, RAGRS, GZRS or RAGZRS."
  }
}

variable "storage_keep_deleted" {
  description = "Keep old versions of blobs, and deleted ones for 30 days."
  type        = bool
}

variable "container_registry_sku" {
  description = "Tier of the registry."
  type        = string

  validation {
    condition     = contains(["Basic", "Standard", "Premium"], var.container_registry_sku)
    error_message = "container_registry_sku must be Basic, Standard or Premium."
  }
}

variable "key_vault_retention_days" {
  description = "How long a deleted vault or secret can be brought back. Fixed when the vault is made."
  type        = number

  validation {
    condition     = var.key_vault_retention_days >= 7 && var.key_vault_retention_days <= 90
    error_message = "key_vault_retention_days must be 7 to 90."
  }
}

# --- Supplier -------------------------------------------------------------------------------------------------------------

variable "nivoda_endpoint" {
  description = "The supplier's GraphQL endpoint."
  type        = string

  validation {
    condition     = startswith(var.nivoda_endpoint, "https://")
    error_message = "nivoda_endpoint must begin with https://."
  }
}

variable "nivoda_username" {
  description = "The supplier account's user name (TF_VAR_nivoda_username); its password is in the vault."
  type        = string
  default     = ""

  validation {
    condition     = !var.enable_container_apps || var.nivoda_username != ""
    error_message = "nivoda_username is missing: set TF_VAR_nivoda_username."
  }
}

# --- Running --------------------------------------------------------------------------------------------------------------

variable "trusted_proxies" {
  description = "Networks of the environment's ingress, whose X-Forwarded-For the API believes."
  type        = list(string)
  # What Azure reserves for itself in an environment with workload profiles.
  default = ["100.100.0.0/17", "100.100.128.0/19", "100.100.160.0/19", "100.100.192.0/19"]
}

variable "scheduler_cron_expression" {
  description = "When the scheduler starts a run: five cron fields in UTC. A day that never comes switches it off."
  type        = string

  validation {
    condition     = can(regex("^\\S+( \\S+){4}$", var.scheduler_cron_expression))
    error_message = "scheduler_cron_expression must be five cron fields, such as \"0 2 * * *\"."
  }
}

variable "full_run_cron_expression" {
  description = "When a full run is started, which alone can see that stones are gone: five cron fields in UTC."
  type        = string

  validation {
    condition     = can(regex("^\\S+( \\S+){4}$", var.full_run_cron_expression))
    error_message = "full_run_cron_expression must be five cron fields, such as \"0 3 * * 0\"."
  }
}

variable "scheduler_parallelism" {
  description = "Replicas of one execution of a scheduler job."
  type        = number
  default     = 1

  validation {
    condition     = var.scheduler_parallelism >= 1
    error_message = "scheduler_parallelism must be at least 1."
  }
}

variable "resources" {
  description = "Application -> CPU and memory. The API's search index lives in memory."
  type = map(object({
    cpu    = number
    memory = string
  }))
  default = {
    api          = { cpu = 0.5, memory = "1Gi" }
    consolidator = { cpu = 0.5, memory = "1Gi" }
    dashboard    = { cpu = 0.25, memory = "0.5Gi" }
    scheduler    = { cpu = 0.25, memory = "0.5Gi" }
    worker       = { cpu = 0.5, memory = "1Gi" }
  }

  validation {
    condition     = alltrue([for r in values(var.resources) : r.memory == "${r.cpu * 2}Gi"])
    error_message = "resources: Azure gives 2 Gi of memory with each CPU, such as 0.5 and \"1Gi\"."
  }
}

variable "scale" {
  description = "Application -> fewest and most replicas."
  type = map(object({
    min = number
    max = number
  }))

  validation {
    condition     = toset(keys(var.scale)) == toset(["api", "consolidator", "dashboard", "worker"])
    error_message = "scale must name api, consolidator, dashboard and worker."
  }

  validation {
    condition     = alltrue([for s in values(var.scale) : s.min >= 0 && s.max >= max(s.min, 1)])
    error_message = "scale: min must be at least 0, max at least min and at least 1."
  }

  validation {
    condition     = try(var.scale["consolidator"].max, 0) <= 5
    error_message = "scale: at most 5 consolidators; more wait for each other's rows and take connections from the API."
  }
}

variable "alert_channels" {
  description = "Ways to tell people of trouble whose settings are in the vault: RESEND_API_KEY, ALERT_URLS, or both."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.alert_channels, ["ALERT_URLS", "RESEND_API_KEY"])) == 0
    error_message = "alert_channels may name RESEND_API_KEY and ALERT_URLS."
  }

  validation {
    condition = !contains(var.alert_channels, "RESEND_API_KEY") || alltrue([
      for name in ["ALERT_EMAIL_FROM", "ALERT_EMAIL_TO"] : lookup(var.settings, name, "") != ""
    ])
    error_message = "alert_channels: RESEND_API_KEY needs ALERT_EMAIL_FROM and ALERT_EMAIL_TO in settings."
  }
}

variable "settings" {
  description = "More settings of .env.example, for all containers but the dashboard: name -> value."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.settings) : can(regex("^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$", name))])
    error_message = "settings: names are in upper case, such as WORKER_CONCURRENCY."
  }

  validation {
    condition = length(setintersection(keys(var.settings), [
      "ALERT_URLS", "API_URL", "AZURE_CLIENT_ID", "AZURE_RESOURCE_GROUP", "AZURE_SCHEDULER_JOB_NAME", "AZURE_SERVICE_BUS_NAMESPACE",
      "AZURE_STORAGE_ACCOUNT_URL", "AZURE_SUBSCRIPTION_ID", "DATABASE_URL", "FULL_RUN_CRON", "HMAC_SECRETS", "HOST", "LOG_FORMAT",
      "MONITORING_PORT", "NIVODA_ENDPOINT", "NIVODA_PASSWORD", "NIVODA_USERNAME", "PG_POOL_MAX", "PORT", "SCHEDULER_CRON",
      "RESEND_API_KEY", "TRUSTED_PROXIES",
    ])) == 0
    error_message = "settings must not name what Terraform sets itself, such as PG_POOL_MAX (pool_sizes)."
  }

  validation {
    condition     = alltrue([for name in keys(var.settings) : !can(regex("(PASSWORD|SECRETS?|CONNECTION_STRING)$", name))])
    error_message = "settings must not hold secrets: they would lie in the state. The vault is for them."
  }
}

variable "connection_limit" {
  description = "Most database connections of all replicas together, such as those of a Supabase pooler."
  type        = number
  default     = 60
}

variable "pool_sizes" {
  description = "Application -> most database connections of each pool (PG_POOL_MAX)."
  type        = map(number)
  default     = { api = 2, consolidator = 2, scheduler = 2, worker = 1 }

  validation {
    condition     = toset(keys(var.pool_sizes)) == toset(["api", "consolidator", "scheduler", "worker"])
    error_message = "pool_sizes must name api, consolidator, scheduler and worker."
  }

  validation {
    condition     = alltrue([for pool in values(var.pool_sizes) : pool >= 1])
    error_message = "pool_sizes must be at least 1."
  }

  validation {
    # What the processes open (docs/scale.md, Connections): an API has two pools and the index, a worker at least 2, a
    # consolidator two more than the batches it works on at once, and there are two scheduler jobs. What is not there at
    # all is named by its own validation.
    condition = try(sum([
      var.scale["api"].max * (2 * var.pool_sizes["api"] + 3),
      var.scale["worker"].max * max(2, var.pool_sizes["worker"]),
      var.scale["consolidator"].max * max(
        var.pool_sizes["consolidator"], tonumber(lookup(var.settings, "CONSOLIDATOR_CONCURRENCY", "2")) + 2
      ),
      2 * var.scheduler_parallelism * var.pool_sizes["scheduler"],
    ]), 0) <= var.connection_limit
    error_message = "pool_sizes: all replicas together may open more connections than connection_limit allows."
  }
}

# --- Observing ------------------------------------------------------------------------------------------------------------

variable "log_retention_days" {
  description = "How long logs are kept. Azure keeps them 30 days even when less is asked for."
  type        = number

  validation {
    condition     = var.log_retention_days >= 7 && var.log_retention_days <= 730
    error_message = "log_retention_days must be 7 to 730."
  }
}
