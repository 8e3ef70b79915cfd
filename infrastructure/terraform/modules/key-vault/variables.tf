variable "name" {
  description = "Name of the vault, unique in all of Azure."
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

variable "tenant_id" {
  description = "Tenant whose identities may ask the vault."
  type        = string
}

variable "soft_delete_retention_days" {
  description = "How long a deleted vault or secret can be brought back, 7 to 90 days. Fixed when the vault is made."
  type        = number
}

variable "principal_ids" {
  description = "Who may read secrets: application -> object id of its identity."
  type        = map(string)
}
