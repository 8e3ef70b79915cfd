locals {
  # Locks and deliveries are those of src/diamond_opus/queue/limits.py; a test compares them. A lock that ends early only
  # costs a second delivery: who works on a partition is decided by its lease in the database, not by the message.
  queues = {
    work-items  = { lock_duration = "PT2M", max_delivery_count = 5 }
    work-done   = { lock_duration = "PT1M", max_delivery_count = 3 }
    consolidate = { lock_duration = "PT5M", max_delivery_count = 3 }
  }
}

resource "azurerm_servicebus_namespace" "main" {
  #checkov:skip=CKV_AZURE_199:Double encryption is of the Premium tier, about 60 times the price; messages hold ids and price ranges only
  #checkov:skip=CKV_AZURE_201:Keys of one's own are of the Premium tier; messages hold ids and price ranges only
  #checkov:skip=CKV_AZURE_202:The namespace itself reaches nothing, so it needs no identity
  #checkov:skip=CKV_AZURE_203:The scale rules of azurerm 4.55 know no identity; see scale_rules below
  #checkov:skip=CKV_AZURE_204:Closing the public endpoint is of the Premium tier; every caller needs a role
  name                = var.name
  location            = var.location
  resource_group_name = var.resource_group_name
  sku                 = var.sku
  # Only Premium has units and partitions of the namespace.
  capacity                     = var.sku == "Premium" ? 1 : 0
  premium_messaging_partitions = var.sku == "Premium" ? 1 : 0
  minimum_tls_version          = "1.2"
  local_auth_enabled           = true
  tags                         = var.tags
}

resource "azurerm_servicebus_queue" "queue" {
  for_each = local.queues

  name               = each.key
  namespace_id       = azurerm_servicebus_namespace.main.id
  lock_duration      = each.value.lock_duration
  max_delivery_count = each.value.max_delivery_count

  # A wake-up that nobody took for a day is kept for a person to see; the sweep has long sent another.
  default_message_ttl                  = "P1D"
  dead_lettering_on_message_expiration = true

  # Drops the second copy of a send that was repeated because its answer was lost. It never drops a wake-up that is meant:
  # one that is sent again on purpose carries the next wake number in its message id.
  requires_duplicate_detection            = true
  duplicate_detection_history_time_window = "PT10M"
}

resource "azurerm_role_assignment" "sender" {
  for_each = var.principal_ids

  scope                = azurerm_servicebus_namespace.main.id
  role_definition_name = "Azure Service Bus Data Sender"
  principal_id         = each.value
  principal_type       = "ServicePrincipal"
}

resource "azurerm_role_assignment" "receiver" {
  for_each = var.principal_ids

  scope                = azurerm_servicebus_namespace.main.id
  role_definition_name = "Azure Service Bus Data Receiver"
  principal_id         = each.value
  principal_type       = "ServicePrincipal"
}

# The one key of the system. KEDA asks for a queue's length, for which Azure wants Manage (and Manage wants the other two),
# and azurerm 4.55 has no identity in custom_scale_rule. The applications never see it: they log in by identity. Once the
# provider's scale rules take an identity (identity_id, merged in 2026), remove this rule and set local_auth_enabled to false.
resource "azurerm_servicebus_namespace_authorization_rule" "scale_rules" {
  name         = "scale-rules"
  namespace_id = azurerm_servicebus_namespace.main.id
  listen       = true
  send         = true
  manage       = true
}
