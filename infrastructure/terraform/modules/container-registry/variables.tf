variable "name" {
  description = "Name of the registry, unique in all of Azure."
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

variable "sku" {
  description = "Basic, Standard or Premium."
  type        = string
}

variable "principal_ids" {
  description = "Who may pull: application -> object id of its identity."
  type        = map(string)
}
