variable "name" {
  description = "Name of the storage account, unique in all of Azure."
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

variable "replication_type" {
  description = "LRS, ZRS, GRS, RAGRS, GZRS or RAGZRS."
  type        = string
}

variable "keep_deleted" {
  description = "Keep old versions of blobs, and deleted ones for 30 days."
  type        = bool
}

variable "principal_ids" {
  description = "Who may read and write watermarks: application -> object id of its identity."
  type        = map(string)
}
