variable "name_prefix" {
  description = "Start of every name, such as diamond-staging."
  type        = string
}

variable "location" {
  description = "Azure region."
  type        = string
}

variable "resource_group_name" {
  description = "Resource group that holds everything of the environment."
  type        = string
}

variable "tags" {
  description = "Tags of every resource."
  type        = map(string)
}

variable "subscription_id" {
  description = "Subscription in which the API finds the scheduler job."
  type        = string
}

variable "identities" {
  description = "Application -> its user-assigned identity."
  type = map(object({
    id           = string
    client_id    = string
    principal_id = string
  }))
}

variable "registry_server" {
  description = "Host of the registry."
  type        = string
}

variable "images" {
  description = "Application -> image by digest, used when it is made."
  type        = map(string)
}

variable "resources" {
  description = "Application -> CPU and memory."
  type = map(object({
    cpu    = number
    memory = string
  }))
}

variable "scale" {
  description = "Application -> fewest and most replicas."
  type = map(object({
    min = number
    max = number
  }))
}

variable "pool_sizes" {
  description = "Application -> most database connections of each replica."
  type        = map(number)
}

variable "service_bus_name" {
  description = "Name of the Service Bus namespace, for the scale rules."
  type        = string
}

variable "service_bus_host" {
  description = "Host of the Service Bus namespace, for the applications."
  type        = string
}

variable "scale_rules_connection_string" {
  description = "With which the scale rules ask for the queues' lengths."
  type        = string
  sensitive   = true
}

variable "storage_account_url" {
  description = "Address of the storage account's blobs."
  type        = string
}

variable "key_vault_uri" {
  description = "Address of the vault, with a slash at its end."
  type        = string
}

variable "nivoda_endpoint" {
  description = "The supplier's GraphQL endpoint."
  type        = string
}

variable "nivoda_username" {
  description = "The supplier account's user name."
  type        = string
}

variable "settings" {
  description = "More settings of all Python containers."
  type        = map(string)
}

variable "alert_channels" {
  description = "Which of RESEND_API_KEY and ALERT_URLS the vault holds."
  type        = set(string)
}

variable "trusted_proxies" {
  description = "Networks whose X-Forwarded-For the API believes."
  type        = list(string)
}

variable "scheduler_cron_expression" {
  description = "When the scheduler starts a run: five cron fields in UTC."
  type        = string
}

variable "full_run_cron_expression" {
  description = "When a full run is started: five cron fields in UTC."
  type        = string
}

variable "scheduler_parallelism" {
  description = "Replicas of one execution of a scheduler job."
  type        = number
}

variable "log_retention_days" {
  description = "How long logs are kept; at least 30 days, whatever is asked for."
  type        = number
}
