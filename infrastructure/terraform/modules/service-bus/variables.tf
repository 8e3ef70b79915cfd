variable "name" {
  description = "Name of the namespace, unique in all of Azure."
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
  description = "Standard or Premium: Basic has neither duplicate detection nor scheduled messages."
  type        = string
}

variable "principal_ids" {
  description = "Who may send and receive: application -> object id of its identity."
  type        = map(string)
}
