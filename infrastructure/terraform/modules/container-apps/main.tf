locals {
  # A string, not a reference: the API must know the job's name and be allowed to start it, and neither may wait for the
  # other. Azure allows 32 characters.
  job_names = { for job in keys(local.jobs) : job => "${var.name_prefix}-${job}" }

  # The first is incremental once there is a watermark. Only a full run can see that stones are gone.
  jobs = {
    scheduler = {
      cron    = var.scheduler_cron_expression
      command = ["diamond", "schedule"]
    }
    scheduler-full = {
      cron    = var.full_run_cron_expression
      command = ["diamond", "schedule", "--type", "full"]
    }
  }

  # Who logs in where, besides AZURE_CLIENT_ID, which is each application's own.
  azure_env = {
    AZURE_SERVICE_BUS_NAMESPACE = var.service_bus_host
    AZURE_STORAGE_ACCOUNT_URL   = var.storage_account_url
    LOG_FORMAT                  = "json"
    NIVODA_ENDPOINT             = var.nivoda_endpoint
    NIVODA_USERNAME             = var.nivoda_username
    # By which every process knows when a run is late; the jobs above start them.
    FULL_RUN_CRON  = var.full_run_cron_expression
    SCHEDULER_CRON = var.scheduler_cron_expression
  }
  backend = { for app, pool in var.pool_sizes : app => merge(var.settings, local.azure_env, {
    AZURE_CLIENT_ID = var.identities[app].client_id
    PG_POOL_MAX     = tostring(pool)
  }) }

  # Port and address of /health and /ready. They must listen on every network: the probes come from outside.
  monitoring_env = {
    HOST            = "0.0.0.0"
    MONITORING_PORT = "9090"
  }

  env = {
    api = merge(local.backend["api"], {
      HOST                     = "0.0.0.0"
      PORT                     = "3000"
      TRUSTED_PROXIES          = join(",", var.trusted_proxies)
      AZURE_SUBSCRIPTION_ID    = var.subscription_id
      AZURE_RESOURCE_GROUP     = var.resource_group_name
      AZURE_SCHEDULER_JOB_NAME = local.job_names["scheduler"]
    })
    worker       = merge(local.backend["worker"], local.monitoring_env)
    consolidator = merge(local.backend["consolidator"], local.monitoring_env)
    scheduler    = local.backend["scheduler"]
  }

  # Of these two the vault may hold none: an app that names a secret that is not there cannot be made.
  alert_secrets = [for variable in ["ALERT_URLS", "RESEND_API_KEY"] : variable if contains(var.alert_channels, variable)]

  # Variable -> secret in the vault. Without a version in its address Container Apps fetches a new value by itself.
  secret_of = { for variable in concat(["DATABASE_URL", "NIVODA_PASSWORD", "HMAC_SECRETS"], local.alert_secrets) :
    variable => lower(replace(variable, "_", "-"))
  }
  backend_secrets = { for variable, secret in local.secret_of : variable => secret if variable != "HMAC_SECRETS" }
  secrets = {
    api          = merge(local.backend_secrets, { HMAC_SECRETS = local.secret_of["HMAC_SECRETS"] })
    worker       = local.backend_secrets
    consolidator = local.backend_secrets
    scheduler    = local.backend_secrets
  }

  # Messages for each replica, by queue. A read of a partition is short, so a worker takes five; a consolidation fills
  # its replica. The consolidator also reads what the workers report.
  queues = {
    worker       = { work-items = 5 }
    consolidator = { consolidate = 1, work-done = 5 }
  }
}

resource "azurerm_log_analytics_workspace" "main" {
  name                = "${var.name_prefix}-logs"
  location            = var.location
  resource_group_name = var.resource_group_name
  sku                 = "PerGB2018"
  # SPEC gives staging 7 days. Only the Free tier knew less than 30, and it can no longer be had; the first 31 cost nothing.
  retention_in_days = max(30, var.log_retention_days)
  tags              = var.tags
}

resource "azurerm_container_app_environment" "main" {
  name                       = "${var.name_prefix}-env"
  location                   = var.location
  resource_group_name        = var.resource_group_name
  logs_destination           = "log-analytics"
  log_analytics_workspace_id = azurerm_log_analytics_workspace.main.id

  workload_profile {
    name                  = "Consumption"
    workload_profile_type = "Consumption"
  }

  tags = var.tags
}

resource "azurerm_container_app" "api" {
  name                         = "${var.name_prefix}-api"
  resource_group_name          = var.resource_group_name
  container_app_environment_id = azurerm_container_app_environment.main.id
  workload_profile_name        = "Consumption"
  revision_mode                = "Single"
  tags                         = var.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [var.identities["api"].id]
  }

  registry {
    server   = var.registry_server
    identity = var.identities["api"].id
  }

  dynamic "secret" {
    for_each = toset(values(local.secrets["api"]))
    content {
      name                = secret.value
      identity            = var.identities["api"].id
      key_vault_secret_id = "${var.key_vault_uri}secrets/${secret.value}"
    }
  }

  ingress {
    external_enabled = true
    target_port      = 3000
    transport        = "http"

    traffic_weight {
      latest_revision = true
      percentage      = 100
    }
  }

  template {
    min_replicas                     = var.scale["api"].min
    max_replicas                     = var.scale["api"].max
    termination_grace_period_seconds = 30

    container {
      name   = "api"
      image  = var.images["api"]
      cpu    = var.resources["api"].cpu
      memory = var.resources["api"].memory

      dynamic "env" {
        for_each = local.env["api"]
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = local.secrets["api"]
        content {
          name        = env.key
          secret_name = env.value
        }
      }

      # Longer than a start ever took, so that the liveness probe cannot end one that is under way.
      startup_probe {
        transport               = "HTTP"
        port                    = 3000
        path                    = "/health"
        interval_seconds        = 5
        timeout                 = 5
        failure_count_threshold = 30
      }

      liveness_probe {
        transport               = "HTTP"
        port                    = 3000
        path                    = "/health"
        interval_seconds        = 10
        timeout                 = 5
        failure_count_threshold = 6
      }

      readiness_probe {
        transport               = "HTTP"
        port                    = 3000
        path                    = "/ready"
        interval_seconds        = 10
        timeout                 = 5
        failure_count_threshold = 3
      }
    }

    http_scale_rule {
      name                = "requests"
      concurrent_requests = "50"
    }
  }

  # Deploys set the image by digest; an apply must not bring back the one of the first apply.
  lifecycle {
    ignore_changes = [template[0].container[0].image]
  }
}

# Worker and consolidator: the same but for their queues.
resource "azurerm_container_app" "consumer" {
  for_each = local.queues

  name                         = "${var.name_prefix}-${each.key}"
  resource_group_name          = var.resource_group_name
  container_app_environment_id = azurerm_container_app_environment.main.id
  workload_profile_name        = "Consumption"
  revision_mode                = "Single"
  tags                         = var.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [var.identities[each.key].id]
  }

  registry {
    server   = var.registry_server
    identity = var.identities[each.key].id
  }

  dynamic "secret" {
    for_each = toset(values(local.secrets[each.key]))
    content {
      name                = secret.value
      identity            = var.identities[each.key].id
      key_vault_secret_id = "${var.key_vault_uri}secrets/${secret.value}"
    }
  }

  # For the scale rules only (modules/service-bus says why); no variable of the container holds it.
  secret {
    name  = "scale-rules"
    value = var.scale_rules_connection_string
  }

  template {
    min_replicas                     = var.scale[each.key].min
    max_replicas                     = var.scale[each.key].max
    termination_grace_period_seconds = 30

    container {
      name   = each.key
      image  = var.images[each.key]
      cpu    = var.resources[each.key].cpu
      memory = var.resources[each.key].memory

      dynamic "env" {
        for_each = local.env[each.key]
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = local.secrets[each.key]
        content {
          name        = env.key
          secret_name = env.value
        }
      }

      startup_probe {
        transport               = "HTTP"
        port                    = 9090
        path                    = "/health"
        interval_seconds        = 5
        timeout                 = 5
        failure_count_threshold = 30
      }

      # A restart costs the messages in hand a second delivery, so a busy process gets a minute to answer.
      liveness_probe {
        transport               = "HTTP"
        port                    = 9090
        path                    = "/health"
        interval_seconds        = 10
        timeout                 = 5
        failure_count_threshold = 6
      }
    }

    dynamic "custom_scale_rule" {
      for_each = local.queues[each.key]
      content {
        name             = custom_scale_rule.key
        custom_rule_type = "azure-servicebus"
        metadata = {
          namespace              = var.service_bus_name
          queueName              = custom_scale_rule.key
          messageCount           = tostring(custom_scale_rule.value)
          activationMessageCount = "0"
        }

        authentication {
          secret_name       = "scale-rules"
          trigger_parameter = "connection"
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [template[0].container[0].image]
  }
}

resource "azurerm_container_app" "dashboard" {
  name                         = "${var.name_prefix}-dashboard"
  resource_group_name          = var.resource_group_name
  container_app_environment_id = azurerm_container_app_environment.main.id
  workload_profile_name        = "Consumption"
  revision_mode                = "Single"
  tags                         = var.tags

  # Of its own, so that the container that only shows pages may pull its image and nothing else.
  identity {
    type         = "UserAssigned"
    identity_ids = [var.identities["dashboard"].id]
  }

  registry {
    server   = var.registry_server
    identity = var.identities["dashboard"].id
  }

  ingress {
    external_enabled = true
    target_port      = 8080
    transport        = "http"

    traffic_weight {
      latest_revision = true
      percentage      = 100
    }
  }

  template {
    min_replicas                     = var.scale["dashboard"].min
    max_replicas                     = var.scale["dashboard"].max
    termination_grace_period_seconds = 30

    container {
      name   = "dashboard"
      image  = var.images["dashboard"]
      cpu    = var.resources["dashboard"].cpu
      memory = var.resources["dashboard"].memory

      env {
        name  = "PORT"
        value = "8080"
      }

      env {
        name  = "API_URL"
        value = "https://${azurerm_container_app.api.ingress[0].fqdn}"
      }

      # The page itself, not /health: that is the API's, and a restart of nginx would not mend it.
      startup_probe {
        transport               = "HTTP"
        port                    = 8080
        path                    = "/"
        interval_seconds        = 5
        timeout                 = 5
        failure_count_threshold = 10
      }

      liveness_probe {
        transport               = "HTTP"
        port                    = 8080
        path                    = "/"
        interval_seconds        = 10
        timeout                 = 5
        failure_count_threshold = 3
      }

      readiness_probe {
        transport               = "HTTP"
        port                    = 8080
        path                    = "/"
        interval_seconds        = 10
        timeout                 = 5
        failure_count_threshold = 3
      }
    }

    http_scale_rule {
      name                = "requests"
      concurrent_requests = "100"
    }
  }

  lifecycle {
    ignore_changes = [template[0].container[0].image]
  }
}

# Both plan a run and end: the same image, environment and identity, another clock and another command.
resource "azurerm_container_app_job" "scheduler" {
  for_each = local.jobs

  name                         = local.job_names[each.key]
  location                     = var.location
  resource_group_name          = var.resource_group_name
  container_app_environment_id = azurerm_container_app_environment.main.id
  workload_profile_name        = "Consumption"
  replica_timeout_in_seconds   = 1800
  # While a run is active the database refuses a second one: `diamond schedule` exits with 1, is tried once more at once,
  # and the execution is Failed. Nothing is harmed, but a full run that was refused is not made before its next time.
  replica_retry_limit = 1
  tags                = var.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [var.identities["scheduler"].id]
  }

  registry {
    server   = var.registry_server
    identity = var.identities["scheduler"].id
  }

  dynamic "secret" {
    for_each = toset(values(local.secrets["scheduler"]))
    content {
      name                = secret.value
      identity            = var.identities["scheduler"].id
      key_vault_secret_id = "${var.key_vault_uri}secrets/${secret.value}"
    }
  }

  schedule_trigger_config {
    cron_expression          = each.value.cron
    parallelism              = var.scheduler_parallelism
    replica_completion_count = 1
  }

  # No probes: it serves nothing, its exit code tells how it went, and the timeout ends one that hangs.
  template {
    container {
      name    = each.key
      image   = var.images["scheduler"]
      command = each.value.command
      cpu     = var.resources["scheduler"].cpu
      memory  = var.resources["scheduler"].memory

      dynamic "env" {
        for_each = local.env["scheduler"]
        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = local.secrets["scheduler"]
        content {
          name        = env.key
          secret_name = env.value
        }
      }
    }
  }

  lifecycle {
    ignore_changes = [template[0].container[0].image]
  }
}

# On the one job that the API starts, for runs of either kind, and for the API alone. Its identity is made before both, so
# nothing waits in a circle.
resource "azurerm_role_assignment" "start_scheduler" {
  scope                = azurerm_container_app_job.scheduler["scheduler"].id
  role_definition_name = "Container Apps Jobs Operator"
  principal_id         = var.identities["api"].principal_id
  principal_type       = "ServicePrincipal"
}
