terraform {
  # 1.9 is the first in which a validation may look at a second variable.
  required_version = ">= 1.9"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.55"
    }
  }
}

# The subscription comes from ARM_SUBSCRIPTION_ID, which scripts/deploy.sh sets; who logs in comes from az or OIDC.
provider "azurerm" {
  # Keys of storage accounts are off.
  storage_use_azuread = true

  # The provider's own list has some 60 services, and registering them wants rights that a pipeline need not have.
  resource_provider_registrations = "none"
  resource_providers_to_register = [
    "Microsoft.App",
    "Microsoft.ContainerRegistry",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.OperationalInsights",
    "Microsoft.ServiceBus",
    "Microsoft.Storage",
  ]

  features {
    key_vault {
      # Destroying an environment keeps its secrets, and making it anew brings them back.
      purge_soft_delete_on_destroy    = false
      recover_soft_deleted_key_vaults = true
    }

    storage {
      # Everything used here goes through the management API, so whoever applies needs no role on blobs.
      data_plane_available = false
    }
  }
}
