# Made by scripts/bootstrap-tfstate.sh. The account's name is unique in all of Azure: deploy.sh puts TFSTATE_ACCOUNT in its
# place when that is set. Nobody has a key: who may read the state has a role on the container.
terraform {
  backend "azurerm" {
    resource_group_name  = "diamond-tfstate-rg"
    storage_account_name = "diamondtfstate"
    container_name       = "tfstate"
    key                  = "prod.tfstate"
    use_azuread_auth     = true
  }
}
