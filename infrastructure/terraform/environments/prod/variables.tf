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
  description = "Start of every name. Some must be unique in all of Azure; if one is taken, choose another start."
  type        = string
  default     = "diamond"

  validation {
    # Container apps have at most 32 characters (NAME-staging-consolidator), storage accounts and vaults 24.
    condition     = can(regex("^[a-z][a-z0-9]{2,10}$", var.name))
    error_message = "name must be 3 to 11 lower-case letters and digits, the first a letter."
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

# --- Supplier and alerts --------------------------------------------------------------------------------------------------

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

variable "alert_email_to" {
  description = "Who gets alerts (TF_VAR_alert_email_to). Empty: no mail, and no resend-api-key is needed in the vault."
  type        = string
  default     = ""
}

variable "alert_email_from" {
  description = "Sender of alerts, of a domain that Resend knows (TF_VAR_alert_email_from)."
  type        = string
  default     = ""

  validation {
    condition     = var.alert_email_to == "" || var.alert_email_from != ""
    error_message = "alert_email_from is missing: alert_email_to needs a sender."
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

variable "scheduler_parallelism" {
  description = "Replicas of one execution of the scheduler."
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

variable "pool_sizes" {
  description = "Application -> most database connections of each replica (PG_POOL_MAX)."
  type        = map(number)
  default     = { api = 3, consolidator = 2, scheduler = 2, worker = 1 }

  validation {
    # Supabase's pooler has 60 connections.
    condition = sum([
      for app, pool in var.pool_sizes : pool * try(var.scale[app].max, 1)
    ]) <= 60
    error_message = "pool_sizes: all replicas together may have at most 60 connections."
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
